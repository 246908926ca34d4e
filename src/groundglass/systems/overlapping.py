"""Lesions found twice: each pixel of a slice belongs to the surest of them."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

Part = tuple[slice, slice]
"""Rows and columns of a slice."""


def keep_apart(
    masks: Iterable[tuple[Part, NDArray[np.bool_]]], shape: tuple[int, ...]
) -> Iterator[NDArray[np.bool_] | None]:
    """What is left of each lesion of one slice by those before it.

    Args:
        masks: The part of the slice that each covers, and its pixels there; the surest first.
        shape: (row, column) of the slice.

    Yields:
        For each the pixels that are its own, boolean, the shape of its part; ``None`` for a lesion
        that loses more than half to surer ones, which is a second look at one of them.
    """
    taken = np.zeros(shape, np.bool_)
    for part, inside in masks:
        own = inside & ~taken[part]
        if 2 * np.count_nonzero(own) >= np.count_nonzero(inside):
            taken[part] |= own
            yield own
        else:
            yield None

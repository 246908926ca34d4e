"""Which slices a reader should see first."""

import math
import re
from itertools import pairwise

import numpy as np

from groundglass.scan import CTSlices
from groundglass.write.slices import SliceRow

LEAST_DISTANCE_MM = 10.0
"""Neighbors closer than this look alike."""


def key_slices(rows: list[SliceRow], count: int, spacing_mm: float) -> list[int]:
    """The slices that carry most of the lesions, not neighbors of each other, from head to feet.

    Where there is no lesion, slices spread evenly over the lungs; fewer than ``count`` where the
    lesions span only a few.

    Args:
        rows: The slices of a volume.
        count: How many at most.
        spacing_mm: Distance between slices.
    """
    weights = lesion_weights(rows)
    if not weights.any():
        lungs = [row.index for row in rows if row.lung]
        middles = (np.arange(count) + 0.5) / count * len(lungs)
        return sorted({lungs[int(m)] for m in middles})
    carrying = np.flatnonzero(weights)
    least = math.ceil(LEAST_DISTANCE_MM / spacing_mm)
    spread = 2 * int(carrying[-1] - carrying[0]) // (3 * count)
    chosen: list[int] = []
    for apart in (max(spread, least), least):  # spread first, then fill up where room is left
        for index in carrying[np.argsort(-weights[carrying], kind="stable")]:
            if len(chosen) < count and all(abs(int(index) - i) >= apart for i in chosen):
                chosen.append(int(index))
    return sorted(chosen)


def key_pictures(rows: list[SliceRow], count: int) -> list[int]:
    """All pictures where they are few; else those with the greatest share of lesion, in order."""
    if len(rows) <= count:
        return [row.index for row in rows]
    sizes = np.array([max(row.lung, 1) for row in rows])
    shares = lesion_weights(rows) / sizes
    return sorted(int(i) for i in np.argsort(-shares, kind="stable")[:count])


def lesion_weights(rows: list[SliceRow]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Pixels of opacity on each slice; of any lesion where no slice has opacity in the lungs."""
    opacity = np.array([row.opacity for row in rows], np.int64)
    if opacity.any():
        return opacity
    return np.array([sum(row.lesion_pixels.values()) for row in rows], np.int64)


def is_a_series(pictures: CTSlices) -> bool:
    """Whether pictures look like consecutive slices of one scan.

    All have one size, and their names differ in one number that rises.
    """
    names = pictures.names
    if len({pixels.shape for pixels in pictures.slices}) != 1:
        return False
    numbers = [re.findall(r"\d+", name) for name in names]
    stems = {re.sub(r"\d+", "#", name) for name in names}
    if len(stems) != 1 or not numbers[0]:
        return False
    columns = [[int(n) for n in column] for column in zip(*numbers, strict=True)]
    varying = [column for column in columns if len(set(column)) > 1]
    return len(varying) == 1 and all(a < b for a, b in pairwise(varying[0]))

"""What a round looks like: slice, mask, masked slice and what the network painted."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray


class Row(NamedTuple):
    """One slice of the picture, each (row, column).

    Attributes:
        gray: Lung gray 0 to 1.
        mask: 1 kept, 0 erased.
        masked: Lung gray of what the network saw.
        painted: Lung gray that it painted.
        first: The first map that it painted, on the contrast scale, such as edges.
    """

    gray: NDArray[np.float32]
    mask: NDArray[np.float32]
    masked: NDArray[np.float32]
    painted: NDArray[np.float32]
    first: NDArray[np.float32]


COLUMN_TITLES = ("slice", "mask", "masked", "painted", "pasted into the gaps", "first map")


def draw_round(rows: Sequence[Row], title: str, path: Path) -> None:
    """Write the picture of a round as PNG.

    Args:
        rows: Slices, first to last from above.
        title: Stands over the picture.
        path: File to write.
    """
    figure = Figure(figsize=(2 * len(COLUMN_TITLES), 2 * len(rows) + 0.6), layout="compressed")
    figure.suptitle(title, fontsize=9)
    axes = figure.subplots(len(rows), len(COLUMN_TITLES), squeeze=False)
    for line, row in zip(axes, rows, strict=True):
        pasted = np.where(row.mask > 0.5, row.gray, row.painted)
        panels = (row.gray, row.mask, row.masked, row.painted, pasted, row.first)
        for panel, pixels in zip(line, panels, strict=True):
            panel.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            panel.set(xticks=[], yticks=[])
    for panel, name in zip(axes[0], COLUMN_TITLES, strict=True):
        panel.set_title(name, fontsize=8)
    figure.savefig(path, dpi=100)

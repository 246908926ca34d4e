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


Panel = tuple[NDArray[np.float32], str]
"""Gray 0 to 1, (row, column), and what stands below it."""

COLUMN_TITLES = ("slice", "mask", "masked", "painted", "pasted into the gaps", "first map")


def draw_round(rows: Sequence[Row], title: str, path: Path) -> None:
    """Write the picture of a round as PNG.

    Args:
        rows: Slices, first to last from above.
        title: Stands over the picture.
        path: File to write.
    """
    lines = [
        [
            (panel, "")
            for panel in (*row[:4], np.where(row.mask > 0.5, row.gray, row.painted), row[4])
        ]
        for row in rows
    ]
    draw_panels(COLUMN_TITLES, lines, title, path)


def draw_panels(
    titles: Sequence[str], lines: Sequence[Sequence[Panel]], title: str, path: Path
) -> None:
    """Write lines of gray panels as PNG.

    Args:
        titles: Title of each column.
        lines: Panels of each line, one for each column.
        title: Stands over the picture.
        path: File to write.
    """
    figure = Figure(figsize=(2 * len(titles), 2 * len(lines) + 0.6), layout="compressed")
    figure.suptitle(title, fontsize=9)
    axes = figure.subplots(len(lines), len(titles), squeeze=False)
    for places, panels in zip(axes, lines, strict=True):
        for place, (pixels, below) in zip(places, panels, strict=True):
            place.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            place.set(xticks=[], yticks=[])
            place.set_xlabel(below, fontsize=8)
    for place, name in zip(axes[0], titles, strict=True):
        place.set_title(name, fontsize=8)
    figure.savefig(path, dpi=100)

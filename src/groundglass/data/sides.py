"""Right and left lung from a mask that does not tell them apart."""

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.labels import Lung


def tell_sides(lungs: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """Numbers of ``Lung`` for a slice whose mask holds both lungs as one value.

    The picture must be cropped to the lungs or show the chest in its middle, the right lung on
    the left. Parts lie right or left by their center; a part that reaches far over the midline is
    cut at its narrowest column. The side of a lone part cannot be told.

    Args:
        lungs: (row, column), 1 inside.

    Returns:
        (row, column) of ``Lung`` numbers, or ``None`` where the sides cannot be told.
    """
    columns = np.flatnonzero(lungs.any(0))
    if not columns.size:
        return np.zeros_like(lungs)
    left_end, right_end = int(columns[0]), int(columns[-1]) + 1
    middle, width = (left_end + right_end) / 2, right_end - left_end
    _, parts, stats, centers = cv2.connectedComponentsWithStats(lungs, connectivity=4)
    sides = np.zeros_like(lungs)
    cut = _narrowest_column(lungs, left_end, width)
    found = set()
    for part in range(1, len(stats)):
        start = int(stats[part, cv2.CC_STAT_LEFT])
        end = start + int(stats[part, cv2.CC_STAT_WIDTH])
        inside = parts == part
        if min(middle - start, end - middle) > 0.2 * width:
            if cut is None:
                return None
            sides[:, :cut][inside[:, :cut]] = Lung.RIGHT
            sides[:, cut:][inside[:, cut:]] = Lung.LEFT
            found |= {Lung.RIGHT, Lung.LEFT}
        else:
            side = Lung.RIGHT if centers[part][0] < middle else Lung.LEFT
            sides[inside] = side
            found.add(side)
    return sides if len(found) == 2 else None


def _narrowest_column(lungs: NDArray[np.uint8], left_end: int, width: int) -> int | None:
    """Column near the middle where the lungs are thinnest, if they narrow there at all."""
    profile = cv2.blur(lungs.sum(0, dtype=np.float32)[None], (5, 1))[0]
    start, stop = left_end + round(0.3 * width), left_end + round(0.7 * width)
    if stop <= start:
        return None
    column = start + int(profile[start:stop].argmin())
    return column if profile[column] < 0.5 * profile.max() else None

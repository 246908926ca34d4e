"""The chest seen from an axis between the lungs: one ray for every slice and direction.

On such a map the inner surface of the chest wall is smooth, whatever lies before it.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.labels import Lung
from groundglass.lungs.coarse import CoarseScan

DIRECTIONS = 360
"""Rays on a slice. Ray 0 runs to the patient's left."""

BACK, FRONT = 90, 270
"""Rays that run straight to the back and to the front."""

HEART_DEGREES = (45, 65)
"""Rays this close to the front, to the right and to the left, may meet the heart and no lung."""

BONE_HU = 190
"""Averaged voxels of ribs lie above it."""

Map = NDArray[np.float32]
"""One number for each slice and direction, shape (slice, direction); lengths in pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Rays:
    """What the rays meet.

    Attributes:
        direction: Number of the ray of each pixel of a slice, shape (row, column).
        away: Distance of each pixel from the axis, in pixels.
        start: Where the outermost stretch of lung begins; 0 on rays without lung.
        end: Where it ends; 0 on rays without lung.
        lung: Number of the lung it belongs to; 0 on rays without lung.
        bone: First bone beyond it; NaN where there is none.
    """

    direction: NDArray[np.intp]
    away: Map
    start: Map
    end: Map
    lung: NDArray[np.uint8]
    bone: Map


def cast_rays(scan: CoarseScan, lungs: NDArray[np.uint8], middle: float) -> Rays:
    """Rays through aerated lungs.

    Args:
        scan: The scan.
        lungs: Numbered as in ``Lung``.
        middle: Column of the middle of the body, where there is only one lung.
    """
    column, row = _axis(lungs, middle)
    shape = lungs.shape[1:]
    rows, columns = np.indices(shape, np.float32)
    x, y = columns - np.float32(column), rows - np.float32(row)
    away = np.hypot(x, y)
    direction = np.rint(np.rad2deg(np.arctan2(y, x)) * DIRECTIONS / 360).astype(np.intp)
    reach = int(np.ceil(away.max()))
    maps = [np.zeros((len(lungs), DIRECTIONS), np.float32) for _ in range(3)]
    sides = np.zeros((len(lungs), DIRECTIONS), np.uint8)
    start, end, bone = maps
    bone[:] = np.nan
    flags = cv2.INTER_NEAREST | cv2.WARP_POLAR_LINEAR | cv2.WARP_FILL_OUTLIERS
    for number in np.nonzero(lungs.any(axis=(1, 2)))[0]:
        lung, hu = (
            cv2.warpPolar(pixels, (reach, DIRECTIONS), (column, row), reach, flags)
            for pixels in (lungs[number], scan.hu[number])
        )
        start[number], end[number] = _outermost(lung > 0)
        last = end[number].astype(np.intp)
        sides[number] = np.where(last > 0, lung[np.arange(DIRECTIONS), last], 0)
        beyond = (hu > BONE_HU) & (np.arange(reach) > last[:, None])
        bone[number] = np.where(beyond.any(axis=1), beyond.argmax(axis=1), np.nan)
    return Rays(direction % DIRECTIONS, away, start, end, sides, bone)


def heart_rays() -> NDArray[np.bool_]:
    """Rays that may meet the heart, shape (direction,)."""
    directions = np.arange(DIRECTIONS)
    to_right, to_left = HEART_DEGREES
    return (directions > FRONT - to_right) & (directions < FRONT + to_left)


def _axis(lungs: NDArray[np.uint8], middle: float) -> tuple[float, float]:
    """Column and row of the axis: midway between the lungs."""
    flat = np.stack([(lungs == lung).sum(axis=0) for lung in Lung])
    rows, columns = np.indices(flat.shape[1:])
    total = flat.sum(axis=(1, 2))
    row = float((flat * rows).sum() / total.sum())
    if total.min() < 0.05 * total.max():
        return middle, row
    return float(np.mean((flat * columns).sum(axis=(1, 2)) / total)), row


def _outermost(inside: NDArray[np.bool_]) -> tuple[Map, Map]:
    """First and last pixel of the outermost stretch of each ray, 0 where there is none."""
    reach = inside.shape[1]
    any_lung = inside.any(axis=1)
    end = np.where(any_lung, reach - 1 - inside[:, ::-1].argmax(axis=1), 0)
    before = ~inside & (np.arange(reach) < end[:, None])
    start = np.where(before.any(axis=1), reach - before[:, ::-1].argmax(axis=1), 0)
    return np.where(any_lung, start, 0).astype(np.float32), end.astype(np.float32)

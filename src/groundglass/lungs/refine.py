"""Lungs found at coarse voxels, brought back to the voxels of the scan."""

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.labels import Lung
from groundglass.lungs.coarse import CoarseScan
from groundglass.scan import CTScan

EDGE_HU = -300
"""Half way between aerated lung and the tissue around it."""

_KEEP, _MAYBE = 0, 10


def refine(
    scan: CTScan, coarse: CoarseScan, lungs: NDArray[np.uint8], barred: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Lungs on the grid of the scan, numbered as in ``Lung``.

    Where the lung holds air its edge is drawn anew by Hounsfield units, one coarse voxel to
    either side. Where it does not, at consolidated lung and vessels, the coarse edge stays.

    Args:
        scan: The scan.
        coarse: The scan at coarse voxels.
        lungs: Lungs on the coarse grid.
        barred: Coarse voxels that must not become lung, such as the trachea.
    """
    state = _states(coarse, lungs, barred)
    fine = np.zeros(scan.slices.shape, np.uint8)
    by_slice, by_row, by_column = coarse.factors
    size = (state.shape[2] * by_column, state.shape[1] * by_row)
    for number, (hu, result) in enumerate(zip(scan.slices, fine, strict=True)):
        plan = state[number // by_slice]
        if not plan.any():
            continue
        large = cv2.resize(plan, size, interpolation=cv2.INTER_NEAREST)
        large = large[: hu.shape[0], : hu.shape[1]]
        air = hu < EDGE_HU
        for lung in Lung:
            inside = (large == lung) | ((large == lung + _MAYBE) & air)
            smooth = cv2.medianBlur(inside.view(np.uint8), 5)
            result[smooth > 0] = lung
    return fine


def _states(
    coarse: CoarseScan, lungs: NDArray[np.uint8], barred: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """For each coarse voxel the lung it belongs to, plus ``_MAYBE`` where the scan decides."""
    grown, worn = _spread(lungs, cv2.dilate), _spread((lungs > 0).view(np.uint8), cv2.erode)
    state = np.where(lungs > 0, lungs, grown)
    edge = (grown > 0) & (worn == 0) & ((lungs == 0) | (coarse.hu < -300))
    state[edge] += _MAYBE
    state[(barred > 0) & (lungs == 0)] = 0
    return state


def _spread(values: NDArray[np.uint8], step: object) -> NDArray[np.uint8]:
    """Dilate or erode by one voxel in all directions."""
    kernel = np.ones((3, 3), np.uint8)
    flat = np.stack([step(pixels, kernel) for pixels in values])  # type: ignore[operator]
    result = flat.copy()
    pick = np.maximum if step is cv2.dilate else np.minimum
    pick(result[1:], flat[:-1], out=result[1:])
    pick(result[:-1], flat[1:], out=result[:-1])
    return result

"""What lies within the lungs without holding air: vessels, nodules, patches of consolidation."""

import cc3d
import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.labels import Lung
from groundglass.lungs.coarse import CoarseScan

VESSEL_MM = 6.0
"""Half width of the largest gap between two parts of a lung that is closed on a slice."""

HOLE_MM2 = 150.0
"""A hole on a slice that is smaller is a vessel; a larger one may be the top of the liver."""


def fill_lungs(scan: CoarseScan, lungs: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lungs with everything that aerated lung surrounds, numbered as in ``Lung``.

    Gaps are closed slice by slice, each lung for itself, so that vessels become lung and the
    mediastinum does not; then holes that are closed all round are filled.
    """
    filled = lungs.copy()
    for lung in Lung:
        box = bounding_box(lungs == lung, margin=round(2 * VESSEL_MM / scan.pixel_mm))
        if box is None:
            continue
        whole = _fill(scan, (lungs[box] == lung).view(np.uint8))
        here = filled[box]
        here[(whole > 0) & (here == 0)] = lung
    return filled


def bounding_box(where: NDArray[np.bool_], margin: int) -> tuple[slice, slice, slice] | None:
    """Box around all true voxels, widened within its slices; ``None`` where there are none."""
    slices, rows, columns = (
        np.nonzero(np.asarray(where.any(axis=axes)))[0] for axes in ((1, 2), (0, 2), (0, 1))
    )
    if slices.size == 0:
        return None
    return (
        slice(int(slices[0]), int(slices[-1]) + 1),
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + 1 + margin),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + 1 + margin),
    )


def _fill(scan: CoarseScan, lung: NDArray[np.uint8]) -> NDArray[np.uint8]:
    kernel = scan.disk(VESSEL_MM)
    margin = kernel.shape[0]
    largest = HOLE_MM2 / (scan.spacing_mm[1] * scan.spacing_mm[2])
    whole = np.empty_like(lung)
    for pixels, result in zip(lung, whole, strict=True):
        framed = np.pad(pixels, margin)
        closed = cv2.morphologyEx(framed, cv2.MORPH_CLOSE, kernel)
        result[:] = closed[margin:-margin, margin:-margin]
        _fill_small_holes(result, largest)
    outside = cc3d.connected_components(whole == 0, connectivity=6)
    open_end = np.zeros(int(outside.max()) + 1, bool)
    open_end[0] = True
    for axis in range(3):
        for face in (0, -1):
            open_end[np.unique(outside.take(face, axis=axis))] = True
    whole[~open_end[outside]] = 1
    return whole


def _fill_small_holes(pixels: NDArray[np.uint8], largest: float) -> None:
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(
        (pixels == 0).view(np.uint8), connectivity=4
    )
    small = boxes[:count, cv2.CC_STAT_AREA] < largest
    small[0] = False
    rows, columns = pixels.shape
    box = boxes[:count]
    touches = (box[:, cv2.CC_STAT_LEFT] == 0) | (box[:, cv2.CC_STAT_TOP] == 0)
    touches |= box[:, cv2.CC_STAT_LEFT] + box[:, cv2.CC_STAT_WIDTH] == columns
    touches |= box[:, cv2.CC_STAT_TOP] + box[:, cv2.CC_STAT_HEIGHT] == rows
    pixels[(small & ~touches)[labels]] = 1

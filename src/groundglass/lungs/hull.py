"""Lungs as hulls: threshold, convex hull, dilation; a generous mask for networks, not for scores.

As Mohammed et al., IEEE Access 2020, take it from Liao et al. 2019.
"""

import cc3d
import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.errors import EmptyMaskError
from groundglass.labels import Lung
from groundglass.lungs.body import SOFT_HU, hull
from groundglass.mask import Mask
from groundglass.scan import CTScan, Note

THRESHOLD_HU = -600
"""Below it a voxel counts as aerated lung."""

DILATION_MM = 5.0
"""How far the hull is widened to take in the wall of the lung; the publication gives no size."""

LUNG_SHARE = 0.1
"""A piece of air is a lung if it has this share of the volume of the largest."""

LUNG_VOLUME_ML = (600.0, 11_000.0)
"""Hulls outside this range are reported: too little for two lungs, or more than a chest holds."""

BRIDGED_SHARE = 2.0
"""A hull this many times as large as the air in it has bridged what is no lung, and is reported."""


def lungs_by_hull(scan: CTScan) -> tuple[Mask, tuple[Note, ...]]:
    """Lungs by threshold, convex hull slice by slice, and dilation, and what is doubtful about it.

    The mask is generous by design: consolidation and the wall of the lung are in it, and so are
    parts of heart and diaphragm. Severe disease joins the outside or leaves a lung out; what is
    seen of that is a note of the name ``hull-failed``.

    Args:
        scan: CT volume; one slice is enough.

    Raises:
        EmptyMaskError: If no air of the kind of lung lies within the body.
    """
    air = np.stack([_air_within(pixels) for pixels in scan.slices])
    pieces = _large_pieces(air)
    if not pieces.any():
        raise EmptyMaskError(
            f"found no air within the body in '{scan.source.name}', expected a chest CT; check "
            "that the scan shows the chest and that its values are Hounsfield units"
        )
    sides = _sides(pieces, _middle(scan))
    lungs = np.zeros(scan.slices.shape, np.uint8)
    _, row_mm, column_mm = scan.spacing_mm
    kernel = cv2.getStructuringElement(
        cv2.MORPH_ELLIPSE,
        (2 * round(DILATION_MM / column_mm) + 1, 2 * round(DILATION_MM / row_mm) + 1),
    )
    for found, pixels in zip(lungs, sides, strict=True):
        for lung in Lung:
            side = (pixels == lung).view(np.uint8)
            if side.any():
                found[(cv2.dilate(hull(side), kernel) > 0) & (found == 0)] = lung
    mask = Mask.on(scan, lungs, Lung)
    return mask, tuple(Note("hull-failed", reason) for reason in _doubts(mask, sides))


def _air_within(pixels: NDArray[np.int16]) -> NDArray[np.uint8]:
    """Air that no way through air leads to from the border of the slice, 1 inside."""
    air = (cv2.medianBlur(pixels, 3) < THRESHOLD_HU).astype(np.uint8)
    framed = cv2.copyMakeBorder(air, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    cv2.floodFill(framed, None, (0, 0), 0)
    return np.asarray(framed[1:-1, 1:-1])


def _large_pieces(air: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """The pieces of air as large as lungs, numbered; trachea and bowel are smaller."""
    numbered = cc3d.connected_components(air, connectivity=6, out_dtype=np.uint32)
    pieces = np.asarray(numbered, np.uint32)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    if not sizes.any():
        return pieces
    pieces[~(sizes >= max(1, LUNG_SHARE * sizes.max()))[pieces]] = 0
    return pieces


def _middle(scan: CTScan) -> float:
    """Column of the middle of the body."""
    tissue = np.count_nonzero(scan.slices > SOFT_HU, axis=(0, 1))
    if not tissue.any():
        return float(tissue.size / 2)
    middle: np.float64 = np.average(np.arange(tissue.size), weights=tissue)
    return float(middle)


def _sides(pieces: NDArray[np.uint32], middle: float) -> NDArray[np.uint8]:
    """Right and left: by the middle of each piece, or voxel by voxel for one across the middle."""
    columns = np.arange(pieces.shape[2])
    sides = np.zeros(pieces.shape, np.uint8)
    for number in np.unique(pieces[pieces > 0]).tolist():
        own = pieces == number
        share_right = np.count_nonzero(own[:, :, columns < middle]) / np.count_nonzero(own)
        if 0.2 < share_right < 0.8:
            sides[own & (columns < middle)] = Lung.RIGHT
            sides[own & (columns >= middle)] = Lung.LEFT
        else:
            sides[own] = Lung.RIGHT if share_right >= 0.8 else Lung.LEFT
    return sides


def _doubts(mask: Mask, air: NDArray[np.uint8]) -> list[str]:
    """What speaks against the mask, a sentence each."""
    doubts = [
        f"The hull of the lungs lacks the {lung.title}: it joins the outside or holds no air."
        for lung in Lung
        if not (mask.array == lung).any()
    ]
    volume_ml = np.count_nonzero(mask.array) * mask.voxel_volume_ml
    low, high = LUNG_VOLUME_ML
    if not low <= volume_ml <= high:
        doubts.append(
            f"The hull of the lungs has {volume_ml:.0f} ml, expected {low:.0f} to {high:.0f}."
        )
    ratio = np.count_nonzero(mask.array) / np.count_nonzero(air)
    if ratio > BRIDGED_SHARE:
        doubts.append(
            f"The hull of the lungs is {ratio:.1f} times as large as the air in it, expected less "
            f"than {BRIDGED_SHARE:g} times."
        )
    return doubts

"""From probabilities to masks: sides of lungs, specks, continuity through slices."""

import cc3d
import cv2
import edt
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from groundglass.labels import Lesion, Lung

SMOOTHING_MM = 1.5
"""Standard deviation of the smoothing of probabilities through slices."""

DENSE_HU = -150
"""Above this, lung holds no air to speak of."""

WIDER_THAN_VESSELS_MM = 6.0
"""Radius that vessels in the lung mask stay below."""

SMALLEST_LESION_ML = 0.03
SMALLEST_LESION_PX = 12

SURE = 0.8
"""Probability that a lesion of a volume reaches somewhere, after smoothing through slices.

The network marks what exceeds its threshold; a lesion has a core of which it is surer. On the
validation slices of covid-ct-seg and medseg, islands with a lower peak are wrong more often than
right (25 of 490 islands, 13 of them without true lesion) and their loss leaves the Dice as it is
(0.820 and 0.762). On healthy phantoms nine tenths of the false islands are such: vessels cut
across and the border of the heart, on one or two slices.
"""


def clean_lung_sides(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Lung numbers of a picture: parts of some size, without holes.

    Args:
        probabilities: (2, row, column) of right and left lung.

    Returns:
        (row, column) of ``Lung`` numbers.
    """
    right, left = probabilities
    sides = np.where(right >= left, Lung.RIGHT, Lung.LEFT).astype(np.uint8)
    lungs = (np.maximum(right, left) > 0.5).astype(np.uint8)
    contours, _ = cv2.findContours(lungs, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    areas = [cv2.contourArea(contour) for contour in contours]
    filled = np.zeros_like(lungs)
    kept = [c for c, area in zip(contours, areas, strict=True) if area > 0.02 * max(areas)]
    cv2.drawContours(filled, kept, -1, 1, -1)
    return np.asarray(filled * sides, np.uint8)


def smooth_along_slices(probabilities: NDArray[np.float32], slice_mm: float) -> None:
    """Smooth probabilities through neighboring slices, in place.

    A lesion goes on in the next slice where a vessel cut across does not.

    Args:
        probabilities: (slice, row, column).
        slice_mm: Distance of slices in mm.
    """
    gaussian_filter1d(
        probabilities, SMOOTHING_MM / slice_mm, axis=0, output=probabilities, mode="nearest"
    )


def clean_lesions(
    found: NDArray[np.bool_],
    voxel_volume_ml: float | None = None,
    probabilities: NDArray[np.float32] | None = None,
) -> NDArray[np.bool_]:
    """Lesions without specks too small to mean anything, and without islands nobody is sure of.

    Args:
        found: (slice, row, column).
        voxel_volume_ml: Volume of a voxel; ``None`` for pictures, whose specks count in pixels.
        probabilities: Probability of lesion, same shape, smoothed through slices. Where given, an
            island that nowhere reaches ``SURE`` is left out (thresholding with hysteresis).
    """
    if voxel_volume_ml is None:
        smallest = SMALLEST_LESION_PX
    else:
        smallest = max(2, round(SMALLEST_LESION_ML / voxel_volume_ml))
    if probabilities is not None:
        islands = cc3d.connected_components(found, connectivity=26)
        sure = np.zeros(int(islands.max()) + 1, np.bool_)
        sure[islands[found & (probabilities >= SURE)]] = True
        found = sure[islands]
    kept: NDArray[np.bool_] = cc3d.dust(found, threshold=smallest, connectivity=26)
    return kept


def dense_lung(
    hu: NDArray[np.int16], lungs: NDArray[np.bool_], spacing_mm: tuple[float, float, float]
) -> NDArray[np.bool_]:
    """Lung as dense as soft tissue and wider than any vessel in it: consolidation.

    The network learned from pictures, in which white lung is hard to tell from the chest wall; in
    a volume the lungs are known and Hounsfield units tell it. The dense voxels are opened by a
    ball, which leaves vessels out.

    Args:
        hu: Hounsfield units, (slice, row, column).
        lungs: Same shape, true inside the lungs.
        spacing_mm: Distance of voxels along slice, row and column.
    """
    dense = (hu > DENSE_HU) & lungs
    core = edt.edt(dense, anisotropy=spacing_mm) >= WIDER_THAN_VESSELS_MM
    if not core.any():
        return np.asarray(core, bool)
    return np.asarray((edt.edt(~core, anisotropy=spacing_mm) <= WIDER_THAN_VESSELS_MM) & dense)


def label_lesions(found: NDArray[np.bool_], dense: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Lesion numbers: consolidation where dense, ground-glass opacity elsewhere."""
    labels = found.astype(np.uint8) * np.uint8(Lesion.GROUND_GLASS)
    labels[found & dense] = Lesion.CONSOLIDATION
    return labels

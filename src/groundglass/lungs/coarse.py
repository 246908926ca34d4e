"""The scan at about 1.5 mm, where lungs are told from everything else, and the way back."""

from dataclasses import dataclass

import cv2
import edt
import numpy as np
from numpy.typing import NDArray

from groundglass.scan import CTScan

TARGET_MM = (2.0, 1.45, 1.45)
"""Voxel size that is aimed at along slice, row and column: fine enough for a main bronchus."""

LOWEST_HU = -1024


@dataclass(frozen=True, slots=True, eq=False)
class CoarseScan:
    """A scan averaged over small blocks of voxels.

    Attributes:
        hu: Hounsfield units as int16, axes slice, row, column.
        spacing_mm: Voxel size along slice, row and column.
        factors: How many voxels of the scan one voxel averages along each axis.
    """

    hu: NDArray[np.int16]
    spacing_mm: tuple[float, float, float]
    factors: tuple[int, int, int]

    @classmethod
    def of(cls, scan: CTScan) -> "CoarseScan":
        """Average the scan; voxels that are large already stay as they are."""
        by_slice, *in_plane = (
            max(1, min(round(target / mm), size))
            for target, mm, size in zip(TARGET_MM, scan.spacing_mm, scan.slices.shape, strict=True)
        )
        rows, columns = (
            -(-size // f) for size, f in zip(scan.slices.shape[1:], in_plane, strict=True)
        )
        groups = [scan.slices[i : i + by_slice] for i in range(0, len(scan.slices), by_slice)]
        hu = np.empty((len(groups), rows, columns), np.int16)
        for pixels, group in zip(hu, groups, strict=True):
            mean = _mean(group)
            padded = cv2.copyMakeBorder(
                mean,
                0,
                rows * in_plane[0] - mean.shape[0],
                0,
                columns * in_plane[1] - mean.shape[1],
                cv2.BORDER_REPLICATE,
            )
            pixels[:] = cv2.resize(padded, (columns, rows), interpolation=cv2.INTER_AREA)
        factors = (by_slice, in_plane[0], in_plane[1])
        spacing = tuple(mm * f for mm, f in zip(scan.spacing_mm, factors, strict=True))
        return cls(hu, (spacing[0], spacing[1], spacing[2]), factors)

    @property
    def pixel_mm(self) -> float:
        """Size of a pixel within its slice."""
        return float(np.sqrt(self.spacing_mm[1] * self.spacing_mm[2]))

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel."""
        return float(np.prod(self.spacing_mm)) / 1000.0

    def disk(self, radius_mm: float) -> NDArray[np.uint8]:
        """Kernel of a disk within a slice, for OpenCV."""
        radius = max(1, round(radius_mm / self.pixel_mm))
        size = (2 * radius + 1, 2 * radius + 1)
        return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, size).astype(np.uint8)

    def distance(self, inside: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Distance in mm of each true voxel from the nearest false one; 0 at false ones."""
        distance: NDArray[np.float32] = edt.edt(
            np.ascontiguousarray(inside), anisotropy=self.spacing_mm, black_border=False
        )
        return distance


def _mean(group: NDArray[np.int16]) -> NDArray[np.int16]:
    if len(group) == 1:
        return np.asarray(np.maximum(group[0], LOWEST_HU), np.int16)
    total = np.zeros(group.shape[1:], np.int32)
    for pixels in group:
        total += np.maximum(pixels, LOWEST_HU)
    return (total // len(group)).astype(np.int16)

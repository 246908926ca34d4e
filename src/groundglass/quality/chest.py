"""A scan with its lungs as quality control looks at it: each picture of it is made once."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.lungs.body import find_body
from groundglass.lungs.coarse import CoarseScan
from groundglass.mask import Mask
from groundglass.scan import CTScan

FEWEST_SLICES = 10
"""With fewer, nothing can be said about the course from apex to base."""


@dataclass(frozen=True, eq=False)  # no slots: cached properties need a dictionary
class Chest:
    """A chest CT volume and its lungs.

    Attributes:
        scan: The volume.
        lungs: Label set ``Lung``.
    """

    scan: CTScan
    lungs: Mask

    @cached_property
    def areas_cm2(self) -> NDArray[np.float64]:
        """Lung on each slice in square centimeters."""
        _, row_mm, column_mm = self.scan.spacing_mm
        pixels = np.array([np.count_nonzero(s) for s in self.lungs.slices])
        return np.asarray(pixels * row_mm * column_mm / 100.0)

    @cached_property
    def is_stack(self) -> bool:
        """Whether there are slices enough to speak of a course from apex to base."""
        return len(self.lungs.slices) >= FEWEST_SLICES

    @cached_property
    def coarse(self) -> CoarseScan:
        """The scan at about 1.5 mm."""
        return CoarseScan.of(self.scan)

    @cached_property
    def body(self) -> NDArray[np.uint8]:
        """The body on the coarse grid, 1 inside, without table and bed."""
        return find_body(self.coarse)

    @cached_property
    def coarse_lungs(self) -> NDArray[np.uint8]:
        """Numbers of the lungs on the coarse grid, of every so many voxels the first."""
        slices, rows, columns = self.coarse.factors
        return self.lungs.array[::slices, ::rows, ::columns]

    @cached_property
    def coarse_span(self) -> slice:
        """Slices of the coarse grid that show lung, from the first to the last."""
        shown = np.flatnonzero(self.coarse_lungs.any(axis=(1, 2)))
        return slice(int(shown[0]), int(shown[-1]) + 1) if shown.size else slice(0, 0)

    @cached_property
    def middle(self) -> tuple[float, float]:
        """Row and column of the middle of the body on the coarse grid."""
        weights = self.body.sum(axis=0, dtype=np.int64)
        if not weights.any():
            return weights.shape[0] / 2, weights.shape[1] / 2
        row, column = (
            np.average(np.arange(size), weights=weights.sum(axis=1 - axis))
            for axis, size in enumerate(weights.shape)
        )
        return float(row), float(column)

    @cached_property
    def smooth_hu(self) -> NDArray[np.float32]:
        """The coarse slices that show lung, from -1000 to 200 HU, without noise."""
        slices = self.coarse.hu[self.coarse_span]
        shown = np.clip(slices, -1000, 200).astype(np.float32)
        return np.stack([cv2.GaussianBlur(s, (0, 0), 2.0) for s in shown])

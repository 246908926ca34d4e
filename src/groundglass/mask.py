"""A label map on the grid of the scan it belongs to."""

from collections.abc import Sequence
from dataclasses import dataclass

import highdicom as hd
import numpy as np
from numpy.typing import NDArray

from groundglass.errors import GeometryError
from groundglass.labels import Label
from groundglass.scan import CTScan, Scan


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """Label numbers for every voxel of a scan, or every pixel of a set of pictures.

    Build one with :meth:`on`: the geometry then comes from the scan and cannot differ.

    Attributes:
        slices: Label numbers as uint8, 0 for background: one (slice, row, column) array for a CT
            volume, or one (row, column) array per picture.
        labels: The label set that the numbers belong to.
        geometry: Grid of the CT volume; ``None`` for pictures.
    """

    slices: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]
    labels: type[Label]
    geometry: hd.VolumeGeometry | None

    @classmethod
    def on(
        cls,
        scan: Scan,
        slices: Sequence[NDArray[np.generic]] | NDArray[np.generic],
        labels: type[Label],
    ) -> "Mask":
        """Mask on the grid of a scan.

        Args:
            scan: CT volume or pictures.
            slices: Label numbers, shaped like ``scan.slices``; any integer or boolean type.
            labels: The label set of the numbers.

        Raises:
            GeometryError: If the shapes differ from the scan's.
        """
        found, expected = [s.shape for s in slices], [s.shape for s in scan.slices]
        if found != expected:
            raise GeometryError(
                f"found a mask of {_shapes(found)}, expected the scan's {_shapes(expected)}"
            )
        if isinstance(scan, CTScan):
            array = np.ascontiguousarray(slices, dtype=np.uint8)
            return cls(array, labels, scan.voxels.get_geometry())
        return cls(tuple(np.ascontiguousarray(s, dtype=np.uint8) for s in slices), labels, None)

    @property
    def array(self) -> NDArray[np.uint8]:
        """Label numbers of a CT volume, shape (slice, row, column).

        Raises:
            GeometryError: For pictures, which are no volume.
        """
        if not isinstance(self.slices, np.ndarray):
            raise GeometryError(
                "found pictures, expected a CT volume; use Mask.slices picture by picture"
            )
        return self.slices

    @property
    def voxels(self) -> hd.Volume:
        """The mask as a volume in space; raises GeometryError for pictures."""
        array = self.array
        assert self.geometry is not None
        return self.geometry.with_array(array)

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel in ml.

        Raises:
            GeometryError: For pictures, whose pixels have no size in mm.
        """
        if self.geometry is None:
            raise GeometryError(
                "found pictures without a pixel size in mm, expected a CT volume; "
                "volumes in ml need DICOM, NIfTI, MetaImage or NRRD"
            )
        return float(self.geometry.voxel_volume) / 1000.0

    def where(self, *wanted: int) -> list[NDArray[np.bool_]]:
        """For each slice, the (row, column) pixels that carry one of the wanted numbers."""
        numbers = [int(number) for number in wanted]  # numpy compares enum members ten times slower
        if len(numbers) == 1:
            return [s == numbers[0] for s in self.slices]
        return [np.isin(s, numbers) for s in self.slices]

    def counts(self) -> NDArray[np.int64]:
        """Pixels of each label number on each slice, shape (slice, largest number + 1)."""
        size = int(max(self.labels)) + 1
        return np.stack([np.bincount(s.ravel(), minlength=size)[:size] for s in self.slices])

    def same_grid(self, other: "Mask") -> bool:
        """Whether the other mask lies on the same grid."""
        if [s.shape for s in self.slices] != [s.shape for s in other.slices]:
            return False
        if self.geometry is None or other.geometry is None:
            return self.geometry is other.geometry
        return bool(np.allclose(self.geometry.affine, other.geometry.affine, atol=1e-4))


def _shapes(shapes: list[tuple[int, ...]]) -> str:
    kinds = sorted(set(shapes))
    return f"{len(shapes)} slices of {' and '.join(f'{r} x {c}' for r, c, *_ in kinds[:3])}"

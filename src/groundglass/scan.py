"""What is read: CT volumes in Hounsfield units, pictures of CT slices, and chest radiographs."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from groundglass.errors import GeometryError, UnreadableScanError

AXES = "FPL"
"""Axes of every scan: slices run to the Feet, rows to the Posterior, columns to the Left."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something noticed on the way that a reader of the report must know.

    Attributes:
        name: Short fixed name, the one that ``--tolerate`` takes, such as ``gap``.
        message: What was found and what was done about it, in one sentence.
    """

    name: str
    message: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where a scan came from, without anything that names the patient.

    Attributes:
        name: Name of the file or folder that was read, for titles and tables.
        format: Reader that read it, a name in ``groundglass.read.READERS``.
        description: Harmless facts for the report, such as ``{"kernel": "B70f"}``; shown in order.
        notes: What was noticed on reading.
        headers: DICOM headers without pixels, one per slice from head to feet (one in all for
            multi-frame objects); empty for other formats. They may hold the patient's name, and
            only the DICOM writers may look at them.
        stored: Geometry of the volume as it was stored; ``None`` for pictures.
    """

    name: str
    format: str
    description: dict[str, str] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    headers: tuple[Dataset, ...] = field(default=(), repr=False)
    stored: hd.VolumeGeometry | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class CTScan:
    """A chest CT volume.

    Attributes:
        voxels: Hounsfield units as int16, axes slice, row, column, orientation ``FPL``.
        source: Where it came from.

    Raises:
        GeometryError: If the voxels lie in another orientation; use :meth:`of`.
    """

    voxels: hd.Volume
    source: Source

    def __post_init__(self) -> None:
        """Refuse a volume in another orientation or another type."""
        found = "".join(o.value for o in self.voxels.get_closest_patient_orientation())
        if found != AXES:
            raise GeometryError(
                f"found voxels in orientation {found}, expected {AXES}; call CTScan.of"
            )
        if self.voxels.dtype != np.int16:
            raise UnreadableScanError(
                f"found voxels of type {self.voxels.dtype}, expected int16 Hounsfield units; "
                "call CTScan.of"
            )

    @classmethod
    def of(cls, voxels: hd.Volume, source: Source) -> "CTScan":
        """Scan from a volume in any orientation, rounded to whole Hounsfield units.

        Args:
            voxels: Hounsfield units, any of the 48 orientations, any numeric type.
            source: Where it came from.
        """
        turned = voxels.to_patient_orientation(AXES)
        array = turned.array
        if array.dtype != np.int16:
            limits = np.iinfo(np.int16)
            array = np.clip(np.rint(array), limits.min, limits.max).astype(np.int16)
        return cls(turned.with_array(np.ascontiguousarray(array)), source)

    @property
    def slices(self) -> NDArray[np.int16]:
        """Hounsfield units, shape (slice, row, column)."""
        return self.voxels.array

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighboring voxels along slice, row and column, in mm."""
        slice_mm, row_mm, column_mm = self.voxels.spacing
        return float(slice_mm), float(row_mm), float(column_mm)


class CTGrid(CTScan):
    """The grid of a CT volume whose Hounsfield units are not at hand, for masks without a scan.

    Every voxel reads as air. Scores that need Hounsfield units refuse it.
    """

    __slots__ = ()

    @classmethod
    def on(cls, geometry: hd.VolumeGeometry, source: Source) -> "CTGrid":
        """Grid of a geometry in orientation ``FPL``."""
        air = np.broadcast_to(np.int16(-1024), geometry.spatial_shape)
        return cls(geometry.with_array(air), source)


@dataclass(frozen=True, slots=True, eq=False)
class CTSlices:
    """Pictures of axial CT slices as they stand in articles, teaching files and public sets.

    They have no Hounsfield units and no millimeters. Right lung on the left of the picture, as
    radiologists look at it.

    Attributes:
        names: Name of each picture without its suffix, unique, the name of its mask.
        slices: Gray values 0 (black) to 255 (white) as uint8, one (row, column) array per
            picture; sizes may differ.
        source: Where they came from.
    """

    names: tuple[str, ...]
    slices: Sequence[NDArray[np.uint8]]
    source: Source

    def __post_init__(self) -> None:
        """Refuse a name that stands twice and a picture that is not gray."""
        if len(self.names) != len(self.slices) or len(set(self.names)) != len(self.names):
            raise UnreadableScanError(
                f"found {len(self.slices)} pictures with {len(set(self.names))} different names, "
                "expected one name each; rename those that share a name"
            )
        for name, pixels in zip(self.names, self.slices, strict=True):
            if pixels.ndim != 2 or pixels.dtype != np.uint8:
                raise UnreadableScanError(
                    f"found picture '{name}' with shape {pixels.shape} and type {pixels.dtype}, "
                    "expected (row, column) uint8"
                )


Scan = CTScan | CTSlices
"""Anything that lungs and lesions can be found on."""


@dataclass(frozen=True, slots=True, eq=False)
class Radiograph:
    """A frontal chest radiograph: a projection, on which nothing is measured in Hounsfield units.

    Right lung on the left of the picture; air dark, bone bright.

    Attributes:
        pixels: Gray values 0 (black) to 255 (white) as uint8, shape (row, column).
        source: Where it came from.

    Raises:
        UnreadableScanError: If the pixels are not gray.
    """

    pixels: NDArray[np.uint8]
    source: Source

    def __post_init__(self) -> None:
        """Refuse a picture that is not gray."""
        if self.pixels.ndim != 2 or self.pixels.dtype != np.uint8:
            raise UnreadableScanError(
                f"found a radiograph with shape {self.pixels.shape} and type {self.pixels.dtype}, "
                "expected (row, column) uint8"
            )

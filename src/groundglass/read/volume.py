"""One stored array with a known grid to a CTScan, the common end of the volume formats."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import highdicom as hd
import numpy as np
from numpy.typing import NDArray

from groundglass.read.grid import check_grid
from groundglass.read.hounsfield import Tally, check_hounsfield_units
from groundglass.read.request import Request
from groundglass.read.wording import times
from groundglass.scan import AXES, CTScan, Source


@dataclass(frozen=True, slots=True, eq=False)
class StoredVolume:
    """A volume file as it is stored, whatever its values are.

    Attributes:
        values: Stored values in the axes of the geometry.
        geometry: Geometry as stored.
        rescale: Slope and intercept from stored to true values.
        names: What the file calls the numbers of a label map, where it does.
    """

    values: NDArray[np.generic]
    geometry: hd.VolumeGeometry
    rescale: tuple[float, float] = (1.0, 0.0)
    names: Mapping[int, tuple[str, ...]] = field(default_factory=dict)


def scan_of(volume: StoredVolume, request: Request, *, file_format: str) -> CTScan:
    """Scan from a volume file.

    Args:
        volume: What is stored, with the rescale to Hounsfield units.
        request: What was asked for.
        file_format: Reader that read it.

    Raises:
        UnreadableScanError: If the grid or the values cannot be a chest CT.
    """
    stored, geometry = volume.values, volume.geometry
    check_grid(geometry, request.oddities)
    tally = Tally()
    voxels = np.empty_like(stored, dtype=np.int16)
    # Slab by slab along the last axis, the slowest one on disk, so that only one slab is ever
    # held as decimal numbers.
    for slab in range(stored.shape[-1]):
        voxels[..., slab] = tally.whole_units(stored[..., slab], *volume.rescale)
    check_hounsfield_units(voxels, tally, request.oddities)
    source = Source(
        name=request.name,
        format=file_format,
        description={"format": file_format, **size_of(geometry)},
        notes=request.oddities.notes,
        stored=geometry,
    )
    return CTScan.of(geometry.with_array(voxels), source)


def size_of(geometry: hd.VolumeGeometry) -> dict[str, str]:
    """Spacing and size of a grid for the report, slices first as radiologists count them."""
    turned = geometry.to_patient_orientation(AXES)
    return {
        "spacing": times(turned.spacing) + " mm",
        "size": times(turned.spatial_shape),
    }

"""Whether a grid of voxels can be a chest: lengths, tilt, extent."""

from collections.abc import Sequence

import highdicom as hd
import numpy as np
from numpy.typing import NDArray

from groundglass.errors import UnreadableScanError
from groundglass.read.oddities import Oddities
from groundglass.read.wording import times
from groundglass.scan import AXES

SMALLEST_CHEST_MM = (100.0, 140.0, 200.0)
"""Smallest extent of an adult chest from head to feet, front to back, right to left."""

LARGEST_EXTENT_MM = 2500.0
"""No scanner covers more."""

LARGEST_VOXELS = 2**31
"""Voxels that an int16 scan of 4 GiB holds."""

LONGEST_SLICE_STEP_MM, LONGEST_PIXEL_MM, SHORTEST_STEP_MM = 10.5, 4.0, 0.05
LARGEST_TILT_DEGREES = 20.0
LARGEST_SHEAR = 1e-3
"""Cosine between two axes up to which they are perpendicular but for rounding: 0.06 degrees."""


def geometry_of(
    affine: NDArray[np.float64], shape: Sequence[int], *, frame_of_reference: str | None = None
) -> hd.VolumeGeometry:
    """Geometry of a volume from an affine in LPS millimeters.

    Axes that rounding in the header left almost perpendicular are made so (up to
    ``LARGEST_SHEAR``).

    Args:
        affine: Voxel indices to LPS millimeters, shape (4, 4).
        shape: Voxels along each axis.
        frame_of_reference: Frame of Reference UID, if known.

    Raises:
        UnreadableScanError: For lengths of zero, axes that are not perpendicular, too many voxels.
    """
    matrix = np.asarray(affine, dtype=np.float64)[:3, :3]
    with np.errstate(over="ignore"):
        lengths = np.linalg.norm(matrix, axis=0)
    if not np.isfinite(affine).all() or not np.isfinite(lengths).all() or lengths.min() <= 0:
        raise UnreadableScanError(
            f"found voxels of {_mm(lengths)}, expected three lengths above zero; "
            "the geometry in the header is damaged, export the scan again"
        )
    if int(np.prod([int(n) for n in shape], dtype=object)) > LARGEST_VOXELS or min(shape) < 1:
        raise UnreadableScanError(
            f"found a volume of {times(shape)} voxels, expected 1 to {LARGEST_VOXELS} in all; "
            "the size in the header is damaged, export the scan again"
        )
    directions = matrix / lengths
    shear = np.abs(directions.T @ directions - np.eye(3)).max()
    if shear > LARGEST_SHEAR:
        raise UnreadableScanError(
            f"found voxel axes that lean by {np.degrees(np.arcsin(min(shear, 1.0))):.1f} degrees, "
            "expected perpendicular axes; resample the scan to a straight grid"
        )
    straight = np.array(affine, dtype=np.float64)
    straight[3] = 0, 0, 0, 1
    if shear > 1e-6:
        left, _, right = np.linalg.svd(directions)
        straight[:3, :3] = (left @ right) * lengths
    return hd.VolumeGeometry(
        straight,
        tuple(int(n) for n in shape),
        coordinate_system="PATIENT",
        frame_of_reference_uid=frame_of_reference,
    )


def check_grid(
    geometry: hd.VolumeGeometry, oddities: Oddities, *, single_slice: bool = False
) -> None:
    """Refuse a grid that cannot be a chest, before any pixel is decoded.

    Args:
        geometry: Geometry as stored.
        oddities: Where to note or refuse.
        single_slice: Whether one slice alone was asked for; it has no extent to check.

    Raises:
        UnreadableScanError: With the lengths that were found.
    """
    turned = geometry.to_patient_orientation(AXES)
    steps = np.array(turned.spacing, dtype=np.float64)
    extent = steps * turned.spatial_shape
    if extent.max() > LARGEST_EXTENT_MM:
        raise UnreadableScanError(
            f"found a scan of {_mm(extent)}, expected at most {LARGEST_EXTENT_MM:.0f} mm; "
            "check the spacing in the header"
        )
    _check_steps(steps, oddities)
    _check_tilt(turned, oddities)
    _check_extent(extent, oddities, single_slice)


def _check_steps(steps: NDArray[np.float64], oddities: Oddities) -> None:
    if steps.min() < SHORTEST_STEP_MM:
        raise UnreadableScanError(
            f"found voxels of {_mm(steps)}, expected at least {SHORTEST_STEP_MM} mm; "
            "check the unit of the spacing in the header"
        )
    if steps[0] > LONGEST_SLICE_STEP_MM or steps[1:].max() > LONGEST_PIXEL_MM:
        oddities.tolerate(
            "thick-slices",
            found=f"voxels of {_mm(steps)} (slice, row, column)",
            expected=f"at most {LONGEST_SLICE_STEP_MM} mm between slices and "
            f"{LONGEST_PIXEL_MM} mm between pixels",
            advice="give the thin axial series",
            done="small lesions cannot be seen and volumes are coarse",
        )
    elif steps[0] > 5.0:
        oddities.note(
            "coarse-slices",
            f"Found {steps[0]:g} mm between slices; lesions smaller than that may be missed.",
        )


def _check_tilt(turned: hd.VolumeGeometry, oddities: Oddities) -> None:
    cosines = np.abs(np.array(turned.unit_vectors())).max(axis=1)
    tilt = float(np.degrees(np.arccos(np.clip(cosines.min(), 0, 1))))
    if tilt > LARGEST_TILT_DEGREES:
        oddities.tolerate(
            "oblique",
            found=f"slices tilted by {tilt:.0f} degrees to the body axes",
            expected=f"at most {LARGEST_TILT_DEGREES:.0f} degrees",
            advice="give the axial series",
            done="they were read in the nearest orientation",
        )


def _check_extent(extent: NDArray[np.float64], oddities: Oddities, single_slice: bool) -> None:
    smallest = np.array(SMALLEST_CHEST_MM)
    short = extent < smallest - 0.5
    if single_slice:
        short[0] = False
    if short.any():
        oddities.tolerate(
            "small-field",
            found=f"a scan of {_mm(extent)} (head to feet, front to back, right to left)",
            expected=f"at least {_mm(smallest)} for the chest of an adult",
            advice="give the whole scan",
            done="what lies outside is not counted",
        )


def _mm(lengths: NDArray[np.float64]) -> str:
    return times(lengths) + " mm"

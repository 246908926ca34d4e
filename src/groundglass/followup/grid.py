"""Two grids compared in space, and a volume laid on another grid without resampling."""

from collections.abc import Sequence

import highdicom as hd
import numpy as np
from numpy.typing import NDArray

from groundglass.errors import GeometryError
from groundglass.read.wording import times

TOLERANCE_MM = 0.05
"""Grids that differ by less at every corner are one: files round positions and spacings."""


def same_place(one: hd.VolumeGeometry, other: hd.VolumeGeometry) -> bool:
    """Whether two geometries hold the same voxels in the same order."""
    if one.spatial_shape != other.spatial_shape:
        return False
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in one.spatial_shape])).reshape(3, -1).T
    gap = one.map_indices_to_reference(corners) - other.map_indices_to_reference(corners)
    return bool(np.linalg.norm(gap, axis=1).max() < TOLERANCE_MM)


def placed(volume: hd.Volume, geometry: hd.VolumeGeometry, what: str) -> hd.Volume:
    """A label map on another grid: axes turned, borders cut off or filled with 0.

    Args:
        volume: Label numbers, any orientation.
        geometry: Where to.
        what: What the volume is, for errors.

    Raises:
        GeometryError: If its voxels do not lie on those of the grid, or a label outside the grid
            would be lost.
    """
    turned = volume.match_orientation(geometry)
    if not np.allclose(turned.spacing, geometry.spacing, rtol=1e-3):
        raise GeometryError(
            f"found {what} with voxels of {_mm(turned.spacing)}, expected {_mm(geometry.spacing)} "
            "as in the result; save the mask on the grid of the scan, without resampling"
        )
    steps = np.linalg.solve(geometry.affine, turned.affine[:, 3])[:3]
    offset = np.rint(steps).astype(int)
    ends = np.array([[0, 0, 0], np.array(turned.spatial_shape) - 1])
    expected = geometry.map_indices_to_reference(ends + offset)
    gap_mm = np.linalg.norm(turned.map_indices_to_reference(ends) - expected, axis=1).max()
    if gap_mm > TOLERANCE_MM:
        raise GeometryError(
            f"found {what} whose voxels lie up to {gap_mm:.2g} mm beside those of the result, "
            "expected the same grid; save the mask on the grid of the scan, without resampling"
        )
    return geometry.with_array(_laid(turned.array, offset, geometry.spatial_shape, what))


def _laid(
    numbers: NDArray[np.generic], offset: NDArray[np.int_], shape: tuple[int, ...], what: str
) -> NDArray[np.generic]:
    """Numbers in a larger or smaller array, the first voxel at the offset."""
    if not offset.any() and numbers.shape == shape:
        return numbers
    target = np.zeros(shape, numbers.dtype)
    into, out_of = [], []
    for first, own, there in zip(offset, numbers.shape, shape, strict=True):
        start, stop = max(0, int(first)), min(there, int(first) + own)
        into.append(slice(start, max(start, stop)))
        out_of.append(slice(start - int(first), max(start, stop) - int(first)))
    inside = numbers[tuple(out_of)]
    if np.count_nonzero(inside) != np.count_nonzero(numbers):
        raise GeometryError(
            f"found {what} with labels outside the scan, expected none there; draw on the scan "
            "that was analyzed"
        )
    target[tuple(into)] = inside
    return target


def _mm(lengths: Sequence[float]) -> str:
    return times(lengths) + " mm"

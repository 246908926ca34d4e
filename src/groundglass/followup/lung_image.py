"""The lungs of a scan as small images to register: their shape, and what is inside them."""

from dataclasses import dataclass
from typing import Any

import highdicom as hd
import numpy as np
import SimpleITK
from numpy.typing import NDArray

from groundglass.findings import Findings
from groundglass.scan import CTGrid, CTScan

sitk: Any = SimpleITK  # its functions carry no types

GRID_MM = 3.0
"""Voxels of the images, along every axis."""

MARGIN_MM = 24.0
"""Body around the lungs that the images hold."""

FARTHEST_MM = 20.0
"""Distances beyond are all one: the far outside has no say."""

SPREAD_HU = 150.0
"""Density above or below the lung's own median that counts as one."""


@dataclass(frozen=True, slots=True, eq=False)
class LungImage:
    """The lungs of a scan on a grid of ``GRID_MM``, in its place in space.

    Attributes:
        distance: ITK image of the signed distance to the surface of the lungs in mm, negative
            inside, cut off at ``FARTHEST_MM``.
        inside: ITK image of what is to be brought together: outside the lungs a ramp that rises
            from their surface, inside the density around its median without lesions, or a second
            ramp where there are no Hounsfield units.
        center_mm: Middle of the lungs in LPS millimeters.
        spread_mm: Standard deviation of their voxels along each LPS axis.
    """

    distance: Any
    inside: Any
    center_mm: NDArray[np.float64]
    spread_mm: NDArray[np.float64]


def has_gray(findings: Findings) -> bool:
    """Whether a result comes with the Hounsfield units of its scan."""
    return isinstance(findings.scan, CTScan) and not isinstance(findings.scan, CTGrid)


def lung_image(findings: Findings, *, with_gray: bool) -> LungImage:
    """The lungs of a CT volume as images to register.

    Args:
        findings: Scan, lungs and lesions.
        with_gray: Whether densities inside the lungs are to be used.
    """
    box = lung_box(findings)
    lungs = cut(findings.lungs.voxels, box)
    inside = lungs.array > 0
    reference = empty_image(lungs, GRID_MM)
    shape = _resampled(lungs.with_array(inside.astype(np.float32)), reference, 0.0)
    mm = np.clip(_signed_distance_mm(shape), -FARTHEST_MM, FARTHEST_MM)
    distance = _image(mm, reference)
    density = np.clip(mm / FARTHEST_MM, -1.0, 0.0)
    if with_gray:
        density = sitk.GetArrayFromImage(_density(findings, box, reference))
    picture = _image(np.where(mm > 0, 2.0 + mm / FARTHEST_MM, density), reference)
    numbers = np.argwhere(mm <= 0)[:, ::-1]
    affine = np.array(reference.GetDirection()).reshape(3, 3) * reference.GetSpacing()
    positions = numbers @ affine.T + reference.GetOrigin()
    return LungImage(
        distance,
        sitk.DiscreteGaussian(picture, (0.5 * GRID_MM) ** 2),
        positions.mean(axis=0),
        positions.std(axis=0),
    )


def _signed_distance_mm(shape: Any) -> NDArray[np.float32]:
    """Distance of every voxel to the surface, negative inside, to a fraction of a voxel near it.

    Args:
        shape: Share of each voxel that is inside.
    """
    whole = sitk.SignedMaurerDistanceMap(
        shape >= 0.5, insideIsPositive=False, squaredDistance=False, useImageSpacing=True
    )
    # it is zero in the middle of the outermost voxels, half a voxel inside the surface
    found = sitk.GetArrayFromImage(whole) - np.float32(GRID_MM / 2)
    near = np.abs(sitk.GetArrayFromImage(sitk.IsoContourDistance(shape, 0.5, 1e3)))
    inside = sitk.GetArrayViewFromImage(shape) >= 0.5
    exact = np.where(inside, -near, near)
    return np.asarray(np.where(near < GRID_MM, exact, found), np.float32)


def _image(array: NDArray[Any], reference: Any) -> Any:
    image = sitk.GetImageFromArray(array.astype(np.float32))
    image.CopyInformation(reference)
    return image


def _density(findings: Findings, box: tuple[slice, ...], reference: Any) -> Any:
    """Density around the median of the lung without lesions, which are painted over."""
    scan = findings.scan
    assert isinstance(scan, CTScan)
    voxels, lungs = cut(scan.voxels, box), findings.lungs.array[box]
    values = voxels.array.astype(np.float32)
    healthy = (lungs > 0) & (findings.lesions.array[box] == 0)
    median = float(np.median(values[healthy])) if healthy.any() else -850.0
    values[~healthy] = median
    scaled = np.clip((values - median) / SPREAD_HU, -1.0, 1.5)
    return _resampled(voxels.with_array(scaled), reference, 0.0)


def lung_box(findings: Findings) -> tuple[slice, slice, slice]:
    """The part of a volume around both lungs, with ``MARGIN_MM`` where the scan has it."""
    lungs, geometry = findings.lungs.array, findings.lungs.voxels
    spans = []
    for axis, spacing in enumerate(geometry.spacing):
        others = tuple(a for a in range(3) if a != axis)
        found = np.flatnonzero((lungs > 0).any(axis=others))
        margin = int(np.ceil(MARGIN_MM / spacing))
        stop = min(lungs.shape[axis], int(found[-1]) + margin + 1)
        spans.append(slice(max(0, int(found[0]) - margin), stop))
    return spans[0], spans[1], spans[2]


def cut(volume: hd.Volume, box: tuple[slice, ...]) -> hd.Volume:
    """The part of a volume in a box."""
    return volume[box]  # type: ignore[index]  # highdicom's stubs know one slice alone


def empty_image(volume: hd.Volume, grid_mm: float) -> Any:
    """An empty ITK image over a volume and ``MARGIN_MM`` around it, in its axes."""
    image = volume.to_simpleitk()
    spacing = np.array(image.GetSpacing())
    direction = np.array(image.GetDirection()).reshape(3, 3)
    extent = np.array(image.GetSize()) * spacing + 2 * MARGIN_MM
    size = np.maximum(8, np.ceil(extent / grid_mm)).astype(int)
    first = np.array(image.GetOrigin()) - direction @ np.full(3, MARGIN_MM)
    reference = sitk.Image([int(n) for n in size], sitk.sitkFloat32)
    reference.SetSpacing([grid_mm] * 3)
    reference.SetOrigin(first.tolist())
    reference.SetDirection(image.GetDirection())
    return reference


def _resampled(volume: hd.Volume, reference: Any, background: float) -> Any:
    """The volume on another grid, averaged first where its voxels are much smaller."""
    image = volume.to_simpleitk()
    factors = [max(1, int(GRID_MM / mm)) for mm in image.GetSpacing()]
    if max(factors) > 1:
        image = sitk.BinShrink(image, factors)
    return sitk.Resample(
        image, reference, sitk.Transform(), sitk.sitkLinear, background, sitk.sitkFloat32
    )

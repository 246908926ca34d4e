"""Radiomics: shape and first-order features of each lesion, by the definitions of the IBSI.

The Image Biomarker Standardization Initiative: Zwanenburg et al., Radiology 2020; 295:328,
doi:10.1148/radiol.2020191145. Shape comes from SimpleITK, densities from NumPy and SciPy.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import cc3d
import numpy as np
import SimpleITK
from numpy.typing import NDArray
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist
from scipy.stats import entropy, kurtosis, skew

from groundglass.errors import OutputError
from groundglass.findings import Findings
from groundglass.labels import Lesion, Lobe, Lung, Region
from groundglass.mask import Mask
from groundglass.scan import CTGrid, CTScan

sitk: Any = SimpleITK  # its functions carry no types

LEAST_ML = 0.1
"""Smaller lesions have no row, as they do not count as lesions."""

ENTROPY_BIN_HU = 25
"""Width of the bins of the entropy, which begin at -1024 HU."""

FEW_POINTS = 500
"""So many points need no convex hull to find the two farthest apart."""

Box = tuple[slice, slice, slice]

_Part = TypeVar("_Part", Lung, Lobe, Region)


@dataclass(frozen=True, slots=True)
class LesionFeatures:
    """One lesion: touching voxels of one kind, corners included, of 0.1 ml or more.

    Attributes:
        kind: What it is.
        lung: The lung that holds most of it; ``None`` where it lies outside the lungs.
        lobe: The lobe that holds most of it, where lobes are known.
        region: The region that holds most of it, where regions are known.
        center_mm: Mean position of its voxels in LPS millimeters.
        volume_ml: Number of voxels times the volume of a voxel.
        surface_mm2: Area of its surface, estimated by the lines that cross it (Crofton).
        sphericity: Surface of a ball of its volume over its own surface: 1 for a ball, less for
            anything else. The estimate can pass 1 by a few per cent in small lesions.
        maximum_diameter_mm: Largest distance between the centers of two of its voxels.
        axes_mm: Major, minor and least axis: four times the root of the principal moments of the
            voxel centers. For an ellipsoid they are 0.894 of its diameters.
        mean_hu: Mean.
        sd_hu: Standard deviation, of the voxels as a population.
        percentiles_hu: Minimum, 10th percentile, median, 90th percentile, maximum.
        skewness: Third standardized moment; 0 where all voxels have one value.
        excess_kurtosis: Fourth standardized moment less 3; 0 where all voxels have one value.
        entropy_bits: Entropy of the histogram with bins of 25 HU.
    """

    kind: Lesion
    lung: Lung | None
    lobe: Lobe | None
    region: Region | None
    center_mm: tuple[float, float, float]
    volume_ml: float
    surface_mm2: float
    sphericity: float
    maximum_diameter_mm: float
    axes_mm: tuple[float, float, float]
    mean_hu: float
    sd_hu: float
    percentiles_hu: tuple[float, float, float, float, float]
    skewness: float
    excess_kurtosis: float
    entropy_bits: float


def lesion_features(findings: Findings) -> list[LesionFeatures]:
    """Shape and density of each lesion, the largest first.

    Args:
        findings: Lungs and lesions of a CT volume.

    Raises:
        OutputError: For pictures, which have neither millimeters nor Hounsfield units, and for
            masks without their scan, which have no Hounsfield units.
    """
    _volume(findings)
    found = [one for kind in Lesion for one in _of_kind(findings, kind)]
    return sorted(found, key=lambda one: -one.volume_ml)


def _volume(findings: Findings) -> CTScan:
    if not isinstance(findings.scan, CTScan):
        raise OutputError(
            f"found pictures in '{findings.scan.source.name}', expected a CT volume for the "
            "features of lesions; leave the format radiomics out"
        )
    if isinstance(findings.scan, CTGrid):
        raise OutputError(
            f"found the masks of '{findings.scan.source.name}' without their scan, expected the "
            "scan for the densities of lesions; name it with --scan, or leave the format radiomics "
            "out"
        )
    return findings.scan


def _of_kind(findings: Findings, kind: Lesion) -> Iterator[LesionFeatures]:
    voxels = findings.lesions.array == int(kind)
    if not voxels.any():
        return
    box = _box(voxels)
    numbers = cc3d.connected_components(voxels[box], connectivity=26, out_dtype=np.uint32)
    least = max(1, int(np.ceil(LEAST_ML / findings.lesions.voxel_volume_ml - 1e-9)))
    numbers = cc3d.dust(numbers, threshold=least, connectivity=26)
    shapes = _shapes(numbers, _volume(findings).spacing_mm)
    boxes = cc3d.statistics(numbers)["bounding_boxes"]
    for number in shapes.GetLabels():
        part = boxes[number]
        where = (
            slice(box[0].start + part[0].start, box[0].start + part[0].stop),
            slice(box[1].start + part[1].start, box[1].start + part[1].stop),
            slice(box[2].start + part[2].start, box[2].start + part[2].stop),
        )
        yield _features(findings, kind, where, numbers[part] == number, shapes, number)


def _features(
    findings: Findings,
    kind: Lesion,
    box: Box,
    own: NDArray[np.bool_],
    shapes: Any,
    number: int,
) -> LesionFeatures:
    scan = _volume(findings)
    values = scan.slices[box][own].astype(np.float64)
    least, minor, major = (4.0 * max(m, 0.0) ** 0.5 for m in shapes.GetPrincipalMoments(number))
    low, p10, median, p90, high = (float(p) for p in np.percentile(values, (0, 10, 50, 90, 100)))
    varied = low < high
    bins = np.bincount(((values + 1024) // ENTROPY_BIN_HU).clip(0).astype(np.int64))
    points = np.argwhere(own)
    middle = points.mean(axis=0) + [part.start for part in box]
    x, y, z = scan.voxels.map_indices_to_reference(middle[None])[0]
    return LesionFeatures(
        kind=kind,
        lung=_most(findings.lungs, box, own, Lung),
        lobe=_most(findings.lobes, box, own, Lobe),
        region=_most(findings.regions, box, own, Region),
        center_mm=(float(x), float(y), float(z)),
        volume_ml=float(shapes.GetPhysicalSize(number)) / 1000.0,
        surface_mm2=float(shapes.GetPerimeter(number)),
        sphericity=float(shapes.GetRoundness(number)),
        maximum_diameter_mm=_diameter_mm(points * np.array(scan.spacing_mm)),
        axes_mm=(major, minor, least),
        mean_hu=float(values.mean()),
        sd_hu=float(values.std()),
        percentiles_hu=(low, p10, median, p90, high),
        skewness=float(skew(values)) if varied else 0.0,
        excess_kurtosis=float(kurtosis(values)) if varied else 0.0,
        entropy_bits=float(entropy(bins, base=2)),
    )


def _shapes(
    numbers: NDArray[np.unsignedinteger[Any]], spacing_mm: tuple[float, float, float]
) -> Any:
    """ITK's shape statistics of each number; a rim keeps surfaces off the border."""
    image = sitk.GetImageFromArray(np.pad(numbers, 1))
    image.SetSpacing(spacing_mm[::-1])
    shapes = sitk.LabelShapeStatisticsImageFilter()
    shapes.ComputePerimeterOn()
    shapes.Execute(image)
    return shapes


def _diameter_mm(points_mm: NDArray[np.float64]) -> float:
    """Largest distance between two points."""
    if len(points_mm) < 2:
        return 0.0
    if len(points_mm) > FEW_POINTS:
        # joggled, so that a lesion of one slice has a hull as well
        points_mm = points_mm[ConvexHull(points_mm, qhull_options="QJ").vertices]
    return float(pdist(points_mm).max())


def _most(mask: Mask | None, box: Box, own: NDArray[np.bool_], labels: type[_Part]) -> _Part | None:
    """The label that most voxels of a lesion have, background aside."""
    if mask is None:
        return None
    counts = np.bincount(mask.array[box][own], minlength=2)
    counts[0] = 0
    number = int(counts.argmax())
    return next((part for part in labels if int(part) == number), None)


def _box(voxels: NDArray[np.bool_]) -> Box:
    first, second, third = (
        np.flatnonzero(voxels.any(axis=axes))[[0, -1]] for axes in ((1, 2), (0, 2), (0, 1))
    )
    return (
        slice(int(first[0]), int(first[1]) + 1),
        slice(int(second[0]), int(second[1]) + 1),
        slice(int(third[0]), int(third[1]) + 1),
    )

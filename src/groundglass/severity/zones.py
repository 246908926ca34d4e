"""Where in the lungs the disease lies: above or below, in front or behind, outside or inside."""

from collections.abc import Iterator

import edt
import numpy as np
from numpy.typing import NDArray

from groundglass.errors import NotMeasurableError
from groundglass.findings import Findings
from groundglass.labels import OPACITIES, Lung
from groundglass.score import Score
from groundglass.severity.involvement import percentage_of_opacity

Mask3D = NDArray[np.bool_]

ZONES = (
    "upper third",
    "middle third",
    "lower third",
    "anterior half",
    "posterior half",
    "peripheral half",
    "central half",
)


def percentage_of_opacity_by_zone(findings: Findings) -> Score:
    """Percentage of the lungs that is opacified, and of zones of both lungs together.

    Each lung is divided by its own volume: into thirds from apex to base, halves from front to
    back, and an outer and an inner half by the distance from its surface, the mediastinal
    surface included. Typical COVID-19 pneumonia has more in the posterior and the peripheral half
    and in the lower third.

    Args:
        findings: Lungs and lesions of a CT volume.

    Returns:
        Score in per cent, 0 to 100; the parts are the zones that have a voxel.

    Raises:
        NotMeasurableError: For pictures, which are no volume.
    """
    geometry = findings.lungs.geometry
    if geometry is None:
        raise NotMeasurableError(
            "pictures that are no volume",
            "a CT volume; read the scan from DICOM, NIfTI, MetaImage or NRRD",
        )
    voxels, opacified = np.zeros((2, len(ZONES)), np.int64)
    for inside, opacity in _each_lung(findings):
        of_lung, of_opacity = _counts(inside, opacity, geometry.spacing)
        voxels += of_lung
        opacified += of_opacity
    whole = percentage_of_opacity(findings)
    return Score(
        name="percentage_of_opacity_by_zone",
        title="percentage of opacity by zone",
        value=whole.value,
        unit="%",
        parts={z: 100.0 * o / v for z, v, o in zip(ZONES, voxels, opacified, strict=True) if v},
        maximum=100.0,
        definition=(
            "Opacified voxels per 100 voxels of a zone of both lungs; zones have equal volumes in "
            "each lung: thirds from apex to base, halves from front to back, and halves by the "
            "distance from the surface of the lung."
        ),
    )


def _each_lung(findings: Findings) -> Iterator[tuple[Mask3D, Mask3D]]:
    """For each lung that has a voxel, the lung and its opacity within its box."""
    lungs, lesions = findings.lungs.array, findings.lesions.array
    for lung in Lung:
        own = lungs == int(lung)
        if not own.any():
            continue
        spans = [np.flatnonzero(own.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
        box = tuple(slice(int(s[0]), int(s[-1]) + 1) for s in spans)
        inside = own[box]
        opacity = np.zeros_like(inside)
        for kind in OPACITIES:
            opacity |= lesions[box] == int(kind)
        yield inside, opacity & inside


def _counts(
    inside: Mask3D, opacity: Mask3D, spacing_mm: tuple[float, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Voxels of the zones of one lung, and those that are opacified, in the order of ``ZONES``."""
    third = (3 * _passed(inside.sum(axis=(1, 2)))).astype(np.int64)
    half = (2 * _passed(inside.sum(axis=(0, 2)))).astype(np.int64)
    depth_mm = edt.edt(inside, anisotropy=spacing_mm, black_border=True, parallel=2)
    central = depth_mm > np.median(depth_mm[inside])
    counts = []
    for chosen in (inside, opacity):
        thirds = np.bincount(third, weights=chosen.sum(axis=(1, 2)), minlength=3)
        halves = np.bincount(half, weights=chosen.sum(axis=(0, 2)), minlength=2)
        deep = np.count_nonzero(chosen & central)
        outer = np.count_nonzero(chosen) - deep
        counts.append(np.array([*thirds, *halves, outer, deep]).astype(np.int64))
    return counts[0], counts[1]


def _passed(profile: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of the volume that lies before the middle of each slice or row, below 1."""
    passed: NDArray[np.float64] = (np.cumsum(profile) - profile / 2) / profile.sum()
    return passed

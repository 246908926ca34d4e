"""Volume of the lungs and of their lesions in ml."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from groundglass.errors import NotMeasurableError
from groundglass.findings import Findings
from groundglass.labels import Lesion, Lung
from groundglass.score import Score
from groundglass.severity.count import (
    lesion_slices,
    lung_voxels,
    opacity_slices,
    voxels_by_lung,
)


def lung_volume_ml(findings: Findings) -> Score:
    """Volume of both lungs together and of each, in ml.

    Lesions inside the lungs are part of it.

    Args:
        findings: Lungs and lesions of a CT volume.

    Raises:
        NotMeasurableError: For pictures, whose pixels have no size in mm.
    """
    _require_millimeters(findings)
    return _volume(
        findings,
        lung_voxels(findings),
        name="lung_volume_ml",
        title="lung volume",
        definition="Lung voxels, with the lesions in them, times the volume of a voxel.",
    )


def opacity_volume_ml(findings: Findings) -> Score:
    """Volume of opacified lung in all and in each lung, in ml.

    Args:
        findings: Lungs and lesions of a CT volume.

    Raises:
        NotMeasurableError: For pictures, whose pixels have no size in mm.
    """
    return _lesion_volume(findings, opacity_slices(findings), "opacity_volume_ml", "opacity")


def ground_glass_volume_ml(findings: Findings) -> Score:
    """Volume of ground-glass opacity in all and in each lung, in ml.

    Args:
        findings: Lungs and lesions of a CT volume.

    Raises:
        NotMeasurableError: For pictures, whose pixels have no size in mm, and if a lesion in the
            lungs is of unknown kind.
    """
    kind = Lesion.GROUND_GLASS
    chosen = lesion_slices(findings, kind)
    return _lesion_volume(findings, chosen, "ground_glass_volume_ml", kind.title)


def consolidation_volume_ml(findings: Findings) -> Score:
    """Volume of consolidation in all and in each lung, in ml.

    Args:
        findings: Lungs and lesions of a CT volume.

    Raises:
        NotMeasurableError: For pictures, whose pixels have no size in mm, and if a lesion in the
            lungs is of unknown kind.
    """
    kind = Lesion.CONSOLIDATION
    chosen = lesion_slices(findings, kind)
    return _lesion_volume(findings, chosen, "consolidation_volume_ml", kind.title)


def _lesion_volume(
    findings: Findings, chosen: Iterable[NDArray[np.bool_]], name: str, lesion: str
) -> Score:
    _require_millimeters(findings)
    return _volume(
        findings,
        voxels_by_lung(findings, chosen),
        name=name,
        title=f"{lesion} volume",
        definition=f"Lung voxels marked as {lesion}, times the volume of a voxel.",
    )


def _volume(
    findings: Findings, counts: dict[Lung, int], *, name: str, title: str, definition: str
) -> Score:
    voxel_ml = findings.lungs.voxel_volume_ml
    return Score(
        name=name,
        title=title,
        value=sum(counts.values()) * voxel_ml,
        unit="ml",
        parts={lung.title: count * voxel_ml for lung, count in counts.items()},
        definition=definition,
    )


def _require_millimeters(findings: Findings) -> None:
    if findings.lungs.geometry is None:
        raise NotMeasurableError(
            "pictures without a pixel size in mm",
            "a CT volume; read the scan from DICOM, NIfTI, MetaImage or NRRD",
        )

"""Per cent of the lungs that is opacified, and of which kind."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from groundglass.findings import Findings
from groundglass.labels import Lesion
from groundglass.score import Score
from groundglass.severity.count import (
    hounsfield_units,
    lesion_slices,
    opacity_slices,
    percent_of_lung,
)

HIGH_OPACITY_HU = -200
"""From this density on, an opacity counts as high opacity."""

CHAGANTI = (
    "Chaganti et al., Radiology: Artificial Intelligence 2020; 2(4):e200048, "
    "doi:10.1148/ryai.2020200048"
)


def percentage_of_opacity(findings: Findings) -> Score:
    r"""Percentage of the lungs that is opacified, in all and per lung.

    :math:`100 \cdot |opacity \cap lungs| / |lungs|`. Ground-glass opacity, consolidation and
    lesions of unknown kind count; a pleural effusion and anything outside the lungs does not.
    Pixels of a set of pictures are pooled. A lung without a voxel has no part.

    Args:
        findings: Lungs and lesions of a CT volume or of pictures.

    Returns:
        Score in per cent, 0 to 100.

    References:
        Chaganti et al., Radiology: Artificial Intelligence 2020, doi:10.1148/ryai.2020200048.
    """
    value, parts = percent_of_lung(findings, opacity_slices(findings))
    return Score(
        name="percentage_of_opacity",
        title="percentage of opacity",
        value=value,
        unit="%",
        parts=parts,
        maximum=100.0,
        definition=(
            "Lung voxels that are ground-glass opacity, consolidation or a lesion of unknown "
            "kind, per 100 lung voxels; lesions outside the lungs and pleural effusion do not "
            "count."
        ),
        reference=CHAGANTI,
    )


def percentage_of_high_opacity(findings: Findings) -> Score:
    r"""Percentage of the lungs that is densely opacified, in all and per lung.

    :math:`100 \cdot |\{v \in opacity \cap lungs : HU(v) \ge -200\}| / |lungs|`. The density
    decides, whatever kind of lesion the system names; vessels inside an opacity count as well.

    Args:
        findings: Lungs and lesions of a CT volume.

    Returns:
        Score in per cent, 0 to 100.

    Raises:
        NotMeasurableError: For pictures, which carry no Hounsfield units.

    References:
        Chaganti et al., Radiology: Artificial Intelligence 2020, doi:10.1148/ryai.2020200048.
    """
    value, parts = percent_of_lung(findings, high_opacity_slices(findings))
    return Score(
        name="percentage_of_high_opacity",
        title="percentage of high opacity",
        value=value,
        unit="%",
        parts=parts,
        maximum=100.0,
        definition=(f"Opacified lung voxels of {HIGH_OPACITY_HU} HU or more, per 100 lung voxels."),
        reference=CHAGANTI,
    )


def percentage_of_ground_glass(findings: Findings) -> Score:
    """Percentage of the lungs that is ground-glass opacity, in all and per lung.

    Args:
        findings: Lungs and lesions of a CT volume or of pictures.

    Returns:
        Score in per cent, 0 to 100.

    Raises:
        NotMeasurableError: If a lesion in the lungs is of unknown kind.
    """
    return _percentage_of_kind(findings, "percentage_of_ground_glass", Lesion.GROUND_GLASS)


def percentage_of_consolidation(findings: Findings) -> Score:
    """Percentage of the lungs that is consolidation, in all and per lung.

    Args:
        findings: Lungs and lesions of a CT volume or of pictures.

    Returns:
        Score in per cent, 0 to 100.

    Raises:
        NotMeasurableError: If a lesion in the lungs is of unknown kind.
    """
    return _percentage_of_kind(findings, "percentage_of_consolidation", Lesion.CONSOLIDATION)


def high_opacity_slices(findings: Findings) -> Iterator[NDArray[np.bool_]]:
    """For each slice, the (row, column) pixels of opacity of ``HIGH_OPACITY_HU`` or more.

    Raises:
        NotMeasurableError: For pictures, which carry no Hounsfield units.
    """
    voxels_hu = hounsfield_units(findings)
    for opacity, voxels in zip(opacity_slices(findings), voxels_hu, strict=True):
        yield opacity & (voxels >= HIGH_OPACITY_HU)


def _percentage_of_kind(findings: Findings, name: str, kind: Lesion) -> Score:
    value, parts = percent_of_lung(findings, lesion_slices(findings, kind))
    return Score(
        name=name,
        title=f"percentage of {kind.title}",
        value=value,
        unit="%",
        parts=parts,
        maximum=100.0,
        definition=f"Lung voxels marked as {kind.title}, per 100 lung voxels.",
    )

"""Severity scores: every score by name, and all that a scan allows."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from groundglass.errors import NotMeasurableError
from groundglass.findings import Findings
from groundglass.scan import Note
from groundglass.score import Score
from groundglass.severity.aeration import (
    mean_lung_density_hu,
    percentage_of_well_aerated_lung,
    well_aerated_volume_ml,
)
from groundglass.severity.ct_ss import ct_severity_score
from groundglass.severity.fung import fung_grade
from groundglass.severity.involvement import (
    percentage_of_consolidation,
    percentage_of_ground_glass,
    percentage_of_high_opacity,
    percentage_of_opacity,
)
from groundglass.severity.lesions import (
    largest_lesion_volume_ml,
    lesion_count,
    median_lesion_volume_ml,
)
from groundglass.severity.lobar import (
    ct_score_by_lobe,
    lung_high_opacity_score,
    lung_severity_score,
    total_severity_score,
)
from groundglass.severity.mosmed import mosmed_category
from groundglass.severity.opacities import bilateral_disease, mean_opacity_density_hu
from groundglass.severity.volume import (
    consolidation_volume_ml,
    ground_glass_volume_ml,
    lung_volume_ml,
    opacity_volume_ml,
)
from groundglass.severity.zones import percentage_of_opacity_by_zone

SCORES: Mapping[str, Callable[[Findings], Score]] = MappingProxyType(
    {
        "percentage_of_opacity": percentage_of_opacity,
        "percentage_of_high_opacity": percentage_of_high_opacity,
        "percentage_of_ground_glass": percentage_of_ground_glass,
        "percentage_of_consolidation": percentage_of_consolidation,
        "mosmed_category": mosmed_category,
        "fung_grade": fung_grade,
        "ct_severity_score": ct_severity_score,
        "total_severity_score": total_severity_score,
        "ct_score_by_lobe": ct_score_by_lobe,
        "lung_severity_score": lung_severity_score,
        "lung_high_opacity_score": lung_high_opacity_score,
        "lung_volume_ml": lung_volume_ml,
        "opacity_volume_ml": opacity_volume_ml,
        "ground_glass_volume_ml": ground_glass_volume_ml,
        "consolidation_volume_ml": consolidation_volume_ml,
        "lesion_count": lesion_count,
        "largest_lesion_volume_ml": largest_lesion_volume_ml,
        "median_lesion_volume_ml": median_lesion_volume_ml,
        "bilateral_disease": bilateral_disease,
        "mean_opacity_density_hu": mean_opacity_density_hu,
        "percentage_of_opacity_by_zone": percentage_of_opacity_by_zone,
        "percentage_of_well_aerated_lung": percentage_of_well_aerated_lung,
        "well_aerated_volume_ml": well_aerated_volume_ml,
        "mean_lung_density_hu": mean_lung_density_hu,
    }
)
"""Every score by name, in reading order."""


def score_all(findings: Findings) -> tuple[tuple[Score, ...], tuple[Note, ...]]:
    """Every score that the scan allows, and a note on those it does not.

    Args:
        findings: Lungs and lesions of a CT volume or of pictures.

    Returns:
        The scores in the order of ``SCORES``; and one note ``scores`` that names those left out
        and why, or none.
    """
    scores: list[Score] = []
    left_out: dict[str, list[str]] = {}
    for name, measure in SCORES.items():
        try:
            scores.append(measure(findings))
        except NotMeasurableError as error:
            left_out.setdefault(error.found, []).append(name)
    if not left_out:
        return tuple(scores), ()
    reasons = "; ".join(f"{', '.join(names)} ({why})" for why, names in left_out.items())
    return tuple(scores), (Note("scores", f"Scores left out: {reasons}."),)

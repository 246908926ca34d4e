"""Chest CT severity score: 0, 1 or 2 for each of 20 regions."""

from groundglass.findings import Findings
from groundglass.labels import Region
from groundglass.score import Score
from groundglass.severity.count import caution_of_missing, opacity_slices, percent_by_part

SEVERE_ABOVE = 19.5
"""Separated severe from mild disease with sensitivity 83.3 % and specificity 94 %."""


def ct_severity_score(findings: Findings) -> Score:
    """Chest CT severity score (CT-SS) of the scan, 0 to 40, and of each region.

    A region counts 0 where nothing of it is opacified, 1 below 50 per cent, 2 from 50 per cent
    on. Published for readers who judge by eye; here every voxel counts, so that a single false
    voxel makes 1 of 0. A region without a voxel has no part and adds nothing; then a
    caution says so, and a sum below the cut-off means nothing.

    Args:
        findings: Lungs, lesions and regions of a CT volume.

    Returns:
        Sum of the grades of the regions, which are its parts.

    Raises:
        NotMeasurableError: If the regions are not known, as on pictures.

    References:
        Yang et al., Radiology: Cardiothoracic Imaging 2020, doi:10.1148/ryct.2020200047.
    """
    percent = percent_by_part(findings, findings.regions, opacity_slices(findings))
    parts = {region.title: float(_grade_of(p)) for region, p in percent.items()}
    value = sum(parts.values())
    above = value > SEVERE_ABOVE
    caution = caution_of_missing(percent, len(Region), "regions")
    return Score(
        name="ct_severity_score",
        title="CT severity score (CT-SS)",
        value=value,
        unit="grade",
        parts=parts,
        maximum=40.0,
        meaning=None
        if caution and not above
        else f"{'above' if above else 'below'} 19.5, as most {'severe' if above else 'mild'} "
        "cases of the publication were",
        caution=caution,
        definition=(
            "Sum over 20 regions, 0 to 40: 0 where no voxel of the region is opacified, 1 where "
            "less than 50 % are, 2 where 50 % or more are. Above 19.5 separated severe from mild "
            "disease (sensitivity 83.3 %, specificity 94 %)."
        ),
        reference=(
            "Yang et al., Radiology: Cardiothoracic Imaging 2020; 2(2):e200047, "
            "doi:10.1148/ryct.2020200047"
        ),
    )


def _grade_of(percent: float) -> int:
    return 2 if percent >= 50.0 else int(percent > 0.0)

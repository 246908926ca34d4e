"""MosMed category: CT-0 to CT-4 by how much of the lungs is opacified."""

from groundglass.findings import Findings
from groundglass.score import Score
from groundglass.severity.involvement import percentage_of_opacity

MEANINGS = (
    "CT-0: no opacity",
    "CT-1: up to 25 % of the lungs",
    "CT-2: more than 25 %, up to 50 % of the lungs",
    "CT-3: more than 50 %, less than 75 % of the lungs",
    "CT-4: 75 % of the lungs or more",
)


def mosmed_category(findings: Findings) -> Score:
    """MosMed category of the scan, 0 (CT-0) to 4 (CT-4), and of each lung.

    With the percentage of opacity P of both lungs together: CT-0 where P is 0, CT-1 up to and
    with 25, CT-2 up to and with 50, CT-3 below 75, CT-4 from 75 on. Descriptions in use differ in
    where 25, 50 and 75 themselves belong, and have readers weigh the kind of lesion as well; here
    the extent alone decides. A single false voxel makes CT-1 of
    CT-0, as the definition has no tolerance.

    Args:
        findings: Lungs and lesions of a CT volume or of pictures.

    Returns:
        Grade 0 to 4; the parts hold the category of each lung by its own percentage, for those
        who grade by the more affected lung.

    References:
        Morozov et al., MosMedData: Chest CT Scans with COVID-19 Related Findings Dataset, 2020,
        arXiv:2005.06465, annotation principles.
    """
    opacity = percentage_of_opacity(findings)
    grade = grade_of(opacity.value)
    return Score(
        name="mosmed_category",
        title="MosMed category",
        value=grade,
        unit="grade",
        parts={lung: float(grade_of(percent)) for lung, percent in opacity.parts.items()},
        maximum=4.0,
        meaning=MEANINGS[grade],
        definition=(
            "By the percentage of opacity P of both lungs together: CT-0 where P = 0, CT-1 where "
            "0 < P <= 25, CT-2 where 25 < P <= 50, CT-3 where 50 < P < 75, CT-4 where P >= 75; the "
            "parts grade each lung by its own percentage. Readers also weigh the kind of lesion; "
            "here the extent alone decides."
        ),
        reference="Morozov et al., MosMedData, 2020, arXiv:2005.06465",
    )


def grade_of(percent: float) -> int:
    """MosMed grade of a percentage of opacity, 0 to 100."""
    if percent >= 75.0:
        return 4
    return sum(percent > bound for bound in (0.0, 25.0, 50.0))

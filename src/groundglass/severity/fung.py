"""Fung's grade of severity: 0, 1 or 2 by how much of the lungs is opacified."""

from groundglass.findings import Findings
from groundglass.score import Score
from groundglass.severity.involvement import percentage_of_opacity

MEANINGS = (
    "less than 1 % of the lungs",
    "1 % or more, less than 50 % of the lungs",
    "50 % of the lungs or more",
)


def fung_grade(findings: Findings) -> Score:
    """Grade of severity of the scan, 0 to 2, and of each lung.

    With the percentage of opacity P of both lungs together: 0 where P < 1, 1 where P < 50,
    otherwise 2. The thresholds are those of the authors' released program; their article gives
    none for the whole lungs.

    Args:
        findings: Lungs and lesions of a CT volume or of pictures.

    Returns:
        Grade 0 to 2; the parts grade each lung by its own percentage.

    References:
        Fung et al., Journal of Translational Medicine 2021, doi:10.1186/s12967-021-02992-2.
    """
    opacity = percentage_of_opacity(findings)
    grade = _grade_of(opacity.value)
    return Score(
        name="fung_grade",
        title="Fung grade",
        value=grade,
        unit="grade",
        parts={lung: float(_grade_of(percent)) for lung, percent in opacity.parts.items()},
        maximum=2.0,
        meaning=MEANINGS[grade],
        definition=(
            "By the percentage of opacity P of both lungs together: 0 where P < 1, 1 where "
            "1 <= P < 50, 2 where P >= 50; the parts grade each lung by its own percentage."
        ),
        reference=(
            "Fung et al., Journal of Translational Medicine 2021; 19:318, "
            "doi:10.1186/s12967-021-02992-2, thresholds of the released program"
        ),
    )


def _grade_of(percent: float) -> int:
    return sum(percent >= bound for bound in (1.0, 50.0))

"""Scores that grade each of the five lobes by how much of it is opacified, and add the grades."""

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from groundglass.findings import Findings
from groundglass.labels import Lobe
from groundglass.score import Score
from groundglass.severity.count import caution_of_missing, opacity_slices, percent_by_part
from groundglass.severity.involvement import CHAGANTI, high_opacity_slices

QUARTERS = (
    "Sum over the five lobes, 0 to 20, by the percentage P of the lobe that is {what}: 0 where "
    "P = 0, 1 where 0 < P <= 25, 2 where 25 < P <= 50, 3 where 50 < P <= 75, 4 where P > 75."
)


def lung_severity_score(findings: Findings) -> Score:
    """Lung severity score (LSS) of the scan, 0 to 20, and of each lobe, 0 to 4.

    The publication grades 0: 0 %, 1: 1 to 25, 2: 26 to 50, 3: 51 to 75, 4: 76 to 100; what lies
    between two classes belongs to the higher one. A lobe without a voxel has no part, of which a
    caution tells.

    Args:
        findings: Lungs, lesions and lobes of a CT volume.

    Raises:
        NotMeasurableError: If the lobes are not known, as on pictures.

    References:
        Chaganti et al., Radiology: Artificial Intelligence 2020, doi:10.1148/ryai.2020200048.
    """
    return _sum_of_lobes(
        findings,
        opacity_slices(findings),
        _quarter_of,
        name="lung_severity_score",
        title="lung severity score (LSS)",
        maximum=20.0,
        definition=QUARTERS.format(what="opacified"),
        reference=CHAGANTI,
    )


def lung_high_opacity_score(findings: Findings) -> Score:
    """Lung high-opacity score (LHOS) of the scan, 0 to 20, and of each lobe, 0 to 4.

    As :func:`lung_severity_score`, of opacity of -200 HU or more alone.

    Args:
        findings: Lungs, lesions and lobes of a CT volume.

    Raises:
        NotMeasurableError: If the lobes are not known, and for pictures, which carry no
            Hounsfield units.

    References:
        Chaganti et al., Radiology: Artificial Intelligence 2020, doi:10.1148/ryai.2020200048.
    """
    return _sum_of_lobes(
        findings,
        high_opacity_slices(findings),
        _quarter_of,
        name="lung_high_opacity_score",
        title="lung high-opacity score (LHOS)",
        maximum=20.0,
        definition=QUARTERS.format(what="opacity of -200 HU or more"),
        reference=CHAGANTI,
    )


def total_severity_score(findings: Findings) -> Score:
    """Total severity score (TSS) of the scan, 0 to 20, and of each lobe, 0 to 4.

    Published for readers who judge each lobe by eye, with the classes of
    :func:`lung_severity_score`; measured from a mask both are the same number, but the cut-off is
    published for this one alone.

    Args:
        findings: Lungs, lesions and lobes of a CT volume.

    Raises:
        NotMeasurableError: If the lobes are not known, as on pictures.

    References:
        Li K. et al., European Radiology 2020, doi:10.1007/s00330-020-06817-6.
    """
    score = _sum_of_lobes(
        findings,
        opacity_slices(findings),
        _quarter_of,
        name="total_severity_score",
        title="total severity score (TSS)",
        maximum=20.0,
        definition=(
            f"{QUARTERS.format(what='opacified')} Above 7.5 separated severe and critical from "
            "other disease (sensitivity 82.6 %, specificity 100 %)."
        ),
        reference="Li K. et al., European Radiology 2020; 30:4407, doi:10.1007/s00330-020-06817-6",
    )
    above = score.value > 7.5
    side = "above 7.5, as severe or critical" if above else "below 7.5, as other"
    return _meaning(score, f"{side} cases of the publication were", above=above)


def ct_score_by_lobe(findings: Findings) -> Score:
    """CT score by lobe of the scan, 0 to 25, and of each lobe, 0 to 5.

    The publications give 0: none, 1: less than 5 %, 2: 5 to 25, 3: 26 to 49 (Francone: to 50), 4:
    50 (51) to 75, 5: more than 75. Here 50 belongs to 4, as with Pan, and what lies between 25 and
    26 to 3.

    Args:
        findings: Lungs, lesions and lobes of a CT volume.

    Raises:
        NotMeasurableError: If the lobes are not known, as on pictures.

    References:
        Pan et al., Radiology 2020, doi:10.1148/radiol.2020200370; Francone et al., European
        Radiology 2020, doi:10.1007/s00330-020-07033-y.
    """
    score = _sum_of_lobes(
        findings,
        opacity_slices(findings),
        _fifth_of,
        name="ct_score_by_lobe",
        title="CT score by lobe",
        maximum=25.0,
        definition=(
            "Sum over the five lobes, 0 to 25, by the percentage P of the lobe that is opacified: "
            "0 where P = 0, 1 where 0 < P < 5, 2 where 5 <= P <= 25, 3 where 25 < P < 50, 4 where "
            "50 <= P <= 75, 5 where P > 75. From 18 on more patients died (Francone)."
        ),
        reference=(
            "Pan et al., Radiology 2020; 295:715, doi:10.1148/radiol.2020200370; Francone et al., "
            "European Radiology 2020; 30:6808, doi:10.1007/s00330-020-07033-y"
        ),
    )
    above = score.value >= 18
    side = "18 or more" if above else "below 18"
    return _meaning(score, f"{side}, the cut-off for mortality", above=above)


def _meaning(score: Score, words: str, *, above: bool) -> Score:
    """The score with its meaning; none below a cut-off where lobes are missing."""
    return score if score.caution and not above else score.model_copy(update={"meaning": words})


def _sum_of_lobes(  # noqa: PLR0913 - the facts of a score stand where it is defined
    findings: Findings,
    chosen: Iterable[NDArray[np.bool_]],
    grade_of: Callable[[float], int],
    *,
    name: str,
    title: str,
    maximum: float,
    definition: str,
    reference: str,
) -> Score:
    percent = percent_by_part(findings, findings.lobes, chosen)
    parts = {lobe.title: float(grade_of(p)) for lobe, p in percent.items()}
    return Score(
        name=name,
        title=title,
        value=sum(parts.values()),
        unit="grade",
        parts=parts,
        maximum=maximum,
        definition=definition,
        reference=reference,
        caution=caution_of_missing(percent, len(Lobe), "lobes"),
    )


def _quarter_of(percent: float) -> int:
    return sum(percent > bound for bound in (0.0, 25.0, 50.0, 75.0))


def _fifth_of(percent: float) -> int:
    if percent >= 50.0:
        return 5 if percent > 75.0 else 4
    return int(percent > 0.0) + int(percent >= 5.0) + int(percent > 25.0)

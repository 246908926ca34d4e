"""Agreement of our scores with those of one or several readers."""

from dataclasses import dataclass
from itertools import combinations
from math import isnan
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from groundglass.agreement.statistics import Interval, icc, limits_of_agreement, quadratic_kappa
from groundglass.agreement.tables import OURS, Ratings, ratings_of
from groundglass.report import NOT_A_MEDICAL_DEVICE
from groundglass.scan import Note
from groundglass.version import __version__

MOST_GRADES = 41
"""Whole numbers that span no more grades than this are taken for grades: CT-SS has 0 to 40."""

DEFINITIONS = (
    "ICC: intraclass correlation ICC(2,1), absolute agreement, two-way random effects, single "
    "rater (Shrout and Fleiss, Psychological Bulletin 1979; 86:420), 95 % confidence interval "
    "after McGraw and Wong, Psychological Methods 1996; 1:30. Kappa: Cohen's kappa with quadratic "
    "weights (Cohen, Psychological Bulletin 1968; 70:213), for columns of whole numbers that span "
    f"at most {MOST_GRADES} grades. Bias and limits of agreement: mean difference, second minus "
    "first, and 1.96 standard deviations to both sides (Bland and Altman, Lancet 1986; 1:307)."
)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Estimate(_Part):
    """A value with its 95 % confidence interval; ``None`` where it cannot be computed."""

    value: float | None
    low: float | None = None
    high: float | None = None


class PairAgreement(_Part):
    """How well two raters agree on one score.

    Attributes:
        first: One rater.
        second: The other.
        icc: ICC(2,1).
        kappa: Quadratic weighted kappa; ``None`` for what is no grade, and where both raters gave
            one grade throughout.
        bias: Mean difference, second minus first.
        lower_limit: Lower limit of agreement.
        upper_limit: Upper limit of agreement.
        exact_percent: Cases with the very same value.
    """

    first: str
    second: str
    icc: Estimate
    kappa: float | None
    bias: Estimate
    lower_limit: Estimate
    upper_limit: Estimate
    exact_percent: float


class ScoreAgreement(_Part):
    """Agreement on one score.

    Attributes:
        score: Column of the score.
        cases: Number of cases that every rater of the score has.
        pairs: Every pair of raters, those with us first.
        icc_readers: ICC(2,1) of the readers among themselves; ``None`` for one reader.
        icc_all: ICC(2,1) of all raters, us included.
    """

    score: str
    cases: int
    pairs: tuple[PairAgreement, ...]
    icc_readers: Estimate | None
    icc_all: Estimate


class Agreement(_Part):
    """Agreement on every score that both tables hold.

    Attributes:
        written_by: Program and version.
        not_a_medical_device: What the numbers must not be used for.
        definitions: What was computed, with its sources.
        scores: In the order of our table.
        notes: Cases and values that are missing.
    """

    written_by: str
    not_a_medical_device: str = NOT_A_MEDICAL_DEVICE
    definitions: str = DEFINITIONS
    scores: tuple[ScoreAgreement, ...]
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Agreed:
    """An agreement with the values that its plots are drawn from."""

    agreement: Agreement
    ratings: tuple[Ratings, ...]


def agree(ours: Path, readers: Path, *, case: str = "") -> Agreed:
    """Agreement of our scores with readers, for every score that both tables hold.

    Args:
        ours: CSV with a row for each case, such as rows of ``report.csv``.
        readers: CSV with a row for each case, or for each case and reader with a column
            ``reader``.
        case: Column that names the case; by default ``case``, else ``scan``.

    Raises:
        CohortError: If a table cannot be read, a case stands twice, or they share no case or no
            score.
    """
    found, notes = ratings_of(ours, readers, case)
    agreement = Agreement(
        written_by=f"groundglass {__version__}",
        scores=tuple(agreement_on(ratings) for ratings in found),
        notes=tuple(notes),
    )
    return Agreed(agreement, tuple(found))


def agreement_on(ratings: Ratings) -> ScoreAgreement:
    """Agreement on one score."""
    values = ratings.values
    theirs = [i for i, rater in enumerate(ratings.raters) if rater != OURS]
    among = _estimate(icc(values[:, theirs])) if len(theirs) > 1 else None
    return ScoreAgreement(
        score=ratings.score,
        cases=len(values),
        pairs=tuple(_pair(ratings, i, j) for i, j in combinations(range(len(ratings.raters)), 2)),
        icc_readers=among,
        icc_all=_estimate(icc(values)),
    )


def in_words(agreement: Agreement) -> list[str]:
    """One line for each score and reader."""
    return [
        f"{score.score}, {pair.first} and {pair.second}, {score.cases} cases: ICC "
        f"{_shown(pair.icc.value)}, kappa {_shown(pair.kappa)}, bias {_shown(pair.bias.value)} "
        f"({_shown(pair.lower_limit.value)} to {_shown(pair.upper_limit.value)})"
        for score in agreement.scores
        for pair in score.pairs
        if pair.first == OURS
    ]


def _pair(ratings: Ratings, i: int, j: int) -> PairAgreement:
    values = ratings.values[:, [i, j]]
    first, second = values.T
    limits = limits_of_agreement(first, second)
    graded = bool((values == np.rint(values)).all() and np.ptp(values) < MOST_GRADES)
    kappa = quadratic_kappa(first, second) if graded else None
    return PairAgreement(
        first=ratings.raters[i],
        second=ratings.raters[j],
        icc=_estimate(icc(values)),
        kappa=None if kappa is None or isnan(kappa) else kappa,
        bias=_estimate(limits.bias),
        lower_limit=_estimate(limits.low),
        upper_limit=_estimate(limits.high),
        exact_percent=100.0 * float((first == second).mean()),
    )


def _estimate(found: Interval) -> Estimate:
    value, low, high = (None if isnan(x) else x for x in (found.value, found.low, found.high))
    return Estimate(value=value, low=low, high=high)


def _shown(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"

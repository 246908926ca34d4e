"""Intraclass correlation, weighted kappa and limits of agreement."""

from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Ratings = NDArray[np.float64]
"""Values of each case (row) by each rater (column)."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its 95 % confidence interval; not a number where it cannot be computed."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Limits:
    """Bland-Altman limits of agreement.

    Attributes:
        bias: Mean difference, second minus first, with its confidence interval.
        spread: Standard deviation of the differences.
        low: Lower limit, bias - 1.96 spread, with its confidence interval.
        high: Upper limit.
    """

    bias: Interval
    spread: float
    low: Interval
    high: Interval


def icc(ratings: Ratings) -> Interval:
    r"""Intraclass correlation ICC(2,1): absolute agreement, two-way random effects, one rater.

    :math:`(BMS - EMS) / (BMS + (k-1) EMS + k (JMS - EMS) / n)` for n cases and k raters, with the
    mean squares between cases (BMS), between raters (JMS) and of the residual (EMS).

    Args:
        ratings: Shape (case, rater), at least 2 of each.

    Returns:
        The correlation, 1 for perfect agreement. Not a number where all values are one.

    References:
        Shrout, Fleiss, Psychological Bulletin 1979; 86:420; confidence interval: McGraw, Wong,
        Psychological Methods 1996; 1:30, table 7.
    """
    n, k = ratings.shape
    if np.ptp(ratings) == 0:
        return Interval(nan, nan, nan)
    grand = ratings.mean()
    between = k * ((ratings.mean(axis=1) - grand) ** 2).sum()
    raters = n * ((ratings.mean(axis=0) - grand) ** 2).sum()
    rest = max(((ratings - grand) ** 2).sum() - between - raters, 0.0)
    bms, jms, ems = between / (n - 1), raters / (k - 1), rest / ((n - 1) * (k - 1))
    below = bms + (k - 1) * ems + k * (jms - ems) / n
    if below <= 0:
        return Interval(nan, nan, nan)
    value = (bms - ems) / below
    if ems == 0:
        return Interval(float(value), nan, nan)
    low, high = _icc_interval(value, (bms, jms, ems), n, k)
    return Interval(float(value), low, high)


def _icc_interval(
    value: float, squares: tuple[float, float, float], n: int, k: int
) -> tuple[float, float]:
    bms, jms, ems = squares
    if value >= 1:
        return nan, nan
    a = k * value / (n * (1 - value))
    b = 1 + k * value * (n - 1) / (n * (1 - value))
    freedom = (a * jms + b * ems) ** 2 / (
        (a * jms) ** 2 / (k - 1) + (b * ems) ** 2 / ((n - 1) * (k - 1))
    )
    upper_f = stats.f.ppf(0.975, n - 1, freedom)
    lower_f = stats.f.ppf(0.975, freedom, n - 1)
    spread = k * jms + (k * n - k - n) * ems
    low = n * (bms - upper_f * ems) / (upper_f * spread + n * bms)
    high = n * (lower_f * bms - ems) / (spread + n * lower_f * bms)
    return float(low), float(high)


def quadratic_kappa(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    r"""Cohen's kappa of two raters with quadratic weights.

    :math:`1 - \sum w o / \sum w e` with weights :math:`w = (i - j)^2`, observed and expected
    frequencies. 1 for perfect agreement, 0 for that of chance; not a number where both raters gave
    one grade throughout.

    Args:
        first: Grades, whole numbers.
        second: Grades of the same cases.

    References:
        Cohen, Psychological Bulletin 1968; 70:213.
    """
    expected = ((first[:, None] - second[None, :]) ** 2).mean()
    if expected == 0:
        return nan
    return float(1.0 - ((first - second) ** 2).mean() / expected)


def limits_of_agreement(first: NDArray[np.float64], second: NDArray[np.float64]) -> Limits:
    """Bland-Altman limits of agreement of two raters, second minus first.

    Confidence intervals are those of the publication: t with n - 1 degrees of freedom, standard
    error of a limit sqrt(3 / n) times the spread.

    Args:
        first: Values, at least two.
        second: Values of the same cases.

    References:
        Bland, Altman, Lancet 1986; 1:307.
    """
    differences = second - first
    n = len(differences)
    bias, spread = float(differences.mean()), float(differences.std(ddof=1))
    t = float(stats.t.ppf(0.975, n - 1))

    def around(value: float, error: float) -> Interval:
        return Interval(value, value - t * error, value + t * error)

    of_limit = spread * sqrt(3.0 / n)
    return Limits(
        around(bias, spread / sqrt(n)),
        spread,
        around(bias - 1.96 * spread, of_limit),
        around(bias + 1.96 * spread, of_limit),
    )

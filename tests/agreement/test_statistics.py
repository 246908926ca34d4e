from math import isnan, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from groundglass.agreement.statistics import icc, limits_of_agreement, quadratic_kappa

SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float
)
"""Six targets rated by four judges: table 2 of Shrout and Fleiss 1979."""

grades = hnp.arrays(np.int8, 12, elements=st.integers(0, 4)).map(lambda a: a.astype(float))


def test_icc_is_that_of_shrout_and_fleiss():
    """Their table 4: ICC(2,1) = .29, from mean squares of 11.24, 32.49 and 1.02."""
    found = icc(SHROUT_FLEISS)
    by_hand = (11.24 - 1.02) / (11.24 + 3 * 1.02 + 4 * (32.49 - 1.02) / 6)
    assert found.value == pytest.approx(0.2898, abs=5e-5)
    assert found.value == pytest.approx(by_hand, abs=1e-3)


def test_the_interval_of_icc_is_that_of_other_programs():
    """As printed for this table by the package psych of R: 0.019 to 0.76."""
    found = icc(SHROUT_FLEISS)
    assert found.low == pytest.approx(0.019, abs=1e-3)
    assert found.high == pytest.approx(0.761, abs=1e-3)


def test_icc_counts_a_constant_difference_as_disagreement():
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    same, shifted = np.stack([values, values], 1), np.stack([values, values + 3], 1)
    assert icc(same).value == pytest.approx(1.0)
    assert icc(shifted).value < 0.5


def test_icc_of_one_value_throughout_is_no_number():
    assert isnan(icc(np.full((5, 2), 3.0)).value)


@given(hnp.arrays(float, (8, 3), elements=st.integers(0, 40)), st.floats(0.5, 4), st.floats(-9, 9))
def test_icc_knows_neither_unit_nor_zero_nor_order_of_raters(values, scale, shift):
    found, other = icc(values).value, icc(values[:, ::-1] * scale + shift).value
    assert isnan(found) == isnan(other) or np.ptp(values) == 0
    if not isnan(found):
        assert other == pytest.approx(found, abs=1e-6)
        assert found <= 1 + 1e-9


def test_kappa_worked_by_hand():
    """Observed mean square 2/4; expected 26/16 over all pairs of the two raters' grades."""
    first, second = np.array([0.0, 1, 2, 2]), np.array([0.0, 2, 1, 2])
    squares = [(i - j) ** 2 for i in first for j in second]
    assert sum(squares) == 22
    assert quadratic_kappa(first, second) == pytest.approx(1 - (2 / 4) / (22 / 16))


@given(grades, grades)
def test_kappa_by_the_table_of_frequencies_is_the_same(first, second):
    size = 5
    table = np.zeros((size, size))
    np.add.at(table, (first.astype(int), second.astype(int)), 1 / len(first))
    weights = np.subtract.outer(np.arange(size), np.arange(size)) ** 2
    expected = (weights * np.outer(table.sum(1), table.sum(0))).sum()
    found = quadratic_kappa(first, second)
    if expected == 0:
        assert isnan(found)
    else:
        assert found == pytest.approx(1 - (weights * table).sum() / expected)


@given(grades)
def test_a_rater_agrees_with_himself(first):
    kappa = quadratic_kappa(first, first)
    assert isnan(kappa) if np.ptp(first) == 0 else kappa == pytest.approx(1.0)
    limits = limits_of_agreement(first, first)
    assert limits.bias.value == limits.spread == limits.low.value == limits.high.value == 0


def test_limits_worked_by_hand():
    first, second = np.array([1.0, 2, 3, 4]), np.array([2.0, 2, 5, 5])
    limits = limits_of_agreement(first, second)
    assert limits.bias.value == 1.0
    assert limits.spread == pytest.approx(sqrt(2 / 3))
    assert limits.high.value == pytest.approx(1.0 + 1.96 * sqrt(2 / 3))
    assert limits.low.value == pytest.approx(1.0 - 1.96 * sqrt(2 / 3))
    t = stats.t.ppf(0.975, 3)
    assert limits.bias.high == pytest.approx(1.0 + t * sqrt(2 / 3) / 2)
    assert limits.low.high - limits.low.value == pytest.approx(t * sqrt(2 / 3) * sqrt(3 / 4))


def test_the_sign_of_the_bias_says_who_gives_more():
    low, high = np.array([1.0, 2, 3]), np.array([2.0, 3, 5])
    assert limits_of_agreement(low, high).bias.value > 0
    assert limits_of_agreement(high, low).bias.value < 0

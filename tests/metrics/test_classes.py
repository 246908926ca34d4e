import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional.classification import multiclass_f1_score

from groundglass.metrics.classes import ClassCounts


def test_measures_as_worked_out_by_hand():
    counts = ClassCounts(3)
    counts.add(found=[0, 0, 1, 1, 2], true=[0, 0, 0, 1, 2])
    counts.add(found=[1], true=[2])
    assert counts.confusion.tolist() == [[2, 1, 0], [0, 1, 0], [0, 1, 1]]
    assert counts.accuracy == pytest.approx(4 / 6)
    assert counts.sensitivity == pytest.approx([2 / 3, 1, 1 / 2])
    assert counts.precision == pytest.approx([1, 1 / 3, 1])
    assert counts.f1 == pytest.approx([0.8, 0.5, 2 / 3])
    assert counts.adjusted_f1 == pytest.approx((3 * 0.8 + 0.5 + 2 * 2 / 3) / 6)


def test_no_cases_and_no_finding_give_zeros():
    counts = ClassCounts(2)
    assert counts.summary(("a", "b"))["accuracy"] == 0
    assert counts.adjusted_f1 == 0
    counts.add([0], [1])
    assert counts.sensitivity == [0, 0]
    assert counts.precision == [0, 0]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1))
def test_adjusted_f1_is_the_weighted_one_of_torchmetrics(pairs):
    found, true = zip(*pairs, strict=True)
    counts = ClassCounts(3)
    counts.add(found, true)
    expected = multiclass_f1_score(torch.tensor(found), torch.tensor(true), 3, "weighted")
    assert counts.adjusted_f1 == pytest.approx(float(expected), abs=1e-6)

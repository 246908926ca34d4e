"""Classifiers over single pictures: metrics by class, intervals over patients, the confusion."""

import numpy as np
import pytest

from groundglass.evaluation.classes import OVERALL, JudgedPicture, sum_up_classes
from groundglass.metrics.classes import ClassCounts
from groundglass.metrics.classification import Answers, area_under_curve, best_threshold


def judged(chances: list[float], true: list[int], *, exclusive: bool = True) -> list[JudgedPicture]:
    """Pictures of two classes by the chance of the first."""
    return [
        JudgedPicture(
            f"c{k}",
            f"p{k}",
            ("a", "b"),
            exclusive,
            np.array([chance, 1 - chance]),
            np.array([chance >= 0.5, chance < 0.5]),
            np.array([there == 1, there == 0]),
        )
        for k, (chance, there) in enumerate(zip(chances, true, strict=True))
    ]


def test_metrics_are_as_worked_out_by_hand() -> None:
    classes, confusion = sum_up_classes(judged([0.9, 0.6, 0.8, 0.2, 0.4, 0.1], [1, 1, 0, 0, 1, 0]))
    one = {name: estimate.value for name, estimate in classes["a"].items()}
    assert confusion == {OVERALL: [[2, 1], [1, 2]]}
    assert one["sensitivity"] == pytest.approx(2 / 3, abs=1e-4)
    assert one["specificity"] == pytest.approx(2 / 3, abs=1e-4)
    assert one["auc"] == pytest.approx(7 / 9, abs=1e-4)
    assert one["mcc"] == pytest.approx(1 / 3, abs=1e-4)
    assert classes[OVERALL]["accuracy"].value == pytest.approx(4 / 6, abs=1e-4)
    assert classes["a"]["accuracy"].low < 4 / 6 < classes["a"]["accuracy"].high


def test_class_adjusted_f1_weighs_each_class_by_its_cases() -> None:
    """Of a 3 of 3 are found and one of b is taken for a: F1 6/7 and 2/3, by 3 and 2 of 5."""
    classes, confusion = sum_up_classes(judged([0.9, 0.6, 0.7, 0.8, 0.2], [1, 1, 1, 0, 0]))
    assert confusion == {OVERALL: [[3, 0], [1, 1]]}
    expected = (3 * 6 / 7 + 2 * 2 / 3) / 5
    assert classes[OVERALL]["adjusted_f1"].value == pytest.approx(expected, abs=1e-4)
    counts = ClassCounts(2)
    counts.confusion += np.array(confusion[OVERALL])
    assert counts.adjusted_f1 == pytest.approx(expected)
    several, _ = sum_up_classes(judged([0.9, 0.2], [1, 0], exclusive=False))
    assert "adjusted_f1" not in several[OVERALL]


def test_what_is_not_defined_is_left_out() -> None:
    classes, _ = sum_up_classes(judged([0.9, 0.8], [1, 1]))
    assert "auc" not in classes["a"]
    assert "specificity" not in classes["a"]
    assert classes["a"]["sensitivity"].value == 1


def test_labels_that_do_not_exclude_each_other_have_a_table_each() -> None:
    _, confusion = sum_up_classes(judged([0.9, 0.2], [1, 0], exclusive=False))
    assert confusion == {"a": [[1, 0], [0, 1]], "b": [[1, 0], [0, 1]]}


def test_ties_count_half_in_the_area() -> None:
    assert area_under_curve(np.array([0.5, 0.5]), np.array([True, False])) == 0.5
    assert np.isnan(area_under_curve(np.array([0.5]), np.array([True])))


def test_the_threshold_parts_what_can_be_parted() -> None:
    chances = np.array([0.1, 0.2, 0.3, 0.35])
    true = np.array([False, False, True, True])
    threshold = best_threshold(chances, true)
    assert 0.2 < threshold <= 0.3
    assert Answers.of(chances >= threshold, true).f1 == 1
    assert best_threshold(chances, np.zeros(4, bool)) == 0.5

"""Whole series against class and slice labels, by hand-worked values."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundglass.classification import Classification
from groundglass.data.cohort import Case
from groundglass.errors import CohortError, NotMeasurableError
from groundglass.evaluation.seeds import read_metric
from groundglass.evaluation.slice_labels import roc_auc
from groundglass.evaluation.volumes import (
    LABELS,
    JudgedVolume,
    VolumesEvaluation,
    _judged,
    calibration_error,
    judged_cases,
    levels_of,
    series_aucs,
    weighted_auc,
)


def judged(
    name: str, probability: float, diseased: bool, weights: tuple[float, ...] = ()
) -> JudgedVolume:
    """A series of four slices, of which the last two show lesion where it is diseased."""
    relevance = np.array(weights or (0.25,) * 4, np.float32)
    infected = np.array([False, False, diseased, diseased])
    return JudgedVolume(name, name, diseased, probability, relevance, infected)


FOUR = [
    judged("a", 0.9, True, (0.1, 0.2, 0.3, 0.4)),
    judged("b", 0.4, True, (0.4, 0.1, 0.3, 0.2)),
    judged("c", 0.6, False),
    judged("d", 0.2, False),
]


def test_volumes_are_measured_as_worked_out_by_hand() -> None:
    volume = levels_of(FOUR)["volume"]
    assert volume["auc"].value == 0.75
    assert volume["accuracy"].value == 0.5
    assert volume["sensitivity"].value == 0.5
    assert volume["specificity"].value == 0.5
    assert volume["precision"].value == 0.5
    assert volume["auc"].low <= 0.75 <= volume["auc"].high


def test_slices_are_measured_where_there_are_both_kinds() -> None:
    """a: all pairs won. b: of four pairs two won. Found: both of a, of b one and one wrong."""
    level = levels_of(FOUR)["slice"]
    assert series_aucs(FOUR) == {"a": 1.0, "b": 0.5}
    assert level["auc"].value == 0.75
    assert level["sensitivity"].value == 0.75
    assert level["specificity"].value == 0.75


@pytest.mark.parametrize(("healthy", "diseased"), [("COVID-19", False), ("control", True)])
def test_the_system_says_which_class_is_without_disease(healthy: str, diseased: bool) -> None:
    case = Case(case="a", patient="a", split="test", image=Path("a"), label="COVID-19")
    said = Classification("s", "", {"COVID-19": 0.7, "control": 0.3}, True, healthy_class=healthy)
    one = _judged(case, said, 4)
    assert (one.diseased, one.probability) == (diseased, 1 - said.probabilities[healthy])


def test_a_system_without_a_class_for_no_disease_is_not_measured() -> None:
    case = Case(case="a", patient="a", split="test", image=Path("a"), label="COVID-19")
    said = Classification("s", "", {"COVID-19": 0.7, "not COVID-19": 0.3}, True)
    with pytest.raises(NotMeasurableError, match="stands for no disease"):
        _judged(case, said, 4)


def test_a_table_beside_the_series_without_rows_of_it_labels_nothing(tmp_path: Path) -> None:
    case = Case(case="a", patient="a", split="test", image=tmp_path / "a", label="healthy")
    table = tmp_path / LABELS
    table.write_text("volume,slice_location,infected\nb,0.0,1\n")
    said = Classification("s", "", {"healthy": 0.7, "ill": 0.3}, True, healthy_class="healthy")
    assert _judged(case, said, 1).infected is None
    table.write_text("case,class\na,healthy\n")
    with pytest.raises(CohortError, match=r"no column 'volume' in 'labels\.csv'"):
        _judged(case, said, 1)


def test_without_relevance_there_is_no_slice_level() -> None:
    none = [JudgedVolume("a", "a", True, 0.9, None, np.array([True, False]))]
    assert "slice" not in levels_of([*none, judged("d", 0.2, False)])
    assert np.isnan(judged_cases(none)[0].metrics["slice_auc"])


def test_one_class_alone_has_no_auc() -> None:
    assert "auc" not in levels_of(FOUR[:2])["volume"]


@given(seed=st.integers(0, 999), cases=st.integers(3, 20))
def test_the_weighted_auc_of_equal_weights_is_the_auc(seed: int, cases: int) -> None:
    random = np.random.default_rng(seed)
    values = random.integers(0, 5, cases).astype(float)
    positive = random.random(cases) < 0.5
    positive[:2] = True, False
    found = weighted_auc(values, positive, np.ones((1, cases)))[0]
    assert found == pytest.approx(roc_auc(values, positive), abs=1e-4)


def test_a_doubled_weight_counts_as_a_case_twice() -> None:
    values, positive = np.array([0.2, 0.5, 0.7]), np.array([False, True, False])
    found = weighted_auc(values, positive, np.array([[3.0, 1.0, 1.0]]))
    assert found[0] == pytest.approx(0.75)


def test_the_calibration_error_is_the_gap_of_each_bin() -> None:
    probability = np.array([0.9, 0.9, 0.1, 0.1])
    diseased = np.array([True, False, False, False])
    found = calibration_error(probability, diseased, np.ones((1, 4)))[0]
    assert found == pytest.approx(0.5 * 0.4 + 0.5 * 0.1)


def test_a_plan_reads_both_levels() -> None:
    facts = {"system": "s", "weights_sha256": "", "cohort": "c", "split": "test"}
    evaluation = VolumesEvaluation(
        **facts, cases=4, patients=4, levels=levels_of(FOUR), series_auc=series_aucs(FOUR)
    )
    assert read_metric(evaluation, "slice/auc") == 0.75
    assert read_metric(evaluation, "volume/nothing") is None
    assert read_metric(evaluation, "lobe/auc") is None

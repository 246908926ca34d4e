import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundglass.errors import CohortError
from groundglass.evaluation import slice_labels
from groundglass.evaluation.slice_labels import (
    LOBE_COLUMNS,
    evaluate_series,
    lobe_agreement,
    read_labels,
)
from groundglass.labels import Lobe
from groundglass.provenance import describe
from groundglass.report import Report
from groundglass.severity import score_all
from tests.severity.findings import volume

COLUMNS = ("volume", "diagnosis", "slice_location", "infected", *LOBE_COLUMNS)

R, L = 1, 2
# Four slices from head to feet; one voxel for each lobe but the middle one.
LUNGS = np.array([[[R, R, L, L]]] * 4)
LOBES = np.array([[[Lobe.RIGHT_UPPER, Lobe.RIGHT_LOWER, Lobe.LEFT_UPPER, Lobe.LEFT_LOWER]]] * 4)
LESIONS = np.array([[[1, 0, 0, 0]], [[2, 0, 0, 4]], [[0, 3, 0, 0]], [[0, 0, 0, 0]]])
FINDINGS = volume(LUNGS, LESIONS, lobes=LOBES)


def labels(*lobes):
    """A reader's rows, the lobes of each slice by their columns."""
    return [
        {column: str(int(column in own.split())) for column in LOBE_COLUMNS}
        | {"infected": str(int(bool(own)))}
        for own in lobes
    ]


def test_lobes_that_agree_on_every_slice_have_a_kappa_of_one():
    found = lobe_agreement(FINDINGS, labels("RUL", "RUL", "RLL", ""))
    for name in ("right upper lobe", "right lower lobe"):
        own = found[name]
        assert (own.sensitivity, own.specificity, own.kappa) == (1, 1, 1)
    assert found["right upper lobe"].labeled == found["right upper lobe"].found == 2


def test_a_lobe_without_disease_has_no_sensitivity_and_no_kappa():
    found = lobe_agreement(FINDINGS, labels("RUL", "RUL", "RLL", ""))["right middle lobe"]
    assert (found.labeled, found.found, found.sensitivity, found.kappa) == (0, 0, None, None)
    assert found.specificity == 1


def test_disagreement_is_counted_by_hand():
    found = lobe_agreement(FINDINGS, labels("RUL", "", "RUL LLL", "RUL"))
    upper, lower = found["right upper lobe"], found["left lower lobe"]
    assert upper.sensitivity == pytest.approx(1 / 3, abs=1e-4)
    assert upper.specificity == 0
    # one of four slices agrees; by chance two of four would
    assert upper.kappa == pytest.approx((0.25 - 0.5) / 0.5)
    assert (lower.labeled, lower.found, lower.sensitivity) == (1, 0, 0)  # an effusion is no opacity


@given(st.lists(st.sampled_from(["", "RUL", "LUL", "RUL RML"]), min_size=4, max_size=4))
def test_kappa_is_at_most_one_and_one_for_agreement_alone(reader):
    for column, lobe in LOBE_COLUMNS.items():
        own = lobe_agreement(FINDINGS, labels(*reader))[lobe.title]
        if own.kappa is not None:
            labeled = [column in own_lobes.split() for own_lobes in reader]
            found = [bool((LESIONS[k][LOBES[k] == lobe] % 4).any()) for k in range(4)]
            assert own.kappa <= 1
            assert (own.kappa == 1) == (labeled == found)


def test_labels_that_name_no_lobes_give_nothing():
    rows = [{"infected": "1"}] * 4
    assert lobe_agreement(FINDINGS, rows) == {}


@pytest.fixture
def series(monkeypatch, tmp_path):
    """A folder of a series, and its labels in no order."""
    scores, notes = score_all(FINDINGS)
    made = describe(
        FINDINGS.scan.source,
        system="hand",
        weights_sha256="",
        lungs_method="hand",
        regions_source="hand",
    )
    report = Report(FINDINGS, scores, made, notes)
    monkeypatch.setattr(slice_labels, "analyze", lambda *_, **__: report)
    rows = labels("RUL", "RUL", "", "")
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        for place in (2, 0, 3, 1):
            facts = {"volume": "P9", "diagnosis": "COVID-19", "slice_location": -5.0 * place}
            table.writerow(facts | rows[place])
    return tmp_path / "P9", tmp_path / "labels.csv"


def test_a_series_is_compared_with_its_labels_from_head_to_feet(series):
    result = evaluate_series(*series, "hand")
    assert (result.slices, result.infected_slices, result.diagnosis) == (4, 2, "COVID-19")
    assert result.auc == pytest.approx(0.75)  # 1 and 1 pixels against 1 and 0
    assert result.regions_source == "hand"
    assert result.lobes["right upper lobe"].kappa == 1
    assert result.lobes["right lower lobe"].found == 1


def test_labels_of_another_number_of_slices_are_refused(series):
    folder, table = series
    lines = table.read_text().splitlines()
    table.write_text("\n".join(lines[:-1]))
    with pytest.raises(CohortError, match="found 3 labels for 'P9' with 4 slices"):
        evaluate_series(folder, table, "hand")


def test_labels_that_are_none_are_refused_in_words(series):
    folder, table = series
    with pytest.raises(CohortError, match=r"found no labels 'none\.csv'"):
        evaluate_series(folder, table.with_name("none.csv"), "hand")
    table.write_text(table.read_text().replace("-5.0", "apex"))
    with pytest.raises(CohortError, match="that is no number"):
        evaluate_series(folder, table, "hand")


def test_labels_that_passed_through_a_program_with_gaps_are_read(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(
        "volume,slice_location,infected,LLL\na,2.0,1.0,1\na,1.0,0.0,\na,3.0, 1 ,0.0\na,0.0,,\n"
    )
    told = [(row["infected"], row["LLL"]) for row in read_labels(table, "a")]
    assert told == [("1", "0"), ("1", "1"), ("0", "0"), ("0", "0")]

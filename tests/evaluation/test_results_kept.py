"""What ``groundglass evaluate`` says of a run and its cases, and which results it replaces."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from groundglass.cli import evaluate as cli
from groundglass.cli.kept_results import refuse_other_system
from groundglass.data.cohort import Case, Cohort, write_cohort
from groundglass.errors import CohortError, OutputError
from groundglass.evaluation import evaluate as evaluation
from groundglass.evaluation import relevance, slice_labels
from groundglass.evaluation.as_used import Evaluation
from groundglass.evaluation.evaluate import evaluate
from groundglass.evaluation.protocols import Measured
from groundglass.systems import load_card
from groundglass.systems.card import write_card
from groundglass.training.run import Run
from tests.evaluation.slices import KnownSystem, block, write_case

TRUTH = block(np.s_[2:4], np.s_[3:8])


def make_run(folder: Path, weights: str) -> Path:
    """A run that is no more than its card."""
    folder.mkdir(parents=True)
    card = load_card("baseline_unet")
    assert card.weights is not None
    told = card.weights.model_copy(update={"sha256": weights})
    write_card(card.model_copy(update={"weights": told}), folder / "card.yaml")
    return folder


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Runs that are measured, by their weights."""
    found: list[str] = []

    def measure(system: str, *_: object, **__: object) -> SimpleNamespace:
        weights = Path(system).parent.name
        found.append(weights)
        facts = {"system": "baseline_unet", "weights_sha256": weights, "cohort": "some"}
        counts = {"split": "test", "cases": 1, "patients": 1, "structures": {}}
        return SimpleNamespace(evaluation=Evaluation.model_validate({**facts, **counts}), rows=[])

    monkeypatch.setattr(evaluation, "evaluate", measure)
    monkeypatch.setattr(Cohort, "read", lambda _: None)
    return found


def test_a_result_of_other_weights_is_not_replaced(measured: list[str], tmp_path: Path) -> None:
    first, second = (make_run(tmp_path / name / "best", name) for name in ("first", "second"))
    results = tmp_path / "results"
    cli.evaluate(str(first), [], "some", results=results)
    cli.evaluate(str(first), [], "some", results=results)  # measured again
    with pytest.raises(OutputError, match=r"other weights \(first\).*\(second\).* --results"):
        cli.evaluate(str(second), [], "some", results=results)
    assert measured == ["first", "first"], "refused before the long work"
    cli.evaluate(str(second), [], "some", results=tmp_path / "others")
    kept = json.loads((results / "evaluation-best-some-test.json").read_text())
    assert kept["weights_sha256"] == "first"


def test_a_result_of_another_pretraining_is_not_replaced(tmp_path: Path) -> None:
    run = Run(tmp_path / "coach")
    run.checkpoints.mkdir(parents=True)
    run.last_checkpoint.touch()
    (run.folder / "pretraining.json").write_text('{"weights": {"sha256": "second"}}')
    (tmp_path / "pretraining-coach-some-test.json").write_text('{"weights_sha256": "first"}')
    with pytest.raises(OutputError, match=r"other weights \(first\).*\(second\).* --results"):
        cli.evaluate_pretraining(run.folder, [], "some", results=tmp_path)


def test_a_cross_validation_of_other_settings_is_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "evaluation-cv-some-5-fold.json"
    same = {"system": "a", "configuration": "c", "seed": 0}
    file.write_text(json.dumps(same))
    refuse_other_system(file, SimpleNamespace(**same))
    for other in ({"system": "b"}, {"configuration": "d"}, {"seed": 1}):
        with pytest.raises(OutputError, match=r"result of a in other settings.* --results"):
            refuse_other_system(file, SimpleNamespace(**(same | other)))
    refuse_other_system(tmp_path / "none.json", SimpleNamespace(**same))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, r"no labels 'labels\.csv'"),
        ("volume,diagnosis,infected\none,ill,1\n", "no column 'slice_location'"),
        ("volume,slice_location,infected\none,1,1\n", "no column 'diagnosis'"),
        ("volume,diagnosis,slice_location,infected\nother,ill,1,1\n", "no row of volume 'one'"),
        ("volume,diagnosis,slice_location,infected\none,ill,1,yes\n", "infected 'yes' at 1 of"),
    ],
)
def test_labels_are_looked_at_before_the_long_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, words: str
) -> None:
    def work(*_: object, **__: object) -> None:
        raise AssertionError("analyzed")

    monkeypatch.setattr(relevance, "classify", work)
    monkeypatch.setattr(slice_labels, "analyze", work)
    labels = tmp_path / "labels.csv"
    if text is not None:
        labels.write_text(text)
    for measure in (cli.evaluate_series, cli.evaluate_relevance):
        with pytest.raises(CohortError, match=words):
            measure("baseline_unet", tmp_path / "one", labels, results=tmp_path)


def test_a_run_that_is_tested_on_what_it_learned_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [
        write_case(tmp_path, name, TRUTH * number, patient=name, split=split)
        for number, (name, split) in enumerate([("a", "train"), ("b", "val"), ("c", "test")], 1)
    ]
    run = Run(make_run(tmp_path / "runs" / "mine", "0"))
    write_cohort(cases, run.cohort)
    run.write_checksums([case.image for case in cases])
    monkeypatch.setattr(evaluation, "load_system", lambda *_: KnownSystem([TRUTH * 1.0] * 3))
    as_test = [case.model_copy(update={"split": "test"}) for case in cases]
    told: list[str] = []
    for tested, count in ((as_test, 2), (cases, 0)):
        result = evaluate(str(run.folder), Cohort(tested), "test", name="some", tell=told.append)
        assert result.evaluation.seen == count
    assert told == [
        "2 of 3 test cases are among those that 'mine' or a run that it started from learned from "
        "or was chosen by: results on them will be too good"
    ]
    shipped = evaluate("baseline_unet", Cohort(cases), "test", name="some", tell=told.append)
    assert shipped.evaluation.seen is None
    assert len(told) == 1


@pytest.mark.parametrize("protocol", ["as-used", "inf-net", "tiny-lesions", "instances"])
def test_radiographs_are_not_measured_as_slices(
    protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = write_case(tmp_path, "a", TRUTH, patient="a")
    chest = made.model_copy(update={"case": "b", "patient": "b", "modality": "radiograph"})
    monkeypatch.setattr(evaluation, "load_system", lambda *_: KnownSystem([TRUTH * 1.0]))

    def measure(*cases: Case) -> Measured:
        return evaluate("baseline_unet", Cohort(cases), "test", name="some", protocol=protocol)

    with pytest.raises(CohortError, match="found no CT slice among 1 cases"):
        measure(chest)
    if protocol != "instances":
        found = measure(chest, made)
        assert (found.evaluation.cases, found.evaluation.patients) == (1, 1)
        assert {row.case for row in found.rows} == {"a"}

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundglass.cli import evaluate as cli
from groundglass.data.cohort import Case, Cohort, files_of, write_cohort
from groundglass.errors import CohortError, ConfigError, UnknownNameError
from groundglass.evaluation import cross_validation, experiment
from groundglass.evaluation.benchmarks import write_benchmarks
from groundglass.evaluation.cross_validation import (
    _refuse_other_cases,
    assign_folds,
    cross_validate,
)
from groundglass.evaluation.seeds import read_metric
from groundglass.training.run import Run
from tests.evaluation.slices import KnownSystem, block, write_case

TRUTH = block(np.s_[2:4], np.s_[3:8])


def cases_of(slices: list[int]) -> list[Case]:
    return [
        Case(case=f"{p}-{k}", patient=f"p{p}", split="train", image=Path("a.png"))
        for p, count in enumerate(slices)
        for k in range(count)
    ]


@given(st.lists(st.integers(1, 9), min_size=5, max_size=12), st.integers(3, 5))
def test_folds_are_even_to_within_one_patient(slices: list[int], folds: int) -> None:
    fold_of = assign_folds(cases_of(slices), folds)
    filled = Counter(dict.fromkeys(range(folds), 0))
    for patient, fold in fold_of.items():
        filled[fold] += slices[int(patient[1:])]
    assert len(fold_of) == len(slices)
    assert min(filled.values()) > 0
    assert max(filled.values()) - min(filled.values()) <= max(slices)


def test_another_seed_makes_other_folds() -> None:
    cases = cases_of([1] * 12)
    assert assign_folds(cases, 3, 0) == assign_folds(cases, 3, 0) != assign_folds(cases, 3, 1)


def test_fewer_patients_than_folds_are_refused() -> None:
    with pytest.raises(CohortError, match="found 4 patients for 5 folds"):
        assign_folds(cases_of([3, 3, 3, 3]), 5)
    with pytest.raises(ConfigError, match="at least 3"):
        assign_folds(cases_of([3, 3, 3, 3]), 2)


def make_table(folder: Path) -> Path:
    cases = [
        write_case(folder, f"{patient}{k}", TRUTH, patient=patient, values="1:3", split=split)
        for patient, split in (("a", "train"), ("b", "train"), ("c", "val"), ("d", "test"))
        for k in range(2)
    ]
    write_cohort(cases, folder / "cohort.csv")
    return folder / "cohort.csv"


@pytest.fixture
def learned(monkeypatch: pytest.MonkeyPatch) -> list[Cohort]:
    """Cohorts that runs were trained on; every run finds patient a and nothing of the others."""
    cohorts: list[Cohort] = []

    def train(system: str, tables: list[Path], folder: Path, **_: Any) -> None:
        cohorts.append(Cohort.read(tables))

    def load(run: str, device: str) -> KnownSystem:
        patient = cohorts[len(loaded)].split("test")[0].patient
        loaded.append(run)
        found = TRUTH.astype(np.float32) * (patient == "a")
        return KnownSystem([found] * 2)

    loaded: list[str] = []
    monkeypatch.setattr(experiment, "train", train)
    monkeypatch.setattr(cross_validation, "load_system", load)
    facts = {"system": "baseline_unet", "weights_sha256": "0", "configuration": "abc"}
    monkeypatch.setattr(cross_validation, "run_facts", lambda *_: facts)
    return cohorts


@pytest.mark.parametrize("protocol", ["as-used", "inf-net"])
def test_every_patient_is_judged_by_a_run_that_has_not_seen_them(
    learned: list[Cohort], tmp_path: Path, protocol: str
) -> None:
    table = make_table(tmp_path)
    measured = cross_validate(
        "baseline_unet", [table], tmp_path / "cv", name="blocks", folds=3, protocol=protocol
    )
    tested = [{case.patient for case in cohort.split("test")} for cohort in learned]
    assert sorted(map(tuple, tested)) == [("a",), ("b",), ("c",)]
    assert all(len(cohort.cases) == 6 for cohort in learned)  # patient d, of the test split, is out
    evaluation = measured.evaluation
    assert (evaluation.split, evaluation.cases, evaluation.patients) == ("3-fold", 6, 3)
    assert read_metric(evaluation, "lesion/dice") == pytest.approx(1 / 3, abs=1e-4)


@pytest.mark.usefixtures("learned")
def test_every_cross_validation_has_a_result_of_its_own_and_a_line_on_the_page(
    tmp_path: Path,
) -> None:
    table, results = make_table(tmp_path), tmp_path / "results"
    for folder, protocol in (("first", "as-used"), ("second", "as-used"), ("third", "inf-net")):
        out = tmp_path / folder
        cli.cross_validate(
            "baseline_unet", [table], out, "blocks", folds=3, protocol=protocol, results=results
        )
    assert sorted(file.name for file in results.iterdir()) == [
        "evaluation-first-blocks-3-fold.json",
        "evaluation-second-blocks-3-fold.json",
        "inf-net-third-blocks-3-fold.json",
    ]
    write_benchmarks(results, tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    assert page.count("| `one per fold, config abc` | blocks | 3-fold |") == 4, (
        "inf-net has two tables"
    )
    assert page.count("*N-fold*") == 2


def test_other_folds_are_not_mixed_in(learned: list[Cohort], tmp_path: Path) -> None:
    table = make_table(tmp_path)
    (tmp_path / "cv").mkdir()
    (tmp_path / "cv" / "folds.csv").write_text("patient,fold\na,0\nb,0\nc,1\n")
    with pytest.raises(ConfigError, match="other folds in 'cv'"):
        cross_validate("baseline_unet", [table], tmp_path / "cv", name="blocks", folds=3)
    assert learned == []


def test_runs_of_other_cases_or_changed_files_are_not_taken_again(
    tmp_path: Path,
) -> None:
    run, fold = Run(tmp_path / "run"), tmp_path / "fold.csv"
    cases = Cohort.read([make_table(tmp_path)]).cases
    write_cohort(cases, fold)
    run.folder.mkdir()
    _refuse_other_cases(run, fold)
    write_cohort(cases, run.cohort)
    run.write_checksums(files_of(cases))
    _refuse_other_cases(run, fold)
    cases[0].image.write_bytes(cases[2].image.read_bytes() + b" ")
    with pytest.raises(ConfigError, match="changed since the run began"):
        _refuse_other_cases(run, fold)
    write_cohort(cases[1:], fold)
    with pytest.raises(ConfigError, match="'run' trained on other cases"):
        _refuse_other_cases(run, fold)


@pytest.mark.parametrize("seed", ["abc", 1.5, -1])
def test_a_seed_is_a_whole_number(tmp_path: Path, seed: object) -> None:
    with pytest.raises(ConfigError, match="found seed="):
        cross_validate(
            "baseline_unet",
            [make_table(tmp_path)],
            tmp_path / "cv",
            name="blocks",
            settings={"seed": seed},
        )


def test_a_setting_may_be_switched_off(learned: list[Cohort], tmp_path: Path) -> None:
    table, settings = make_table(tmp_path), {"gradient_norm": None}
    cross_validate(
        "baseline_unet", [table], tmp_path / "cv", name="blocks", folds=3, settings=settings
    )
    order = json.loads(next((tmp_path / "cv").glob("*/order.json")).read_text())
    assert order["settings"] == {"gradient_norm": None, "seed": 0}
    assert len(learned) == 3


def test_settings_inside_a_setting_are_refused_in_words(tmp_path: Path) -> None:
    table, settings = make_table(tmp_path), {"augment": {"noise": 0.1}}
    with pytest.raises(ConfigError, match=r"wrong setting augment=.* as augment\.noise=0\.1"):
        cross_validate(
            "baseline_unet", [table], tmp_path / "cv", name="blocks", folds=3, settings=settings
        )
    with pytest.raises(UnknownNameError, match="unknown system 'no such'"):
        cross_validate("no such", [table], tmp_path / "cv", name="blocks", folds=3)

"""Rows of a plan that learn from unlabeled slices as well, round by round."""

from pathlib import Path
from typing import Any

import pytest

from groundglass.data.cohort import Cohort
from groundglass.errors import ConfigError
from groundglass.evaluation import experiment
from groundglass.evaluation.comparison import compare
from groundglass.evaluation.experiment import Experiment
from groundglass.evaluation.plan import Plan
from groundglass.evaluation.trial import TrialResult, list_trials
from groundglass.training import progressive
from groundglass.training.run import Run
from groundglass.weights import sha256_of
from tests.evaluation.test_plan import SETTINGS, make_plan
from tests.systems.system_tester import cohort_table
from tests.training.test_progressive import unlabeled

__all__ = ["cohort_table", "unlabeled"]

ROW: dict[str, Any] = {
    "name": "semi",
    "title": "Semi-supervised",
    "system": "ss_inf_net",
    "recipe": "smoke.yaml",
    "settings": {"epochs": 1, "draws_per_epoch": 4},
    "unlabeled": {"cohort": "others", "group": 1, "slices": 2},
}
DATA = {"name": "small", "title": "Small", "train": ["few"], "tests": [{"cohort": "few"}]}


def plan_of(*rows: dict[str, Any]) -> Plan:
    return make_plan(rows=rows, data=[DATA], seeds=[0])


@pytest.fixture
def place(cohort_table: Path, unlabeled: Path, tmp_path: Path) -> Experiment:
    tables = {"few": cohort_table, "others": unlabeled}
    return Experiment(tables, tmp_path / "runs", tmp_path / "results")


def fill(place: Experiment, plan: Plan, **wanted: Any) -> list[TrialResult]:
    return list(place.carry_out(list_trials(plan, **wanted)))


def test_a_row_is_measured_by_its_last_round_and_resumed_where_it_was(
    place: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    train = progressive.train

    def killed(system: str, tables: list[Path], folder: Path, **options: Any) -> Run:
        begun.append(folder.name)
        if folder.name == "round-002" and begun.count("round-002") == 1:
            raise KeyboardInterrupt
        return train(system, tables, folder, **options)

    monkeypatch.setattr(progressive, "train", killed)
    plan = plan_of(ROW)
    with pytest.raises(KeyboardInterrupt):
        fill(place, plan)
    (result,) = fill(place, plan)
    assert begun == [f"round-00{number}" for number in (0, 1, 2, 0, 1, 2)]
    folder = place.runs / "plan-semi-small-seed0"
    last = Run(folder / "round-002")
    (evaluation,) = result.evaluations
    assert evaluation.weights_sha256 == sha256_of(last.weights)
    assert evaluation.seen == 0
    learned = Cohort.read([last.cohort]).split("train")
    made = [case for case in learned if case.patient == "somebody"]
    assert len(made) == 2, "as many of the three as the row asks for"
    assert all(case.lungs is None for case in made), "no mask of the table is read"
    assert fill(place, plan) == []
    assert len(begun) == 6
    ((line,),) = (table.lines for table in compare(plan, place.results).tables)
    assert line.group is not None


def test_a_row_may_start_from_the_last_round(
    place: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Path, dict[str, Any]]] = []
    started: list[list[str]] = []

    def learn(_s: str, _t: list[Path], others: Path, folder: Path, **options: Any) -> None:
        asked.append((others, options))
        for number in range(3):
            (folder / f"round-00{number}").mkdir()

    def train(_s: str, _t: list[Path], folder: Path, **options: Any) -> None:
        (folder / "config.yaml").touch()
        started.append(options["overrides"])

    monkeypatch.setattr(experiment, "learn_progressively", learn)
    monkeypatch.setattr(experiment, "train", train)
    plain = {**ROW, "name": "plain", "unlabeled": None}
    plan = plan_of(
        plain, {**ROW, "start_from": "plain"}, {**plain, "name": "on", "start_from": "semi"}
    )
    (trial,) = list_trials(plan, rows=["on"])
    place.train(trial)
    ((others, options),) = asked
    assert others == place.tables["others"]
    assert (options["group"], options["slices"], options["seed"]) == (1, 2, 0)
    first = place.runs / "plan-plain-small-seed0" / "weights.safetensors"
    last = place.runs / "plan-semi-small-seed0" / "round-002" / "weights.safetensors"
    assert options["overrides"][-1] == f'start_weights="{first}"'
    assert started[-1][-1] == f'start_weights="{last}"'


def test_the_table_of_unlabeled_slices_is_asked_for(place: Experiment, tmp_path: Path) -> None:
    plan = plan_of(ROW)
    assert plan.cohorts() == {"few", "others"}
    lacking = Experiment({"few": place.tables["few"]}, tmp_path / "runs", tmp_path / "results")
    with pytest.raises(ConfigError, match=r"--data others=TABLE\.csv"):
        fill(lacking, plan)


def test_other_unlabeled_slices_are_another_order_and_none_the_old_one() -> None:
    def order(row: dict[str, Any]) -> str:
        return list_trials(plan_of(row))[0].order_digest

    fewer = {**ROW, "unlabeled": {"cohort": "others", "group": 1, "slices": 1}}
    without = {key: value for key, value in ROW.items() if key != "unlabeled"}
    assert len({order(ROW), order(fewer), order(without)}) == 3
    assert "unlabeled" not in list_trials(plan_of(without))[0].order


@pytest.mark.parametrize("changed", [{"kind": "pretrain"}, {"weights_of": "plain"}])
def test_only_what_is_trained_can_learn_from_unlabeled_slices(changed: dict[str, Any]) -> None:
    plain = SETTINGS["rows"][1]  # type: ignore[index]
    with pytest.raises(ValueError, match="semi has unlabeled slices, but"):
        plan_of(plain, {**ROW, **changed})

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from groundglass.errors import CohortError, ConfigError
from groundglass.evaluation import experiment
from groundglass.evaluation.comparison import Table, cell_text, compare
from groundglass.evaluation.experiment import Experiment
from groundglass.evaluation.inf_net import InfNetEvaluation
from groundglass.evaluation.plan import Plan
from groundglass.evaluation.trial import list_trials
from groundglass.systems.card import home
from groundglass.training.run import Run
from groundglass.weights import sha256_of
from tests.evaluation.test_plan import SETTINGS, make_plan


class Calls:
    """Stands for training and measuring, and notes what is asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.trained: list[dict[str, Any]] = []
        self.measured = 0
        self.split = "test"
        self.weights: bytes | None = None
        monkeypatch.setattr(experiment, "train", self.train)
        monkeypatch.setattr(experiment, "evaluate", self.evaluate)
        monkeypatch.setattr(experiment, "Cohort", SimpleNamespace(read=tuple))
        monkeypatch.setattr(experiment, "pretrain", self.train)

    def train(self, _system: str, tables: list[Path], folder: Path, **options: Any) -> None:
        (folder / "config.yaml").write_text("epochs: 1\n")
        if self.weights is not None:
            Run(folder).weights.write_bytes(self.weights)
        self.trained.append({"name": folder.name, "tables": tables, **options})

    def evaluate(self, run: str, *_: object, **__: object) -> SimpleNamespace:
        self.measured += 1
        weights = Run(Path(run)).weights
        value = {"value": 0.6 + 0.1 * (self.measured % 2), "low": 0.5, "high": 0.7}
        evaluation = InfNetEvaluation.model_validate(
            {
                "system": "baseline_unet",
                "weights_sha256": sha256_of(weights) if weights.is_file() else "0" * 64,
                "configuration": "abc",
                "cohort": "few",
                "split": self.split,
                "cases": 2,
                "patients": 2,
                "loss": 0.25,
                "structures": {
                    "lesion": {"summary": {"mean_dice": value}, "slices": 2, "shown": 2}
                },
            }
        )
        return SimpleNamespace(evaluation=evaluation)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(monkeypatch)


def place(folder: Path) -> Experiment:
    tables = {"few": folder / "few.csv", "many": folder / "many.csv"}
    return Experiment(tables, folder / "runs", folder / "results")


def carry_out(folder: Path, plan: Plan, **wanted: Any) -> list[str]:
    trials = list_trials(plan, **wanted)
    return [f"{r.row} {r.seed}" for r in place(folder).carry_out(trials)]


def test_what_a_row_starts_from_is_trained_before_it(calls: Calls, tmp_path: Path) -> None:
    made = carry_out(tmp_path, make_plan(), rows=["started"], data=["large"], seeds=[0])
    assert made == ["started 0"]
    coach, started = calls.trained
    assert coach["name"] == "plan-coach-large-seed0"
    assert coach["tables"] == [tmp_path / "few.csv", tmp_path / "many.csv"]
    assert coach["recipe"] == home("baseline_unet") / "recipe.yaml"
    start_weights = tmp_path / "runs" / coach["name"] / "weights.safetensors"
    assert started["overrides"] == [
        "augment.noise=0.5",
        "seed=0",
        f'start_weights="{start_weights}"',
    ]


def test_what_is_finished_is_not_made_again(calls: Calls, tmp_path: Path) -> None:
    assert carry_out(tmp_path, make_plan(), rows=["plain"], data=["small"]) == [
        "plain 0",
        "plain 1",
    ]
    assert carry_out(tmp_path, make_plan(), rows=["plain"], data=["small"]) == []
    assert len(calls.trained) == calls.measured == 2


def test_a_fault_in_what_is_measured_on_shows_before_the_training(
    calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(tables: list[Path]) -> None:
        raise CohortError(f"found '{tables[0].name}' broken, expected it sound; mend it")

    monkeypatch.setattr(experiment, "Cohort", SimpleNamespace(read=read))
    with pytest.raises(CohortError, match="broken, expected"):
        carry_out(tmp_path, make_plan(), rows=["plain"], data=["small"])
    assert not calls.trained


def test_a_test_that_came_later_is_measured_without_training(calls: Calls, tmp_path: Path) -> None:
    wanted = {"rows": ["plain"], "data": ["small"], "seeds": [0]}
    carry_out(tmp_path, make_plan(), **wanted)
    small, large = SETTINGS["data"]
    tests = [{"cohort": "few", "split": "val"}, {"cohort": "few"}]
    longer = make_plan(data=[{**small, "tests": tests}, large])
    calls.split = "val"
    assert carry_out(tmp_path, longer, **wanted) == ["plain 0"]
    assert carry_out(tmp_path, longer, **wanted) == []
    assert (len(calls.trained), calls.measured) == (1, 2)
    tables = {table.test.split: table for table in compare(longer, tmp_path / "results").tables}
    first = read_metric_of(tables["test"])
    assert first != read_metric_of(tables["val"]), "each test shows its own numbers"


def read_metric_of(table: Table) -> str:
    (line,) = (line for line in table.lines if line.group is not None)
    return line.cells[1]


def test_the_tables_of_what_a_row_starts_from_are_asked_for(calls: Calls, tmp_path: Path) -> None:
    trials = list_trials(make_plan(), rows=["started"], data=["large"], seeds=[0])
    only_few = Experiment({"few": tmp_path / "few.csv"}, tmp_path / "runs", tmp_path / "results")
    with pytest.raises(ConfigError, match="--data many"):
        list(only_few.carry_out(trials))
    assert not calls.trained


def test_a_lost_result_is_measured_again_without_training(calls: Calls, tmp_path: Path) -> None:
    wanted = {"rows": ["plain"], "data": ["small"], "seeds": [0]}
    carry_out(tmp_path, make_plan(), **wanted)
    for file in (tmp_path / "results").iterdir():
        file.unlink()
    assert carry_out(tmp_path, make_plan(), **wanted) == ["plain 0"]
    assert (len(calls.trained), calls.measured) == (1, 2)


def test_a_row_with_the_weights_of_another_is_measured_and_not_trained(
    calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[str, str, list[str]]] = []

    def variant(run: Run, folder: Path, settings: list[str]) -> None:
        folder.mkdir()
        made.append((run.folder.name, folder.name, settings))

    monkeypatch.setattr(experiment, "make_variant", variant)
    row = {**SETTINGS["rows"][1], "name": "variant", "weights_of": "plain"}  # type: ignore[index]
    row["settings"] = {"network.roi_nms": 0.75}
    plan = make_plan(rows=[*SETTINGS["rows"], row])  # type: ignore[misc]
    wanted: dict[str, Any] = {"rows": ["variant"], "data": ["small"], "seeds": [0]}
    assert carry_out(tmp_path, plan, **wanted) == ["variant 0"]
    assert [call["name"] for call in calls.trained] == ["plan-plain-small-seed0"]
    expected = ("plan-plain-small-seed0", "plan-variant-small-seed0", ["network.roi_nms=0.75"])
    assert made == [expected]
    (tmp_path / "results" / "trial-plan-variant-small-seed0.json").unlink()
    assert carry_out(tmp_path, plan, **wanted) == ["variant 0"]
    assert made == [expected], "what is there is not made again"


def chain_of_rows() -> Plan:
    _, plain, started = SETTINGS["rows"]  # type: ignore[misc]
    second = {**started, "start_from": "plain", "published": {}}
    return make_plan(rows=[plain, second, {**second, "name": "third"}], seeds=[0])


@pytest.mark.parametrize("same", [True, False])
def test_a_start_that_is_trained_anew_is_measured_anew(
    calls: Calls, tmp_path: Path, same: bool
) -> None:
    """Else its row would show another network than the one that the rows below stand on."""
    plan = chain_of_rows()
    wanted: dict[str, Any] = {"data": ["small"], "seeds": [0]}
    calls.weights = b"first"
    carry_out(tmp_path, plan, rows=["plain", "third"], **wanted)
    shutil.rmtree(tmp_path / "runs" / "plan-plain-small-seed0")
    calls.weights = b"first" if same else b"second"
    told: list[str] = []
    trials = list_trials(plan, rows=["started"], **wanted)
    made = [r.row for r in place(tmp_path).carry_out(trials, tell=told.append)]
    renewed = [line for line in told if "plain-small-seed0 is of other weights than" in line]
    assert [call["name"] for call in calls.trained[2:]] == [
        "plan-plain-small-seed0",
        "plan-started-small-seed0",
    ]
    assert made == (["started"] if same else ["plain", "started"])
    assert len(renewed) == (not same)
    for line in renewed:
        assert line.endswith("plan-third-small-seed0 may have started from the other weights")
    (plain,) = list_trials(plan, rows=["plain"], **wanted)
    stored = json.loads(place(tmp_path).result_file(plain).read_text())
    (evaluation,) = stored["evaluations"]
    weights = Run(tmp_path / "runs" / plain.name).weights
    assert evaluation["weights_sha256"] == sha256_of(weights)


def test_a_finished_run_does_not_need_its_start(calls: Calls, tmp_path: Path) -> None:
    wanted: dict[str, Any] = {"rows": ["plain", "started"], "data": ["small"], "seeds": [0]}
    calls.weights = b"first"
    carry_out(tmp_path, chain_of_rows(), **wanted)
    shutil.rmtree(tmp_path / "runs" / "plan-plain-small-seed0")
    (tmp_path / "results" / "trial-plan-started-small-seed0.json").unlink()
    assert carry_out(tmp_path, chain_of_rows(), **wanted) == ["started 0"]
    assert len(calls.trained) == 2


def test_the_settings_of_the_machine_hold_for_a_resumed_run(calls: Calls, tmp_path: Path) -> None:
    trials = list_trials(make_plan(), rows=["plain"], data=["small"], seeds=[0])
    folder = tmp_path / "runs" / trials[0].name
    folder.mkdir(parents=True)
    (folder / "config.yaml").touch()
    local = ("threads=1", "encoder_weights=file.safetensors", "devices=cpu")
    tables = {"few": tmp_path / "few.csv"}
    list(Experiment(tables, folder.parent, tmp_path, local=local).carry_out(trials))
    assert calls.trained[0]["resume"]
    assert calls.trained[0]["overrides"] == ["threads=1", "devices=cpu"]


def test_an_interrupted_run_is_resumed(calls: Calls, tmp_path: Path) -> None:
    wanted: dict[str, Any] = {"rows": ["plain"], "data": ["small"], "seeds": [0]}
    stop = calls.train

    def interrupted(*arguments: Any, **options: Any) -> None:
        stop(*arguments, **options)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment, "train", interrupted)
        with pytest.raises(KeyboardInterrupt):
            carry_out(tmp_path, make_plan(), **wanted)
    carry_out(tmp_path, make_plan(), **wanted)
    assert [call["resume"] for call in calls.trained] == [False, True]
    assert calls.trained[1]["overrides"] == []
    assert calls.trained[1]["recipe"] is None


def test_a_run_of_other_settings_is_not_taken_for_this_one(calls: Calls, tmp_path: Path) -> None:
    wanted: dict[str, Any] = {"rows": ["plain"], "data": ["small"], "seeds": [0]}
    carry_out(tmp_path, make_plan(), **wanted)
    rows = [dict(row) for row in SETTINGS["rows"]]  # type: ignore[call-overload]
    rows[1]["settings"] = {"epochs": 3}
    with pytest.raises(ConfigError, match=r"trial-plan-plain.*other settings"):
        carry_out(tmp_path, make_plan(rows=rows), **wanted)
    for file in (tmp_path / "results").iterdir():
        file.unlink()
    with pytest.raises(ConfigError, match="made with other settings than the plan has"):
        carry_out(tmp_path, make_plan(rows=rows), **wanted)


def test_a_cohort_without_a_table_is_asked_for(calls: Calls, tmp_path: Path) -> None:
    trials = list_trials(make_plan(), rows=["plain"], data=["large"])
    lacking = Experiment({"few": tmp_path / "few.csv"}, tmp_path, tmp_path)
    with pytest.raises(ConfigError, match=r"--data many=TABLE\.csv"):
        list(lacking.carry_out(trials))
    assert calls.trained == []


def test_a_table_shows_the_seeds_and_what_was_published(calls: Calls, tmp_path: Path) -> None:
    carry_out(tmp_path, make_plan(), rows=["started"], data=["small"])
    small, *others = compare(make_plan(), tmp_path / "results").tables
    assert others == []
    plain, started = small.lines
    assert plain.group is None
    assert plain.cells == ("-", "-")
    assert started.cells == ("0.250 ± 0.000", "0.650 ± 0.071; published 0.5: 0.150 better")


def test_columns_in_which_no_row_has_anything_are_left_out(calls: Calls, tmp_path: Path) -> None:
    plan = make_plan()
    wider = plan.model_copy(update={"columns": {"lesion/iou": "IoU", **plan.columns}})
    carry_out(tmp_path, wider, rows=["started"], data=["small"])
    (small,) = compare(wider, tmp_path / "results").tables
    assert small.columns == tuple(plan.columns.values())
    assert {len(line.cells) for line in small.lines} == {len(plan.columns)}


@pytest.mark.parametrize(
    ("values", "published", "lower", "expected"),
    [
        ([], None, False, "-"),
        ([], 0.3, False, "published 0.3"),
        ([0.7], None, False, "0.700"),
        ([0.7], 0.682, False, "0.700; published 0.682: 0.018 better"),
        ([0.7], 0.682, True, "0.700; published 0.682: 0.018 worse"),
        ([0.6824], 0.682, False, "0.682; published 0.682: as published"),
        ([0.6, 0.8], 0.75, False, "0.700 ± 0.141; published 0.75: within the spread over seeds"),
    ],
)
def test_the_deviation_stands_in_words(
    values: list[float], published: float | None, lower: bool, expected: str
) -> None:
    assert cell_text(values, published, lower_is_better=lower) == expected

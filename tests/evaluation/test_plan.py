from pathlib import Path

import pytest
import yaml

from groundglass.errors import ConfigError, UnknownNameError
from groundglass.evaluation.plan import Plan, read_plan
from groundglass.evaluation.trial import list_trials

SETTINGS = {
    "name": "plan",
    "title": "A plan",
    "source": "Nobody et al.",
    "seeds": [0, 1],
    "columns": {"loss": "test loss", "lesion/mean_dice": "mean Dice"},
    "data": [
        {"name": "small", "title": "Small", "train": ["few"], "tests": [{"cohort": "few"}]},
        {"name": "large", "title": "Large", "train": ["few", "many"], "tests": [{"cohort": "few"}]},
    ],
    "rows": [
        {
            "name": "coach",
            "title": "Pretraining",
            "kind": "pretrain",
            "system": "baseline_unet",
            "seeds": [0],
            "data": ["large"],
        },
        {"name": "plain", "title": "Plain", "system": "baseline_unet"},
        {
            "name": "started",
            "title": "Started",
            "system": "baseline_unet",
            "start_from": "coach",
            "settings": {"augment.noise": 0.5},
            "published": {"small": {"lesion/mean_dice": 0.5}},
        },
    ],
}


def make_plan(**changes: object) -> Plan:
    return Plan.model_validate({**SETTINGS, **changes})


def test_a_plan_is_named_after_its_file(tmp_path: Path) -> None:
    settings = {key: value for key, value in SETTINGS.items() if key != "name"}
    (tmp_path / "tables.yaml").write_text(yaml.safe_dump(settings))
    assert read_plan(tmp_path / "tables.yaml").name == "tables"


def test_a_misspelt_field_of_a_plan_is_refused_by_name(tmp_path: Path) -> None:
    settings = {**SETTINGS, "rows": [{**SETTINGS["rows"][1], "no_such_field": "x"}]}  # type: ignore[index]
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(settings))
    with pytest.raises(ConfigError, match=r"rows\.0\.no_such_field"):
        read_plan(tmp_path / "plan.yaml")


@pytest.mark.parametrize("text", ["- a row\n", "rows: [1, 2\n"])
def test_a_plan_that_is_none_is_refused_in_words(tmp_path: Path, text: str) -> None:
    (tmp_path / "plan.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"'plan\.yaml'.* expected"):
        read_plan(tmp_path / "plan.yaml")


def test_a_plan_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="found no plan"):
        read_plan(tmp_path / "plan.yaml")


def test_a_row_can_start_only_from_a_row_above_it() -> None:
    rows = SETTINGS["rows"]
    with pytest.raises(ValueError, match="no row above it"):
        make_plan(rows=[rows[2], rows[0]])  # type: ignore[index]


def test_data_that_the_plan_does_not_have_are_refused() -> None:
    with pytest.raises(ValueError, match="tiny"):
        make_plan(rows=[{**SETTINGS["rows"][1], "data": ["tiny"]}])  # type: ignore[index]


def test_a_table_fills_seed_by_seed() -> None:
    names = [trial.name for trial in list_trials(make_plan(), data=["large"])]
    assert names == [
        "plan-coach-large-seed0",
        "plan-plain-large-seed0",
        "plan-started-large-seed0",
        "plan-plain-large-seed1",
        "plan-started-large-seed1",
    ]


def test_a_row_starts_from_its_own_data_and_seed_or_from_the_first_there_are() -> None:
    (trial,) = list_trials(make_plan(), rows=["started"], data=["small"], seeds=[1])
    assert [source.name for source in trial.sources] == ["plan-coach-large-seed0"]


def test_a_row_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(UnknownNameError, match="coach, plain, started"):
        list_trials(make_plan(), rows=["plane"])


def test_a_row_that_measures_weights_anew_has_an_order_of_its_own() -> None:
    variant = {**SETTINGS["rows"][1], "name": "variant", "weights_of": "plain"}  # type: ignore[index]
    variant["settings"] = {"threads": 1}
    plan = make_plan(rows=[*SETTINGS["rows"], variant])  # type: ignore[misc]
    plain, measured = list_trials(plan, rows=["plain", "variant"], data=["small"], seeds=[1])
    assert measured.sources == (plain,)
    assert measured.order == {"weights_of": plain.order, "settings": {"threads": 1}}
    assert "weights_of" not in plain.order


def test_an_average_takes_one_run_of_each_seed_of_its_row() -> None:
    average = {"name": "mean", "title": "mean", "system": "baseline_unet", "average_of": ["plain"]}
    plan = make_plan(rows=[*SETTINGS["rows"], average])  # type: ignore[misc]
    (trial,) = list_trials(plan, rows=["mean"], data=["small"])
    plain = list_trials(plan, rows=["plain"], data=["small"])
    assert trial.seed == plain[0].seed
    assert list(trial.sources) == plain
    assert len(plain) == 2
    assert trial.order == {"average_of": [one.order for one in plain]}
    rows = [*SETTINGS["rows"], {**average, "average_of": ["plain", "started"]}]  # type: ignore[misc]
    assert len(list_trials(make_plan(rows=rows), rows=["mean"], data=["small"])[0].sources) == 4
    with pytest.raises(ValueError, match="settings or seeds"):
        make_plan(rows=[*SETTINGS["rows"], {**average, "seeds": [3]}])  # type: ignore[misc]


def test_a_row_cannot_both_start_from_weights_and_have_them() -> None:
    both = {**SETTINGS["rows"][2], "weights_of": "plain"}  # type: ignore[index]
    with pytest.raises(ValueError, match="more than one of"):
        make_plan(rows=[*SETTINGS["rows"][:2], both])  # type: ignore[misc, index]


def test_data_may_have_columns_of_their_own() -> None:
    small, large = (dict(data) for data in SETTINGS["data"])  # type: ignore[attr-defined]
    plan = make_plan(data=[{**small, "columns": {"overall/auc": "AUC"}}, large])
    assert plan.columns_of(plan.data[0]) == {"overall/auc": "AUC"}
    assert plan.columns_of(plan.data[1]) == SETTINGS["columns"]


def test_other_settings_of_the_start_are_another_order() -> None:
    rows = [dict(row) for row in SETTINGS["rows"]]  # type: ignore[call-overload]
    before = list_trials(make_plan(), rows=["started"])[0]
    rows[0]["settings"] = {"epochs": 3}
    after = list_trials(make_plan(rows=rows), rows=["started"])[0]
    assert before.order_digest != after.order_digest

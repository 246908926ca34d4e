"""The plans of the specialized streams can be carried out as they stand."""

from importlib import import_module
from pathlib import Path

import pytest

from groundglass.evaluation.plan import read_plan
from groundglass.evaluation.trial import list_trials
from groundglass.systems.card import home

PLANS = sorted((Path(__file__).parents[2] / "benchmarks" / "plans").glob("specialized_*.yaml"))


@pytest.mark.parametrize("path", PLANS, ids=[path.stem for path in PLANS])
def test_every_row_has_a_recipe_that_takes_its_settings(path: Path) -> None:
    plan = read_plan(path)
    assert list_trials(plan)
    for row in plan.rows:
        config = import_module(f"groundglass.systems.{row.system}.training").Config
        overrides = [f"{key}={value}" for key, value in row.settings.items()]
        loaded = config.load(home(row.system) / row.recipe, overrides)
        stages = {"recognition": "classes", "manifestations": "classes"}
        wanted = stages.get(loaded.stage)
        for data in plan.data_of(row):
            assert wanted is None or {test.protocol for test in data.tests} == {wanted}


def test_there_is_a_plan_for_each_stage() -> None:
    assert len(PLANS) == 3

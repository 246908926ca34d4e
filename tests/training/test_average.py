from collections.abc import Sequence
from pathlib import Path
from shutil import copytree

import pytest
import torch
from safetensors.torch import load_file

from groundglass.errors import ConfigError, OutputError, WeightsError
from groundglass.evaluation.evaluate import configuration_digest
from groundglass.systems import load_system
from groundglass.systems.baseline_unet.training import Config
from groundglass.systems.card import read_card
from groundglass.training.average import average_runs
from groundglass.training.run import Run
from groundglass.training.seen import Learned
from groundglass.training.train import train
from tests.training.tiny import QUICK, SMOKE


def started(table: Path, folder: Path, start: Run, settings: Sequence[str]) -> Run:
    overrides = [*QUICK, "epochs=1", f"start_weights={start.weights}", *settings]
    return train("baseline_unet", [table], folder, recipe=SMOKE, overrides=overrides)


@pytest.fixture(scope="module")
def seeds(
    table: Path, undisturbed: Run, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Run, Run]:
    folder = tmp_path_factory.mktemp("seeds")
    one, two = (started(table, folder / f"{s}", undisturbed, [f"seed={s}"]) for s in (4, 5))
    return one, two


def test_an_average_has_the_mean_of_all_weights(seeds: tuple[Run, Run], tmp_path: Path) -> None:
    made = average_runs(seeds, tmp_path / "mean")
    one, two = (load_file(run.weights) for run in seeds)
    mean = load_file(made.weights)
    assert set(mean) == set(one)
    apart = 0.0
    for name, value in mean.items():
        if value.is_floating_point():
            expected = (one[name].float() + two[name].float()) / 2
            torch.testing.assert_close(value.float(), expected, rtol=1e-3, atol=1e-6)
            apart = max(apart, float((one[name].float() - two[name].float()).abs().max()))
    assert apart > 1e-3, "runs that are alike show nothing"


def test_an_average_is_a_system_that_says_what_it_is(
    seeds: tuple[Run, Run], tmp_path: Path
) -> None:
    made = average_runs(seeds, tmp_path / "mean")
    config = Config.load(made.config, [])
    assert config.seed == 4
    assert config.mean_of == tuple(Config.load(run.config, []).digest() for run in seeds)
    card = load_system(str(made.folder)).card
    assert card.weights is not None
    assert card.weights.config == config.digest() != read_card(seeds[0].card).weights.config
    assert configuration_digest(made.config) != configuration_digest(seeds[0].config)
    assert Learned.of(made.folder) == Learned.of(seeds[0].folder)


def test_runs_may_differ_in_how_they_learned(
    seeds: tuple[Run, Run], table: Path, undisturbed: Run, tmp_path: Path
) -> None:
    faster = started(table, tmp_path / "faster", undisturbed, ["seed=4", "learning_rate=0.002"])
    made = average_runs([seeds[0], faster], tmp_path / "mean")
    assert Config.load(made.config, []).learning_rate == Config.load(SMOKE, []).learning_rate


def test_runs_that_did_not_start_from_one_network_are_refused(
    seeds: tuple[Run, Run], table: Path, undisturbed: Run, tmp_path: Path
) -> None:
    out = tmp_path / "mean"
    other = started(table, tmp_path / "other", seeds[0], ["seed=6"])
    with pytest.raises(ConfigError, match=r"found start_weights=.* in 'other'"):
        average_runs([seeds[0], other], out)
    with pytest.raises(ConfigError, match="settings of '4' in '4' as well"):
        average_runs([seeds[0], seeds[0]], out)
    with pytest.raises(ConfigError, match="no start weights in 'run'"):
        average_runs([undisturbed, seeds[0]], out)
    wider = ["decoder_channels=[8, 8, 8, 8, 16]", "seed=7"]
    partly = started(table, tmp_path / "partly", undisturbed, wider)
    with pytest.raises(ConfigError, match=r"weights in 'partly' that start_weights did not give"):
        average_runs([seeds[0], partly], out)
    with pytest.raises(ConfigError, match="two at least"):
        average_runs(seeds[:1], out)
    assert not out.exists()


def test_runs_of_other_cases_or_changed_weights_are_refused(
    seeds: tuple[Run, Run], tmp_path: Path
) -> None:
    changed = Run(copytree(seeds[1].folder, tmp_path / "changed"))
    lines = changed.cohort.read_text().splitlines(keepends=True)
    changed.cohort.write_text("".join(lines[:-1]))
    with pytest.raises(ConfigError, match="other cases in 'changed'"):
        average_runs([seeds[0], changed], tmp_path / "mean")
    damaged = Run(copytree(seeds[1].folder, tmp_path / "damaged"))
    damaged.weights.write_bytes(seeds[0].weights.read_bytes())
    with pytest.raises(WeightsError, match="changed"):
        average_runs([seeds[0], damaged], tmp_path / "mean")
    with pytest.raises(OutputError, match="expected a new folder"):
        average_runs(seeds, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"changed", "damaged"}


def test_an_average_is_not_asked_of_a_training(table: Path, tmp_path: Path) -> None:
    overrides = [*QUICK, "mean_of=[a, b]"]
    with pytest.raises(ConfigError, match="average-runs"):
        train("baseline_unet", [table], tmp_path / "run", recipe=SMOKE, overrides=overrides)
    assert not (tmp_path / "run").exists()

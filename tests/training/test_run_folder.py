import csv
import json
from pathlib import Path

import pytest
import torch

from groundglass.data.cohort import Cohort, write_cohort
from groundglass.errors import ConfigError, WeightsError
from groundglass.settings import read_settings
from groundglass.systems import load_system
from groundglass.systems.baseline_unet.training import Config
from groundglass.systems.card import home, read_card
from groundglass.training.run import Run, save_weights
from groundglass.training.train import train
from groundglass.weights import sha256_of
from tests.training.tiny import QUICK, SMOKE


def test_every_epoch_has_one_row(undisturbed: Run) -> None:
    rows = list(csv.DictReader(undisturbed.metrics.read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert all(row["train/loss"] and row["val/lesion_dice"] for row in rows)
    assert float(rows[0]["learning_rate"]) > float(rows[2]["learning_rate"]) > 0


def test_the_settings_of_a_run_repeat_it(undisturbed: Run) -> None:
    config = Config.load(undisturbed.config, [])
    assert config == Config.load(SMOKE, list(QUICK))
    assert read_card(undisturbed.card).weights.config == config.digest()


def test_an_automatic_precision_is_settled_when_the_run_begins(undisturbed: Run) -> None:
    assert Config.load(SMOKE, ["precision=auto"]).precision == "auto"
    assert Config.load(undisturbed.config, []).precision != "auto"


def test_the_cohort_of_a_run_is_kept_with_checksums(undisturbed: Run, table: Path) -> None:
    assert Cohort.read([undisturbed.cohort]).cases == Cohort.read([table]).cases
    lines = undisturbed.checksums.read_text().splitlines()
    assert len(lines) == 18, "six slices with lungs and lesions"
    digest, _, path = lines[0].partition("  ")
    assert sha256_of(Path(path)) == digest


def test_what_splits_share_is_kept(undisturbed: Run) -> None:
    check = json.loads(undisturbed.cohort_check.read_text())
    assert check["faults"] == []
    assert len(check["look_alikes"]) == 2, "the slices of the tiny cohort look much the same"


def test_machine_and_command_are_noted(undisturbed: Run) -> None:
    (start,) = json.loads((undisturbed.folder / "environment.json").read_text())
    assert start.keys() >= {"command", "cpu", "device", "threads", "precision", "source_sha256"}
    assert start["libraries"]["torch"]


def test_speed_and_memory_are_measured(undisturbed: Run) -> None:
    found = json.loads(undisturbed.throughput.read_text())
    assert found["images_per_second"] > 0
    assert 0.1 < found["peak_memory_gb"] < 100
    assert (found["epochs"], found["batch_size"], found["size_px"]) == (3, 2, [32, 64])


def test_nothing_is_left_half_written(undisturbed: Run) -> None:
    assert not list(undisturbed.folder.rglob("*.partial"))


def test_a_run_is_a_system(undisturbed: Run) -> None:
    assert load_system(str(undisturbed.folder)).card.weights.sha256 == sha256_of(
        undisturbed.weights
    )


def test_a_metric_that_no_epoch_has_is_refused_with_those_there_are(
    table: Path, tmp_path: Path
) -> None:
    wrong = [*QUICK, "epochs=1", "monitor=val/no_such_dice"]
    with pytest.raises(ConfigError, match="val/no_such_dice"):
        train("baseline_unet", [table], tmp_path / "run", recipe=SMOKE, overrides=wrong)


def test_patience_for_a_metric_that_no_epoch_has_is_refused_in_words(
    table: Path, tmp_path: Path
) -> None:
    wrong = [*QUICK, "epochs=1", "patience=1", "monitor=val/no_such_dice"]
    words = r"monitor=val/no_such_dice, which no epoch has, expected one of .*val/lesion_dice"
    with pytest.raises(ConfigError, match=words):
        train("baseline_unet", [table], tmp_path / "run", recipe=SMOKE, overrides=wrong)


def test_patience_needs_cases_to_judge_by(table: Path, tmp_path: Path) -> None:
    learned = Cohort.read([table]).split("train")
    write_cohort(learned, tmp_path / "cohort.csv")
    settings = [*QUICK, "keep=last", "patience=3"]
    with pytest.raises(ConfigError, match=r"patience=3 .*no case in split 'val'"):
        train(
            "baseline_unet",
            [tmp_path / "cohort.csv"],
            tmp_path / "run",
            recipe=SMOKE,
            overrides=settings,
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("wrong", ["start_weights=none.safetensors", "encoder_weights=none.pth"])
def test_a_command_that_is_corrected_finds_its_folder_free(
    wrong: str, table: Path, tmp_path: Path
) -> None:
    with pytest.raises(WeightsError, match=r"found no (file|weights) 'none"):
        train(
            "baseline_unet",
            [table],
            tmp_path / "run",
            recipe=SMOKE,
            overrides=[*QUICK, wrong],
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("system", ["lung_unet", "specialized_streams"])
def test_an_input_that_cannot_be_halved_is_refused_before_the_run_begins(
    system: str, table: Path, tmp_path: Path
) -> None:
    recipe, settings = home(system) / "smoke.yaml", ["size_px=[100, 128]", "devices=cpu"]
    with pytest.raises(ConfigError, match=r"size_px=\[100, 128\], .* multiples of 16"):
        train(system, [table], tmp_path / "run", recipe=recipe, overrides=settings)
    assert not (tmp_path / "run").exists()


def test_weights_that_half_precision_cannot_hold_are_refused(tmp_path: Path) -> None:
    network = torch.nn.Linear(2, 1)
    with torch.no_grad():
        network.weight[0, 1] = 70000.0
    with pytest.raises(WeightsError, match=r"weights 'weight' up to 70000, .* at most 65504"):
        save_weights(network, tmp_path / "w.safetensors")
    assert list(tmp_path.iterdir()) == []
    save_weights(network, tmp_path / "w.safetensors", half=False)
    with torch.no_grad():
        network.bias[0] = torch.nan
    with pytest.raises(WeightsError, match="weights 'bias' up to nan, expected finite numbers, as"):
        save_weights(network, tmp_path / "w.safetensors", half=False)


def test_a_run_says_what_it_took_from_start_weights(
    undisturbed: Run, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(undisturbed.folder)
    settings = [*QUICK, "epochs=1", "start_weights=weights.safetensors"]
    run = train("baseline_unet", [table], tmp_path / "run", recipe=SMOKE, overrides=settings)
    taken = json.loads(run.start_weights.read_text())
    assert taken["sha256"] == sha256_of(undisturbed.weights)
    assert read_settings(run.config)["start_weights"] == str(undisturbed.weights.resolve())
    assert taken["only_in_network"] == taken["other_shape"] == []


def test_start_weights_that_are_not_there_are_refused(table: Path, tmp_path: Path) -> None:
    settings = [*QUICK, f"start_weights={tmp_path / 'none.safetensors'}"]
    with pytest.raises(WeightsError, match=r"found no weights 'none\.safetensors'"):
        train("baseline_unet", [table], tmp_path / "run", recipe=SMOKE, overrides=settings)


def test_settings_of_another_system_are_refused(table: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="found settings of 'other'"):
        train("baseline_unet", [table], tmp_path / "r", recipe=SMOKE, overrides=["system=other"])

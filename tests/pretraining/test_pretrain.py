import csv
import json
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from groundglass.data.cohort import Case, write_cohort
from groundglass.errors import ConfigError, UnknownNameError
from groundglass.pretraining.config import GEOMETRY_ONLY
from groundglass.pretraining.pretrain import pretrain
from groundglass.systems.card import home
from groundglass.systems.ss_inf_net.pretext import Config
from groundglass.systems.ss_inf_net.training import Config as TrainConfig
from groundglass.systems.ss_inf_net.training import Module
from groundglass.training.run import Run
from groundglass.training.start_weights import take_start_weights
from groundglass.training.watcher import Watcher

SMOKE = home("ss_inf_net") / "pretrain_smoke.yaml"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four slices to learn from, two that judge, and one for testing."""
    folder = tmp_path_factory.mktemp("cohort")
    random = np.random.default_rng(1)
    cases = []
    for number, split in enumerate(("train",) * 4 + ("val",) * 2 + ("test",)):
        picture = np.full((64, 64), 200, np.uint8)
        picture[10:54, 8:28] = picture[10:54, 36:56] = 60
        picture[20:30, 10:25] = random.integers(60, 180)
        image = folder / f"{number}.png"
        cv2.imwrite(str(image), picture)
        cases.append(Case(case=f"{number}", patient=f"p{number}", split=split, image=image))
    write_cohort(cases, folder / "cohort.csv")
    return folder / "cohort.csv"


@pytest.fixture(scope="module")
def run(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return pretrain("ss_inf_net", [table], tmp_path_factory.mktemp("run") / "a", recipe=SMOKE)


def rows_of(run: Run) -> list[dict[str, str]]:
    with run.metrics.open(newline="") as file:
        return list(csv.DictReader(file))


def test_both_losses_stand_in_the_table_for_every_epoch(run: Run) -> None:
    rows = rows_of(run)
    assert [(row["round"], row["learner"]) for row in rows] == [
        ("0", "network"),
        ("1", "coach"),
        ("1", "network"),
        ("1", "network"),
    ]
    assert all(row["train/network_loss"] and row["train/coach_loss"] for row in rows)


def test_the_coach_is_measured_against_random_masks_on_held_out_slices(run: Run) -> None:
    rows = rows_of(run)
    assert [bool(row["val/coach_error"]) for row in rows] == [False, True, False, True]
    for row in (rows[1], rows[3]):
        ratio = float(row["val/coach_error"]) / float(row["val/random_error"])
        assert float(row["val/harder"]) == pytest.approx(ratio)


def test_a_picture_of_every_round_is_kept(run: Run) -> None:
    for number in (0, 1):
        picture = cv2.imread(str(run.folder / f"round_{number:02d}.png"), cv2.IMREAD_GRAYSCALE)
        assert picture.std() > 10


def test_all_but_the_output_layers_is_handed_on(run: Run) -> None:
    weights = load_file(run.weights)
    learned = torch.load(run.last_checkpoint, weights_only=True)["state"]["network"]
    drawn = {name for name in weights if not weights[name].equal(learned[name])}
    module = Module.start(TrainConfig.load(home("ss_inf_net") / "smoke.yaml", []), [])
    taken = take_start_weights(module.network, run.weights)
    assert not taken.only_in_network + taken.only_in_file + taken.other_shape
    outputs = {
        name
        for name, value in module.network.named_parameters()
        if any(
            value is own for layer in module.network.lesion.outputs() for own in layer.parameters()
        )
    }
    assert len(outputs) == 10
    assert drawn == outputs


def test_the_run_says_what_its_weights_are(run: Run) -> None:
    facts = json.loads((run.folder / "pretraining.json").read_text())
    assert facts["train_slices"] == 4
    assert facts["config"] == Config.load(run.config, []).digest()
    assert not run.card.exists()  # it is no system that could answer


class Interruption(Watcher):
    """Stops a run after so many epochs."""

    def __init__(self, epochs: int) -> None:
        self.left = epochs

    def progress(self, fraction: float) -> None:  # noqa: ARG002
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def test_an_interrupted_run_ends_as_if_it_had_not_been(
    run: Run, table: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):  # between two turns
        pretrain("ss_inf_net", [table], folder, recipe=SMOKE, watcher=Interruption(1))
    with pytest.raises(KeyboardInterrupt):  # within a turn
        pretrain("ss_inf_net", [table], folder, resume=True, watcher=Interruption(2))
    resumed = pretrain("ss_inf_net", [], folder, resume=True)
    assert resumed.metrics.read_bytes() == run.metrics.read_bytes()
    assert resumed.weights.read_bytes() == run.weights.read_bytes()


def test_a_resumed_run_reads_no_weights_but_its_own(
    run: Run, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    for place in ("groundglass.systems.ss_inf_net.pretext", "groundglass.pretraining.course"):
        monkeypatch.setattr(f"{place}.start_encoder", lambda *given: asked.append(given[2]))
    settings = ["encoder_weights=imagenet", "coach_encoder_weights=imagenet"]
    with pytest.raises(KeyboardInterrupt):
        pretrain(
            "ss_inf_net",
            [table],
            tmp_path / "run",
            recipe=SMOKE,
            overrides=settings,
            watcher=Interruption(2),
        )
    resumed = pretrain("ss_inf_net", [], tmp_path / "run", resume=True)
    assert asked == ["imagenet", "imagenet", "none", "none"]
    assert resumed.weights.read_bytes() == run.weights.read_bytes()
    assert resumed.config.read_text().count("encoder_weights: imagenet") == 2


def test_a_command_that_is_corrected_finds_its_folder_free(table: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no_such_encoder"):
        pretrain(
            "ss_inf_net",
            [table],
            tmp_path / "r",
            recipe=SMOKE,
            overrides=["encoder=no_such_encoder"],
        )
    assert not (tmp_path / "r").exists()


def test_another_seed_gives_other_weights(run: Run, table: Path, tmp_path: Path) -> None:
    other = pretrain("ss_inf_net", [table], tmp_path, recipe=SMOKE, overrides=["seed=1"])
    assert other.weights.read_bytes() != run.weights.read_bytes()


@pytest.mark.slow
def test_a_killed_run_ends_as_if_it_had_not_been(run: Run, table: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "groundglass", "pretrain", "ss_inf_net", "--out", "killed"]
    checkpoint = Run(tmp_path / "killed").last_checkpoint
    for options in (["--data", str(table), "--recipe", str(SMOKE)], ["--resume"]):
        seen = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        process = subprocess.Popen([*command, *options], cwd=tmp_path, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            if checkpoint.exists() and checkpoint.stat().st_mtime_ns != seen:
                process.kill()  # somewhere within the next epoch
            time.sleep(0.01)
    resumed = pretrain("ss_inf_net", [], tmp_path / "killed", resume=True)
    assert resumed.metrics.read_bytes() == run.metrics.read_bytes()
    assert resumed.weights.read_bytes() == run.weights.read_bytes()


def test_without_a_validation_split_the_learned_slices_judge(table: Path, tmp_path: Path) -> None:
    lines = [line for line in table.read_text().splitlines() if ",val," not in line]
    alone = table.with_name("no_val.csv")
    alone.write_text("\n".join(lines) + "\n")
    run = pretrain("ss_inf_net", [alone], tmp_path / "d", recipe=SMOKE, overrides=["rounds=0"])
    assert float(rows_of(run)[0]["seen/random_error"]) > 0


def test_a_system_without_a_pretext_is_refused(table: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"baseline_unet.*known: .*ss_inf_net"):
        pretrain("baseline_unet", [table], tmp_path)


def test_a_run_is_not_overwritten(run: Run, table: Path) -> None:
    with pytest.raises(ConfigError, match="resume it or name another"):
        pretrain("ss_inf_net", [table], run.folder, recipe=SMOKE)


def test_a_run_goes_on_with_its_own_settings(run: Run, table: Path) -> None:
    with pytest.raises(ConfigError, match="seed=1"):
        pretrain("ss_inf_net", [table], run.folder, overrides=["seed=1"], resume=True)


def test_nothing_cannot_be_resumed(table: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="start it anew"):
        pretrain("ss_inf_net", [table], tmp_path, resume=True)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("draws_per_epoch=1", "at least batch_size"),
        ("size_px=[60,64]", "multiples of 32"),
        ("keep=1.0", "keep"),
        ("alpha=3", "alpha"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(setting: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Config.load(SMOKE, [setting])


def test_the_shipped_recipes_are_valid() -> None:
    assert Config.load(SMOKE, []).system == "ss_inf_net"
    assert Config.load(SMOKE.with_name("pretrain.yaml"), []).keep == 0.75


def test_one_setting_of_the_augmentation_leaves_the_gray_as_it_is(tmp_path: Path) -> None:
    recipe = tmp_path / "pretrain.yaml"
    recipe.write_text(SMOKE.read_text() + "augment:\n  shift: 0.1\n")
    found = Config.load(recipe, ["augment.flip_vertical=0.5"]).augment
    wanted = {"shift": 0.1, "flip_vertical": 0.5}
    assert found == GEOMETRY_ONLY.model_copy(update=wanted)

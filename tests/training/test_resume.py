import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from groundglass.errors import ConfigError
from groundglass.systems.baseline_unet.training import Config, Module
from groundglass.systems.card import read_card
from groundglass.training.module import SystemModule
from groundglass.training.run import Run
from groundglass.training.train import train
from tests.training.tiny import QUICK, SMOKE, write_tiny_cohort

KILLER = Path(__file__).with_name("killed_training.py")
SAME_HOWEVER_OFTEN_INTERRUPTED = ("config.yaml", "metrics.csv", "weights.safetensors", "card.yaml")


class PulledPlugError(Exception):
    """Stops a training in a test."""


def start(table: Path, folder: Path, settings: Sequence[str] = ()) -> Run:
    return train("baseline_unet", [table], folder, recipe=SMOKE, overrides=[*QUICK, *settings])


def resume(folder: Path) -> Run:
    return train("baseline_unet", [], folder, resume=True)


def pull_the_plug(method: str, epoch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    original = getattr(SystemModule, method)

    def stop(self: SystemModule, *args: object) -> object:
        if self.current_epoch == epoch:
            raise PulledPlugError
        return original(self, *args)

    monkeypatch.setattr(SystemModule, method, stop)


def assert_same_run(found: Run, expected: Run) -> None:
    for name in SAME_HOWEVER_OFTEN_INTERRUPTED:
        assert (found.folder / name).read_bytes() == (expected.folder / name).read_bytes(), name


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param((), id="as-the-recipe-says"),
        pytest.param(
            ("optimizer=sgd", "schedule=step", "step_epochs=1"),
            id="sgd-with-steps",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ("lookahead=true", "keep=last"), id="lookahead-last-epoch", marks=pytest.mark.slow
        ),
    ],
)
def test_a_run_interrupted_in_validation_ends_as_if_it_had_not_been(
    settings: tuple[str, ...],
    table: Path,
    undisturbed: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = start(table, tmp_path / "whole" / "run", settings) if settings else undisturbed
    with monkeypatch.context() as patch:
        pull_the_plug("validation_step", 1, patch)
        with pytest.raises(PulledPlugError):
            start(table, tmp_path / "run", settings)
    assert Run(tmp_path / "run").last_checkpoint.is_file(), "it would begin anew"
    assert_same_run(resume(tmp_path / "run"), expected)


def test_a_run_interrupted_before_its_first_checkpoint_can_be_resumed(
    table: Path, undisturbed: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        pull_the_plug("training_step", 0, patch)
        with pytest.raises(PulledPlugError):
            start(table, tmp_path / "run")
    assert not Run(tmp_path / "run").last_checkpoint.exists()
    assert_same_run(resume(tmp_path / "run"), undisturbed)
    starts = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert len(starts) == 2


def test_a_run_interrupted_when_all_epochs_are_done_is_finished(
    undisturbed: Run, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*args: object) -> None:
        raise PulledPlugError

    with monkeypatch.context() as patch:
        patch.setattr("groundglass.training.train.keep_network", stop)
        with pytest.raises(PulledPlugError):
            start(table, tmp_path / "run")
    found = resume(tmp_path / "run")
    assert_same_run(found, undisturbed)
    assert json.loads(found.throughput.read_text())["epochs"] == 3


def test_a_finished_run_stays_as_it_is(undisturbed: Run) -> None:
    before = {path: path.stat().st_mtime_ns for path in undisturbed.folder.rglob("*")}
    resume(undisturbed.folder)
    assert {path: path.stat().st_mtime_ns for path in undisturbed.folder.rglob("*")} == before


def test_a_training_without_progress_ends_and_stays_ended(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SystemModule, "on_validation_epoch_end", stand_still)

    def stop(*args: object) -> None:
        raise PulledPlugError

    with monkeypatch.context() as patch:
        patch.setattr("groundglass.training.train.keep_network", stop)
        with pytest.raises(PulledPlugError):
            start(table, tmp_path / "run", ["patience=1", "epochs=9", "monitor=val/still"])
    found = resume(tmp_path / "run")
    rows = found.metrics.read_text().splitlines()[1:]
    assert len(rows) == 2, "one epoch sets the mark, the next does not pass it"


def stand_still(self: SystemModule) -> None:
    self.log("val/still", 0.5)


def test_a_moved_run_still_knows_its_best_epoch(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fall(self: SystemModule) -> None:
        self.log("val/falls", 1 - self.current_epoch / 10)

    monkeypatch.setattr(SystemModule, "on_validation_epoch_end", fall)
    with monkeypatch.context() as patch:
        pull_the_plug("validation_step", 1, patch)
        with pytest.raises(PulledPlugError):
            start(table, tmp_path / "here", ["monitor=val/falls"])
    (tmp_path / "here").rename(tmp_path / "there")
    found = resume(tmp_path / "there")
    assert len(found.metrics.read_text().splitlines()) == 4
    assert torch.load(found.best_checkpoint, weights_only=True)["epoch"] == 0
    assert not (tmp_path / "here").exists()


def test_an_epoch_that_is_no_better_is_not_lost(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SystemModule, "on_validation_epoch_end", stand_still)
    pull_the_plug("validation_step", 2, monkeypatch)
    with pytest.raises(PulledPlugError):
        start(table, tmp_path / "run", ["monitor=val/still"])
    found = Run(tmp_path / "run")
    assert torch.load(found.best_checkpoint, weights_only=True)["epoch"] == 0
    assert torch.load(found.last_checkpoint, weights_only=True)["epoch"] == 1


def test_a_resumed_run_reads_no_weights_but_its_own(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The encoder's start weights may be a download, and may be gone."""
    asked: list[str] = []

    def note(_encoder: object, _name: str, weights: str) -> None:
        asked.append(weights)

    monkeypatch.setattr("groundglass.systems.baseline_unet.training.start_encoder", note)
    with monkeypatch.context() as patch:
        pull_the_plug("validation_step", 1, patch)
        with pytest.raises(PulledPlugError):
            start(table, tmp_path / "run", ["encoder_weights=imagenet"])
    assert resume(tmp_path / "run").card.is_file()
    assert asked == ["imagenet", "none"]
    assert "encoder_weights: imagenet" in (tmp_path / "run" / "config.yaml").read_text()


def test_a_card_names_the_settings_that_the_run_began_with(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        pull_the_plug("training_step", 0, patch)
        with pytest.raises(PulledPlugError):
            start(table, tmp_path / "run", ["threads=1", "epochs=1"])
    found = train("baseline_unet", [], tmp_path / "run", overrides=["threads=2"], resume=True)
    noted = Config.load(found.config, [])
    assert noted.threads == 1
    assert read_card(found.card).weights.config == noted.digest()


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_diverged_training_ends_in_words(
    loss: float, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Module,
        "losses",
        lambda self, _: {"loss": self.network(torch.zeros(1, 1, 32, 64)).sum() * loss},
    )
    with pytest.raises(ConfigError, match=r"a loss of (nan|-?inf) in step 1 of epoch 1"):
        start(table, tmp_path / "run")
    assert not Run(tmp_path / "run").weights.exists()


def test_a_resumed_run_keeps_its_settings(undisturbed: Run) -> None:
    with pytest.raises(ConfigError, match=r"found epochs=9 .* start a new run"):
        train("baseline_unet", [], undisturbed.folder, overrides=["epochs=9"], resume=True)


def test_as_many_devices_go_on_as_began(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        pull_the_plug("training_step", 0, patch)
        with pytest.raises(PulledPlugError):
            start(table, tmp_path / "run")
    with pytest.raises(ConfigError, match="devices=cpu:2 for a run that began with 1 processes"):
        train("baseline_unet", [], tmp_path / "run", overrides=["devices=cpu:2"], resume=True)
    train("baseline_unet", [], tmp_path / "run", overrides=["devices=cpu:1"], resume=True)


def test_what_a_step_draws_depends_on_its_place_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loaders draw from the same generator, and a resumed run makes them at another moment."""
    module = Module.start(Config.load(SMOKE, []), [])
    monkeypatch.setattr(module, "losses", lambda _: {"loss": torch.rand(())})
    monkeypatch.setattr(module, "log", lambda *_, **__: None)
    batch = {"case": torch.zeros(1)}
    torch.manual_seed(1)
    first, next_step = module.training_step(batch, 0), module.training_step(batch, 1)
    torch.manual_seed(2)
    assert module.training_step(batch, 0) == first != next_step


def test_a_run_that_never_began_is_not_resumed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="found no run in 'none'"):
        resume(tmp_path / "none")


def test_a_run_is_not_resumed_on_other_cases(undisturbed: Run, tmp_path: Path) -> None:
    other = write_tiny_cohort(tmp_path)
    with pytest.raises(ConfigError, match="other cases"):
        train("baseline_unet", [other], undisturbed.folder, resume=True)


def test_a_run_is_not_resumed_on_changed_files(tmp_path: Path) -> None:
    run, file = Run(tmp_path), tmp_path / "a.png"
    file.write_bytes(b"one")
    run.write_checksums([file])
    run.refuse_changed_files([file])
    file.write_bytes(b"two")
    with pytest.raises(ConfigError, match=r"'a\.png' changed"):
        run.refuse_changed_files([file])


def groundglass(folder: Path, *arguments: str, killed_at: str = "step:-1") -> subprocess.Popen:
    """A training in a process of its own, which kills itself at a moment."""
    command = [sys.executable, str(KILLER), killed_at, "train", "baseline_unet"]
    return subprocess.Popen(
        [*command, "--out", str(folder), *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


@pytest.mark.slow
def test_a_run_killed_at_any_moment_ends_as_if_it_had_not_been(table: Path, tmp_path: Path) -> None:
    settings = ["epochs=7", "optimizer=sgd", "learning_rate=0.05", "logger=tensorboard"]
    expected = start(table, tmp_path / "whole" / "run", settings)
    folder = tmp_path / "run"
    given = [f"--set={setting}" for setting in (*QUICK, *settings)]
    begin = ["--data", str(table), "--recipe", str(SMOKE), *given]
    seed = time.time_ns()
    draw = random.Random(seed)
    moments = [
        f"step:{draw.randrange(4)}",  # before the first checkpoint
        f"step:{draw.randrange(5, 8)}",  # in the middle of an epoch; one has four steps
        f"checkpoint:{draw.randrange(1, 4)}",  # the last at the end of each epoch, before it a best
        f"validation:{draw.randrange(2)}",
    ]
    for number, moment in enumerate(moments):
        process = groundglass(folder, *(["--resume"] if number else begin), killed_at=moment)
        _, stderr = process.communicate()
        assert process.returncode == -signal.SIGKILL, (seed, moment, stderr)
    process = groundglass(folder, "--resume")
    rows = Run(folder).metrics.read_text().count("\n")
    while process.poll() is None and Run(folder).metrics.read_text().count("\n") <= rows:
        time.sleep(0.01)
    time.sleep(draw.random() / 2)
    process.kill()  # wherever it is now
    process.communicate()
    process = groundglass(folder, "--resume")
    _, stderr = process.communicate()
    assert process.returncode == 0, (seed, stderr)
    assert_same_run(Run(folder), expected)


@pytest.mark.slow
def test_two_processes_train_together(table: Path, tmp_path: Path) -> None:
    settings = [f"--set={setting}" for setting in QUICK]
    run = Run(tmp_path / "run")
    begin = ["--data", str(table), "--out", str(run.folder), "--recipe", str(SMOKE), *settings]
    command = [sys.executable, "-m", "groundglass", "train", "baseline_unet", *begin]
    done = subprocess.run([*command, "--device", "cpu:2"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().split() == [str(run.folder)], "one of them tells"
    assert json.loads(run.throughput.read_text())["processes"] == 2
    assert len(run.metrics.read_text().splitlines()) == 4

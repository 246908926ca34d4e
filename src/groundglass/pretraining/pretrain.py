"""Pretrain a system on the slices of a cohort, no label read; resumable after every epoch."""

import csv
import io
import json
import os
from collections.abc import Sequence
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from tqdm import tqdm

from groundglass.data.cohort import Cohort, write_cohort
from groundglass.data.slices import EpochSampler, SliceDataset
from groundglass.errors import ConfigError, UnknownNameError
from groundglass.networks.encoder import start_encoder
from groundglass.pretraining.alternation import Alternation, Batches, seed_all
from groundglass.pretraining.coach import Coach, hard_mask, random_activation
from groundglass.pretraining.config import PretrainConfig
from groundglass.pretraining.inpainting import cover
from groundglass.pretraining.picture import Row, draw_round
from groundglass.pretraining.rounds import Turn, turns_of
from groundglass.training.run import Run, save_weights

METRICS = (
    "epoch",
    "round",
    "learner",
    "train/network_loss",
    "train/coach_loss",
    "train/erased_error",
    "train/kept",
    "val/random_error",
    "val/coach_error",
    "val/harder",
)
"""Columns of ``logs/metrics.csv``; those of the held-out slices are filled at the end of a turn."""

PICTURED_SLICES = 4


def pretrain(
    system: str,
    tables: Sequence[Path],
    folder: Path,
    *,
    recipe: Path | None = None,
    overrides: Sequence[str] = (),
    resume: bool = False,
) -> Run:
    """Pretrain a system's network by coach-guided inpainting.

    Args:
        system: Name of a system that has a pretext task.
        tables: Cohort tables; the training split is learned from, the validation split judges.
        folder: Folder of the run, new unless resumed.
        recipe: YAML with settings; the system's own ``pretrain.yaml`` if not given.
        overrides: Settings that differ, as ``key=value``.
        resume: Go on from the last epoch of an interrupted run, with its own settings.

    Returns:
        The finished run. Its ``weights.safetensors`` is for ``start_weights`` of a training: output
        layers are random, all else has learned. It has no card, since it answers nothing yet.

    Raises:
        ConfigError: If a setting is wrong, or the folder holds a run and ``resume`` is not set.
        CohortError: If a table is wrong.
        UnknownNameError: If there is no such system, or it has no pretext task.
    """
    parts = _parts_of(system)
    run = Run(folder)
    if resume:
        config: PretrainConfig = parts.Config.load(run.config, [])
    else:
        recipe = recipe or Path(str(files(f"groundglass.systems.{system}"))) / "pretrain.yaml"
        config = parts.Config.load(recipe, overrides)
        _start_folder(run, config)
    cohort = Cohort.read(tables)
    write_cohort(cohort.cases, folder / "cohort.csv")
    torch.set_num_threads(config.threads)
    run.write_environment()
    _Pretraining(run, config, cohort, parts).finish()
    return run


def _parts_of(system: str) -> Any:
    systems = Path(str(files("groundglass.systems")))
    known = [path.parent.name for path in systems.glob("*/pretext.py")]
    if system not in known:
        raise UnknownNameError.of("system to pretrain", system, known)
    return import_module(f"groundglass.systems.{system}.pretext")


def _start_folder(run: Run, config: PretrainConfig) -> None:
    if run.config.exists():
        raise ConfigError(
            f"found a run in '{run.folder.name}', expected a new folder; resume it or name another"
        )
    run.folder.mkdir(parents=True, exist_ok=True)
    run.config.write_text(config.dump(), encoding="utf-8")


class _Pretraining:
    """A pretraining under way, and what of it is on disk."""

    def __init__(self, run: Run, config: PretrainConfig, cohort: Cohort, parts: Any) -> None:
        self.run, self.config = run, config
        cases = cohort.split("train")
        self.train_slices = len(cases)
        self.sampler = EpochSampler(cases, config.draws_per_epoch, config.seed)
        self.train_batches: Batches = DataLoader(
            SliceDataset(cases, config.size_px, config.augment, config.seed),
            batch_size=config.batch_size,
            sampler=self.sampler,
            drop_last=True,
        )
        self.val_batches: Batches = DataLoader(
            SliceDataset(cohort.split("val"), config.size_px), batch_size=config.batch_size
        )
        seed_all(config.seed)
        self.pretext = parts.start(config)
        coach = Coach(config.coach_encoder)
        start_encoder(coach.encoder, config.coach_encoder, config.coach_encoder_weights)
        self.alternation = Alternation(self.pretext, coach, config)
        self.rows: list[dict[str, Any]] = []

    def finish(self) -> None:
        """Go through all epochs that are still to do, then write the weights."""
        turns = turns_of(self.config)
        epochs = turns[-1].first_epoch + turns[-1].epochs
        done = self._take_up(turns)
        with tqdm(total=epochs, initial=done, unit="epoch", disable=None) as bar:
            for turn in turns:
                if done <= turn.first_epoch:
                    self.alternation.begin(turn)
                for epoch in range(max(done, turn.first_epoch), turn.first_epoch + turn.epochs):
                    bar.set_description(f"round {turn.round}, {turn.learner}")
                    self._epoch(turn, epoch)
                    bar.update()
        self._write_weights()

    def _take_up(self, turns: Sequence[Turn]) -> int:
        """Load the last epoch's state, if there is one; the number of epochs done."""
        if not self.run.last_checkpoint.is_file():
            return 0
        kept = torch.load(
            self.run.last_checkpoint, map_location=self.alternation.device, weights_only=True
        )
        done: int = kept["epochs"]
        turn = max((t for t in turns if t.first_epoch < done), key=lambda t: t.first_epoch)
        self.alternation.restore(turn, kept["state"])
        self.rows = kept["rows"]
        return done

    def _epoch(self, turn: Turn, epoch: int) -> None:
        self.sampler.set_epoch(epoch)
        row: dict[str, Any] = {"epoch": epoch, "round": turn.round, "learner": turn.learner}
        row |= self.alternation.train_epoch(turn, epoch, self.train_batches)
        if epoch + 1 == turn.first_epoch + turn.epochs:
            row |= self.alternation.measure(turn, self.val_batches).metrics
            self._draw(turn)
        self.rows.append(row)
        self._keep(epoch + 1)

    def _keep(self, epochs: int) -> None:
        checkpoint = self.run.last_checkpoint
        checkpoint.parent.mkdir(exist_ok=True)
        buffer = io.BytesIO()
        torch.save({"epochs": epochs, "state": self.alternation.state(), "rows": self.rows}, buffer)
        _replace(checkpoint, buffer.getvalue())
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, METRICS, restval="")
        writer.writeheader()
        writer.writerows(self.rows)
        (self.run.folder / "logs").mkdir(exist_ok=True)
        _replace(self.run.folder / "logs" / "metrics.csv", table.getvalue().encode())

    def _draw(self, turn: Turn) -> None:
        if turn.learner == "coach":
            return
        gray = next(iter(self.val_batches))["gray"][:PICTURED_SLICES].to(self.alternation.device)
        if turn.random_masks:
            generator = torch.Generator().manual_seed(self.config.seed)
            mask = hard_mask(random_activation(gray, generator), self.config.keep)
        else:
            mask = self.alternation.likely_mask(gray)
        masked = cover(gray, mask)
        self.alternation.network.eval()
        with torch.no_grad():
            maps = self.pretext.inpaint(masked)
        columns = (gray, mask, masked, (maps[-1] + 1) / 2, maps[0])
        arrays = [maps[:, 0].float().cpu().numpy() for maps in columns]
        rows = [Row(*panels) for panels in zip(*arrays, strict=True)]
        masks = "random masks" if turn.random_masks else "the coach's masks"
        draw_round(
            rows,
            f"round {turn.round}, {masks}, {self.config.keep:.0%} kept",
            self.run.folder / f"round_{turn.round:02d}.png",
        )

    def _write_weights(self) -> None:
        seed_all(self.config.seed, self.rows[-1]["epoch"] + 1)
        self.pretext.reset_outputs()
        half_written = self.run.weights.with_suffix(".partial")
        sha256 = save_weights(self.alternation.network, half_written, half=False)
        half_written.replace(self.run.weights)
        facts = {
            "system": self.config.system,
            "weights": {"file": self.run.weights.name, "sha256": sha256},
            "config": self.config.digest(),
            "seed": self.config.seed,
            "train_slices": self.train_slices,
            "last_epoch": self.rows[-1],
        }
        text = json.dumps(facts, indent=2) + "\n"
        (self.run.folder / "pretraining.json").write_text(text, encoding="utf-8")


def _replace(path: Path, content: bytes) -> None:
    """Write a file so that a kill leaves the old one or the new one, never half of one."""
    half_written = path.with_name(path.name + ".partial")
    with half_written.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    half_written.replace(path)

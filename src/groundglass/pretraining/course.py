"""A pretraining under way, and what of it is on disk."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader

from groundglass.data.cohort import Cohort, ct_slices
from groundglass.data.slices import EpochSampler, SliceDataset
from groundglass.networks.encoder import start_encoder
from groundglass.pretraining.alternation import Alternation, Batches, seed_all
from groundglass.pretraining.coach import Coach, hard_mask, random_activation
from groundglass.pretraining.config import PretrainConfig
from groundglass.pretraining.inpainting import cover
from groundglass.pretraining.picture import Row, draw_round
from groundglass.pretraining.rounds import Turn, turns_of
from groundglass.training.run import Run, replace_bytes, replace_text, save_weights
from groundglass.training.watcher import Watcher

_COLUMNS = (
    "epoch",
    "round",
    "learner",
    "train/network_loss",
    "train/coach_loss",
    "train/erased_error",
    "train/kept",
)
_JUDGED = ("random_error", "coach_error", "harder")

FACTS = "pretraining.json"
"""File in a run's folder that says what its weights are; where it is there, the run is finished."""

_PICTURED_SLICES = 4


def start_alternation(run: Run, config: PretrainConfig, parts: Any) -> Alternation:
    """Network and coach before their first epoch, or to load the checkpoint of a run into."""
    if run.last_checkpoint.is_file():  # it has all weights, and these may be a download
        none = {"encoder_weights": "none", "coach_encoder_weights": "none", "start_weights": None}
        known = type(config).model_fields
        config = config.model_copy(update={k: v for k, v in none.items() if k in known})
    seed_all(config.seed)
    pretext = parts.start(config)
    coach = Coach(config.coach_encoder)
    start_encoder(coach.encoder, config.coach_encoder, config.coach_encoder_weights)
    return Alternation(pretext, coach, config)


class Course:
    """A pretraining from its first epoch, or from where it was interrupted, to its weights.

    Args:
        run: Its folder.
        config: Its settings.
        cohort: Its slices.
        parts: The system's ``pretext`` module.
    """

    def __init__(self, run: Run, config: PretrainConfig, cohort: Cohort, parts: Any) -> None:
        self.run, self.config = run, config
        cases = ct_slices(cohort.split("train"))
        judged = tuple(case for case in cohort.cases if case.split == "val" and case.is_slice)
        self.judged_by = "val" if judged else "seen"
        self.train_slices = len(cases)
        self.sampler = EpochSampler(cases, config.draws_per_epoch, config.seed)
        self.train_batches: Batches = DataLoader(
            SliceDataset(cases, config.size_px, config.augment, config.seed),
            batch_size=config.batch_size,
            sampler=self.sampler,
            drop_last=True,
        )
        self.judged_batches: Batches = DataLoader(
            SliceDataset(judged or cases, config.size_px), batch_size=config.batch_size
        )
        self.alternation = start_alternation(run, config, parts)
        self.pretext = self.alternation.pretext
        self.rows: list[dict[str, Any]] = []

    def finish(self, watcher: Watcher) -> None:
        """Go through all epochs that are still to do, then write the weights."""
        turns = turns_of(self.config)
        epochs = turns[-1].first_epoch + turns[-1].epochs
        done = self._take_up(turns)
        for turn in turns:
            if done <= turn.first_epoch:
                self.alternation.begin(turn)
            for epoch in range(max(done, turn.first_epoch), turn.first_epoch + turn.epochs):
                self._epoch(turn, epoch)
                watcher.line(f"epoch {epoch + 1} of {epochs}, {self._told()}")
                watcher.progress((epoch + 1) / epochs)
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
            difficulty = self.alternation.measure(turn, self.judged_batches)
            row |= {f"{self.judged_by}/{k}": v for k, v in difficulty.metrics.items()}
            if turn.learner == "network":
                self._draw(turn)
        self.rows.append(row)
        self._keep(epoch + 1)

    def _told(self) -> str:
        row = self.rows[-1]
        told = f"round {row['round']}, {row['learner']}: error {row['train/erased_error']:.4f}"
        harder = row.get(f"{self.judged_by}/harder")
        return told if harder is None else f"{told}, coach's masks {harder:.2f} times as hard"

    def _keep(self, epochs: int) -> None:
        """Write checkpoint and table; the rows are in both, so that they cannot fall apart."""
        self.run.checkpoints.mkdir(exist_ok=True)
        kept = {"epochs": epochs, "state": self.alternation.state(), "rows": self.rows}
        buffer = io.BytesIO()
        torch.save(kept, buffer)
        replace_bytes(self.run.last_checkpoint, buffer.getvalue())
        table = io.StringIO(newline="")
        columns = (*_COLUMNS, *(f"{self.judged_by}/{name}" for name in _JUDGED))
        writer = csv.DictWriter(table, columns, restval="")
        writer.writeheader()
        writer.writerows(self.rows)
        replace_text(self.run.metrics, table.getvalue())

    def _draw(self, turn: Turn) -> None:
        batch = next(iter(self.judged_batches))["gray"][:_PICTURED_SLICES]
        gray = batch.to(self.alternation.device)
        if turn.random_masks:
            generator = torch.Generator().manual_seed(self.config.seed)
            mask = hard_mask(random_activation(gray, generator), self.config.keep)
        else:
            mask = self.alternation.likely_mask(gray)
        masked = cover(gray, mask)
        with torch.no_grad():
            maps = self.pretext.inpaint(masked)
        panels = (gray, mask, masked, (maps[-1] + 1) / 2, maps[0])
        arrays = [panel[:, 0].float().cpu().numpy() for panel in panels]
        masks = "random masks" if turn.random_masks else "the coach's masks"
        draw_round(
            [Row(*row) for row in zip(*arrays, strict=True)],
            f"round {turn.round}, {masks}, {self.config.keep:.0%} kept",
            self.run.folder / f"round_{turn.round:02d}.png",
        )

    def _write_weights(self) -> None:
        seed_all(self.config.seed, self.rows[-1]["epoch"] + 1)
        self.pretext.reset_outputs()
        sha256 = save_weights(self.pretext.network, self.run.weights, half=False)
        facts = {
            "system": self.config.system,
            "weights": {"file": self.run.weights.name, "sha256": sha256},
            "config": self.config.digest(),
            "seed": self.config.seed,
            "train_slices": self.train_slices,
            "last_epoch": self.rows[-1],
        }
        replace_text(self.run.folder / FACTS, json.dumps(facts, indent=2) + "\n")

"""Checkpoints that are whole or not there, and training that stops without progress."""

import os
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from groundglass.training.config import RunConfig
from groundglass.training.run import Run


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside its place and renames it: a kill never leaves a part of one.

    Lightning goes by the system's temporary folder, which may lie on another disk, and moving from
    there is copying.
    """

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path,
        storage_options: Any | None = None,  # noqa: ARG002 - there is no choice on a disk
    ) -> None:
        """Write a checkpoint, all or nothing."""
        partial = Path(f"{path}.partial")
        partial.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)


def keep_checkpoints(run: Run, config: RunConfig) -> ModelCheckpoint:
    """Keeps the last epoch, to go on from, and the best one if that is what the run is for.

    Both are written when the epoch is over: its row in the table and its measurements are in.
    Lightning writes its own ``last`` only together with another, so where the last epoch alone is
    wanted, that is the one which is kept, under that name.
    """
    best = config.keep == "best"
    kept = run.best_checkpoint if best else run.last_checkpoint
    return ModelCheckpoint(
        dirpath=run.checkpoints,
        filename=kept.stem,
        monitor=config.monitor if best else None,
        mode=config.monitor_mode,
        save_top_k=1,
        save_last=best,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )


class StopWithoutProgress(EarlyStopping):
    """Ends a training whose monitored metric has not become better for some epochs."""

    def __init__(self, config: RunConfig, patience: int) -> None:
        super().__init__(
            monitor=config.monitor,
            mode=config.monitor_mode,
            patience=patience,
            check_on_train_epoch_end=True,
        )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """End a resumed training that had already ended when it was interrupted."""
        if self.wait_count >= self.patience:
            trainer.should_stop = True

"""Checkpoints that are whole or not there, and training that stops without progress."""

import os
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from groundglass.errors import ConfigError
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


class MovableCheckpoints(ModelCheckpoint):
    """Knows the best epoch even where the run's folder has moved since.

    Lightning forgets it then, and would keep the next epoch however bad it is.
    """

    @property
    def state_key(self) -> str:
        """Lightning's own, under which the checkpoints of all runs have it."""
        return super().state_key.replace(type(self).__qualname__, ModelCheckpoint.__qualname__, 1)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what a checkpoint says, its files now in this folder."""
        here = dict(state_dict)
        for name in ("best_model_path", "kth_best_model_path", "last_model_path"):
            here[name] = self._here(here.get(name, ""))
        best = state_dict.get("best_k_models", {})
        here["best_k_models"] = {self._here(path): score for path, score in best.items()}
        super().load_state_dict({**here, "dirpath": self.dirpath})

    def _here(self, path: str) -> str:
        return str(Path(str(self.dirpath)) / Path(path).name) if path else path


def keep_checkpoints(run: Run, config: RunConfig) -> list[ModelCheckpoint]:
    """Keeps every last epoch, to go on from, and the best one if that is what the run is for.

    Both are written when the epoch is over: its row in the table and its measurements are in.
    The last one is written last, and so knows which epoch is the best. It has a keeper of its own
    because Lightning writes its own ``last`` only in epochs that are better than all before, and a
    run that is resumed would go back to such a one.
    """
    last = _keep_checkpoint(run.last_checkpoint)
    if config.keep == "last":
        return [last]
    return [_keep_checkpoint(run.best_checkpoint, config.monitor, config.monitor_mode), last]


def _keep_checkpoint(file: Path, monitor: str | None = None, mode: str = "min") -> ModelCheckpoint:
    return MovableCheckpoints(
        dirpath=file.parent,
        filename=file.stem,
        monitor=monitor,
        mode=mode,
        save_top_k=1,
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

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look whether the epoch is better.

        Raises:
            ConfigError: If it does not have the metric.
        """
        if self.monitor not in trainer.callback_metrics:
            known = ", ".join(sorted(trainer.callback_metrics))
            raise ConfigError(
                f"found monitor={self.monitor}, which no epoch has, expected one of {known}, since "
                "patience waits for it; start a new run with another monitor or patience=null"
            )
        super().on_train_epoch_end(trainer, pl_module)

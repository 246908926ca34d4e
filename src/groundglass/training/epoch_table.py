"""``metrics.csv``: one row for each epoch, without gaps or repeats however often a run stops."""

import csv
import io
from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer

from groundglass.training.run import replace_text


class EpochTable(Callback):
    """Writes the metrics of each epoch as a row.

    The rows are part of the checkpoint: a resumed run goes on with those that belong to it.

    Args:
        path: CSV file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Drop what an interrupted epoch wrote after its last checkpoint."""
        self._write(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Add the row of the epoch."""
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        row = {"epoch": trainer.current_epoch, "learning_rate": float(rate)}
        self.rows.append(row | dict(sorted(metrics.items())))
        self._write(trainer)

    def state_dict(self) -> dict[str, Any]:
        """The rows so far."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The rows up to a checkpoint."""
        self.rows = list(state_dict["rows"])

    def _write(self, trainer: Trainer) -> None:
        if not trainer.is_global_zero:
            return
        text = io.StringIO()
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        table = csv.DictWriter(text, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(self.rows)
        replace_text(self.path, text.getvalue())

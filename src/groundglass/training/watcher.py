"""Who watches a training: told of its progress, and of what a person should read."""

from lightning import Callback, LightningModule, Trainer


class Watcher:
    """Told how a training goes; this one does nothing with it."""

    def progress(self, fraction: float) -> None:
        """So much of all steps is done, 0 to 1."""

    def line(self, text: str) -> None:
        """Something that a person should read."""


class TellWatcher(Callback):
    """Tells a watcher of each step and each epoch.

    Args:
        watcher: Who is told.
        epochs: Epochs of the run.
        metric: Metric that is told beside the loss.
    """

    def __init__(self, watcher: Watcher, epochs: int, metric: str) -> None:
        self.watcher = watcher
        self.epochs = epochs
        self.metric = metric

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002
        outputs: object,  # noqa: ARG002
        batch: object,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        """Tell of the step."""
        batches = int(trainer.num_training_batches)
        done = trainer.current_epoch * batches + batch_idx + 1
        if trainer.is_global_zero:
            self.watcher.progress(done / (batches * self.epochs))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Tell of the epoch."""
        metrics = trainer.callback_metrics
        names = dict.fromkeys(name for name in ("train/loss", self.metric) if name in metrics)
        told = ", ".join(f"{name} {float(metrics[name]):.4f}" for name in names)
        if trainer.is_global_zero:
            self.watcher.line(f"epoch {trainer.current_epoch + 1} of {self.epochs}: {told}")

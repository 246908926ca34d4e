"""The training step that all systems share; a system adds its network, loss and overlaps."""

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

from groundglass.metrics.segmentation import Overlap
from groundglass.training.config import RunConfig

Batch = Mapping[str, Tensor]


class SystemModule(lightning.LightningModule):
    """A network in training.

    Subclasses say what the loss is and which overlaps a validation batch gives; the rest (steps,
    schedule, patient-wise metrics, logging) is here.

    Args:
        network: The network to train.
        config: Settings of the run.
        patients: Patient of each validation case, by its index in the dataset.
    """

    def __init__(self, network: nn.Module, config: RunConfig, patients: list[str]) -> None:
        super().__init__()
        self.network = network
        self.config = config
        self.patients = patients
        self._overlaps: dict[str, dict[str, Overlap]] = {}

    @abstractmethod
    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Losses by name; ``loss`` is the one that is minimized."""

    @abstractmethod
    def overlaps(self, batch: Batch) -> list[dict[str, Overlap]]:
        """For each case of a validation batch, overlaps by structure, where the truth is known."""

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:  # noqa: ARG002
        """One step; logs every loss."""
        losses = self.losses(batch)
        size = len(batch["case"])
        for name, value in losses.items():
            self.log(
                f"train/{name}",
                value,
                on_step=False,
                on_epoch=True,
                prog_bar=name == "loss",
                batch_size=size,
            )
        return losses["loss"]

    def on_validation_epoch_start(self) -> None:
        """Forget the overlaps of the epoch before."""
        self._overlaps = defaultdict(lambda: defaultdict(Overlap))

    def validation_step(self, batch: Batch, batch_index: int) -> None:  # noqa: ARG002
        """Add the overlaps of each case to its patient's."""
        for index, overlaps in zip(batch["case"].tolist(), self.overlaps(batch), strict=True):
            for structure, overlap in overlaps.items():
                self._overlaps[structure][self.patients[index]] += overlap

    def on_validation_epoch_end(self) -> None:
        """Log the Dice of each structure, pooled per patient, then averaged."""
        for structure, patients in self._overlaps.items():
            dice = [overlap.dice for overlap in patients.values()]
            self.log(f"val/{structure}_dice", sum(dice) / len(dice), prog_bar=True)

    def configure_optimizers(self) -> Any:
        """AdamW with a short linear rise and a cosine down to nothing."""
        config = self.config
        optimizer = torch.optim.AdamW(
            self.network.parameters(), config.learning_rate, weight_decay=config.weight_decay
        )
        steps = int(self.trainer.estimated_stepping_batches)
        rise = max(1, steps // 20)
        schedule = SequentialLR(
            optimizer,
            [
                LinearLR(optimizer, start_factor=0.05, total_iters=rise),
                CosineAnnealingLR(
                    optimizer, max(1, steps - rise), eta_min=config.learning_rate / 100
                ),
            ],
            milestones=[rise],
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

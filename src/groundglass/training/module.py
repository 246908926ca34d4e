"""The training step that all systems share; a system adds its network, loss and overlaps."""

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from groundglass.data.cohort import Case, ct_slices
from groundglass.data.slices import EpochSampler, SliceDataset
from groundglass.errors import ConfigError
from groundglass.metrics.segmentation import Overlap
from groundglass.training.config import RunConfig
from groundglass.training.optimizer import Parameters, make_optimizer, make_schedule

Batch = Mapping[str, Tensor]


class SystemModule(lightning.LightningModule):
    """A network in training.

    Subclasses say what the loss is and which overlaps a validation batch gives; the rest (data,
    steps, schedule, patient-wise metrics, logging) is here. One that does not segment slices
    overrides ``train_data`` and ``val_data``, and ``validation_step`` and
    ``on_validation_epoch_end`` in place of ``overlaps``.

    Args:
        network: The network to train.
        config: Settings of the run.
        patients: Patient of each validation case, by its index in the dataset.

    Attributes:
        memory_format: Layout of the weights; channels last speeds up networks of slices, and
            ``None`` leaves the layout as it is.
    """

    memory_format: torch.memory_format | None = torch.channels_last

    def __init__(self, network: nn.Module, config: RunConfig, patients: list[str]) -> None:
        super().__init__()
        self.network = network
        self.config = config
        self.patients = patients
        self._overlaps: dict[str, dict[str, Overlap]] = {}

    @classmethod
    def train_data(cls, config: RunConfig, cases: Sequence[Case]) -> DataLoader[Any]:
        """Batches to learn from; augmented CT slices drawn as the config says, unless overridden.

        A loader must give the same batches for one seed and epoch, whatever came before, so that a
        resumed run goes on alike: its sampler is told the epoch by ``set_epoch``.

        Raises:
            CohortError: If no case can be learned from.
        """
        cases = ct_slices(cases)
        return DataLoader(
            SliceDataset(cases, config.size_px, config.augment, config.seed),
            batch_size=config.batch_size,
            sampler=EpochSampler(cases, config.draws_per_epoch, config.seed, config.healthy_weight),
            drop_last=True,
            num_workers=config.workers,
            persistent_workers=config.workers > 0,
        )

    @classmethod
    def val_data(cls, config: RunConfig, cases: Sequence[Case]) -> DataLoader[Any]:
        """Batches to judge an epoch by; every CT slice once, as it is, unless overridden.

        Raises:
            CohortError: If no case can be judged.
        """
        slices = SliceDataset(ct_slices(cases), config.size_px)
        return DataLoader(slices, batch_size=config.batch_size)

    @classmethod
    def with_truth(cls, config: RunConfig, cases: Sequence[Case]) -> Sequence[Case]:  # noqa: ARG003
        """The cases that a loss can be told of; slices with a mask, unless overridden."""
        return [c for c in cases if c.is_slice and (c.lungs or c.lesions)]

    def fit_start_weights(self, stored: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weights of a file under the names of this network; as they are, unless overridden."""
        return stored

    def answer(self, gray: Tensor) -> Any:
        """What the network answers in use; its forward pass, unless overridden.

        Args:
            gray: (batch, 1, row, column) from 0 to 1.
        """
        return self.network(gray)

    @abstractmethod
    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Losses by name; ``loss`` is the one that is minimized."""

    @abstractmethod
    def overlaps(self, batch: Batch) -> list[dict[str, Overlap]]:
        """For each case of a validation batch, overlaps by structure, where the truth is known."""

    def on_train_epoch_start(self) -> None:
        """Seed what is drawn by run, epoch and process, so that a resumed run goes on alike."""
        seeds = np.random.SeedSequence(
            (self.config.seed, self.current_epoch, self.global_rank)
        ).generate_state(1)
        lightning.seed_everything(int(seeds[0]), verbose=False)

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """One step, what it draws seeded by run, epoch, process and step; logs every loss.

        An epoch's seed alone does not do: loaders draw from the same generator, and a resumed run
        starts its own at another moment.

        Raises:
            ConfigError: If the loss is not a finite number, after which nothing is learned.
        """
        place = (self.config.seed, self.current_epoch, self.global_rank, batch_index)
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))
        losses = self.losses(batch)
        if not torch.isfinite(losses["loss"]):
            raise ConfigError(
                f"found a loss of {losses['loss'].item()} in step {batch_index + 1} of epoch "
                f"{self.current_epoch + 1}, expected a finite number; start a new run with a lower "
                "learning_rate, or with gradient_norm set"
            )
        size = len(batch["case"])
        for name, value in losses.items():
            self.log(
                f"train/{name}",
                value,
                on_step=False,
                on_epoch=True,
                batch_size=size,
                sync_dist=True,
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
            self.log(f"val/{structure}_dice", sum(dice) / len(dice), sync_dist=True)

    def parameters_to_train(self) -> Parameters:
        """Parameters, or groups of them with rates of their own; all of the network's here."""
        return self.network.parameters()

    def freeze_the_rest(self) -> None:
        """Ask no gradient of what is not trained, for which processes would wait in vain."""
        learning: set[int] = set()
        for part in self.parameters_to_train():
            learning |= {id(p) for p in (part["params"] if isinstance(part, dict) else [part])}
        for parameter in self.network.parameters():
            parameter.requires_grad_(parameter.requires_grad and id(parameter) in learning)

    def configure_optimizers(self) -> Any:
        """Optimizer and schedule of the config; the schedule goes on after every step."""
        optimizer = make_optimizer(self.parameters_to_train(), self.config)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = make_schedule(optimizer, self.config, steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def configure_gradient_clipping(
        self,
        optimizer: Any,
        gradient_clip_val: float | None = None,  # noqa: ARG002 - the config says
        gradient_clip_algorithm: str | None = None,  # noqa: ARG002
    ) -> None:
        """Clip the gradient by value, then by norm, as far as the config asks for it."""
        for limit, kind in (
            (self.config.gradient_value, "value"),
            (self.config.gradient_norm, "norm"),
        ):
            if limit is not None:
                self.clip_gradients(
                    optimizer, gradient_clip_val=limit, gradient_clip_algorithm=kind
                )

"""How COVID-Attention-Net is trained: from the class of each volume alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader

from groundglass.data.cohort import Case
from groundglass.enhancement import Enhancement
from groundglass.metrics.segmentation import Overlap
from groundglass.systems.card import Card
from groundglass.systems.covid_attention_net.calibration import fit_temperature
from groundglass.systems.covid_attention_net.network import (
    Ablation,
    Answer,
    BatchNorm,
    CovidAttentionNet,
    Shape,
)
from groundglass.systems.covid_attention_net.volume import LungMask, Preparation, Region
from groundglass.systems.covid_attention_net.volume_dataset import VolumeDataset, VolumeSampler
from groundglass.training.config import NetworkSetting, RunConfig
from groundglass.training.module import Batch, SystemModule
from groundglass.training.optimizer import Parameters


class Config(RunConfig):
    """Settings of COVID-Attention-Net.

    Attributes:
        encoder: Body; ``resnext50_32x4d`` is the publication's.
        encoder_weights: ``imagenet`` (downloaded), ``none``, or a safetensors file.
        classes: Labels of the cohort in the order of the output, the one without disease first.
        lstm_width: Units of the LSTM each way.
        attention_width: Hidden units of slice attention.
        ablation: What is left out: ``N-SCA``, ``N-SLA``, ``N-MSCA`` or ``none``.
        batch_norm: Statistics of batch normalization.
        lung_mask: Mask beside each slice.
        region: What the input shows.
        enhancement: How slices are enhanced.
        lstm_deviation: Deviation of the recurrent weights at the start.
        body_rate: Share of the learning rate that the body takes.
        slices: Slices drawn from a volume in training, and at once in the body in use; of a shorter
            volume all, or, where a step has several volumes, some of them twice.
        elastic_px: Largest shift where a slice is bent.
        rebalance: Whether volumes of rare classes are drawn more often.
        cache: Folder where prepared volumes are kept; in memory if not given.
    """

    batch_size: int = 1
    encoder: str
    encoder_weights: str
    classes: tuple[str, ...] = Field(min_length=2)
    lstm_width: int = 512
    attention_width: int = 512
    ablation: Ablation = "none"
    batch_norm: BatchNorm = "volume"
    lung_mask: LungMask = "hull"
    region: Region = "slice"
    enhancement: Enhancement = "none"
    lstm_deviation: float = Field(default=0.1, gt=0.0)
    body_rate: float = Field(default=1.0, gt=0.0)
    slices: int = Field(default=50, ge=2)
    elastic_px: float = 0.0
    rebalance: bool = True
    cache: Path | None = None

    @property
    def shape(self) -> Shape:
        """What the network is made of."""
        return Shape(
            self.encoder,
            len(self.classes),
            self.lstm_width,
            self.attention_width,
            self.ablation,
            self.batch_norm,
        )

    @property
    def preparation(self) -> Preparation:
        """How scans are brought to the network."""
        return Preparation(self.size_px, self.lung_mask, self.region, self.enhancement)

    def network_settings(self) -> dict[str, NetworkSetting]:
        """Everything that shapes the network and its input."""
        return {
            "encoder": self.encoder,
            "classes": list(self.classes),
            "lstm_width": self.lstm_width,
            "attention_width": self.attention_width,
            "ablation": self.ablation,
            "batch_norm": self.batch_norm,
            "lung_mask": self.lung_mask,
            "region": self.region,
            "enhancement": self.enhancement,
            "slices": self.slices,
        }


def build_network(config: Config) -> CovidAttentionNet:
    """The network of a config, with random weights."""
    return CovidAttentionNet(config.shape)


class Module(SystemModule):
    """COVID-Attention-Net in training."""

    config: Config
    network: CovidAttentionNet

    @classmethod
    def start(cls, config: Config, patients: list[str]) -> "Module":
        """Module with start weights in the body."""
        network = CovidAttentionNet(config.shape, config.encoder_weights)
        network.start_recurrence(config.lstm_deviation)
        return cls(network, config, patients)

    @classmethod
    def train_data(cls, config: RunConfig, cases: Sequence[Case]) -> DataLoader[Any]:
        """Volumes to learn from, a class as often as any other, some slices of each."""
        assert isinstance(config, Config)
        volumes = VolumeDataset(cases, config.classes, config.preparation, config.cache)
        drawn = volumes.drawing(
            config.slices,
            config.augment,
            config.elastic_px,
            config.seed,
            fill=config.batch_size > 1,
        )
        sampler = VolumeSampler(
            drawn, config.draws_per_epoch, config.seed, rebalance=config.rebalance
        )
        return DataLoader(
            drawn,
            batch_size=config.batch_size,
            sampler=sampler,
            num_workers=config.workers,
            persistent_workers=config.workers > 0,
        )

    @classmethod
    def val_data(cls, config: RunConfig, cases: Sequence[Case]) -> DataLoader[Any]:
        """Volumes to judge an epoch by, every slice of each."""
        assert isinstance(config, Config)
        return DataLoader(VolumeDataset(cases, config.classes, config.preparation, config.cache))

    @classmethod
    def with_truth(cls, config: RunConfig, cases: Sequence[Case]) -> Sequence[Case]:
        """Series with a class of the settings."""
        assert isinstance(config, Config)
        return [case for case in cases if case.is_series and case.label in config.classes]

    def answer(self, gray: Tensor) -> Any:
        """Class and relevance of slices as one volume, all of each taken for lung."""
        volume = gray[:, 0][None]
        return self.network(volume, torch.ones_like(volume))

    def parameters_to_train(self) -> Parameters:
        """The body, which was trained before, at a rate of its own, and all that follows it."""
        body = list(self.network.encoder.parameters())
        own = {id(parameter) for parameter in body}
        head = [p for p in self.network.parameters() if id(p) not in own]
        rate = self.config.body_rate * self.config.learning_rate
        groups: list[dict[str, Any]] = [{"params": body, "lr": rate}, {"params": head}]
        return groups

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of the volume's class (equation 20)."""
        if self.training:
            answer: Answer = self.network(batch["gray"], batch["mask"])
        else:
            answer = self._whole(batch)
        return {"loss": functional.cross_entropy(answer.logits.float(), batch["label"])}

    def overlaps(self, batch: Batch) -> list[dict[str, Overlap]]:  # noqa: ARG002
        """None: volumes are classified, not segmented."""
        return []

    def on_validation_epoch_start(self) -> None:
        """Forget the answers of the epoch before."""
        self._answers: list[tuple[Tensor, Tensor]] = []

    def validation_step(self, batch: Batch, batch_index: int) -> None:  # noqa: ARG002
        """Keep what the network says of a whole volume."""
        self._answers.append((self._whole(batch).logits.float().cpu(), batch["label"].cpu()))

    def on_validation_epoch_end(self) -> None:
        """Log the mean loss, and the share of volumes that are told right."""
        logits = torch.cat([one for one, _ in self._answers])
        labels = torch.cat([one for _, one in self._answers])
        self.log("val/loss", functional.cross_entropy(logits, labels), sync_dist=True)
        right = (logits.argmax(1) == labels).float().mean()
        self.log("val/accuracy", right, sync_dist=True)

    def temperature(self, cases: Sequence[Case]) -> float:
        """The temperature that suits volumes best; 1 where there are none."""
        if not cases:
            return 1.0
        self.eval()
        answers: list[tuple[Tensor, Tensor]] = []
        with torch.inference_mode():
            for batch in self.val_data(self.config, cases):
                answers.append((self._whole(batch).logits.double(), batch["label"]))
        logits = torch.cat([one for one, _ in answers]).numpy()
        labels = np.concatenate([one.numpy() for _, one in answers])
        return round(fit_temperature(logits, labels), 4)

    def _whole(self, batch: Batch) -> Answer:
        """What the network says of one volume, in bounded memory."""
        gray, mask = batch["gray"][0], batch["mask"][0]
        return self.network.judge_in_parts(gray, mask, self.config.slices)


def settle(module: Module, card: Card, cases: Sequence[Case]) -> Card:
    """The card of a run with its labels, calibrated on the validation volumes.

    Args:
        module: With the weights that are kept.
        card: As the settings make it.
        cases: The validation split; without any the temperature stays 1.
    """
    network = {**card.network, "temperature": module.temperature(cases)}
    return card.model_copy(update={"labels": module.config.classes, "network": network})

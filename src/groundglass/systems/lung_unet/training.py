"""How the lung network is trained: slices first, then views from the side."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator
from torch import Tensor
from torch.utils.data import DataLoader

from groundglass.data.cohort import UNKNOWN, Case, ct_slices, known_cases
from groundglass.data.slices import EpochSampler, SliceDataset
from groundglass.losses import known_bce_loss, soft_dice_loss
from groundglass.metrics.segmentation import Overlap
from groundglass.systems.lung_unet.network import LungUnet, View, Views
from groundglass.training.config import NetworkPart, NetworkSetting, RunConfig
from groundglass.training.module import Batch, SystemModule
from groundglass.training.optimizer import Parameters


class Config(RunConfig):
    """Settings of the lung network.

    Attributes:
        views: ``axial`` for the network of slices alone; ``both`` for that of views from the side
            beside it.
        trains: The view that learns; the other comes from ``start_weights`` and stays as it is.
        width: Channels at full size.
        encoder_weights: ``none``; there are no pretrained weights of this network.
    """

    views: Views = "axial"
    trains: View = "axial"
    width: int = 16
    encoder_weights: str = "none"
    monitor: str = "val/lungs_dice"

    @model_validator(mode="after")
    def _what_learns_is_there(self) -> Self:
        if self.trains == "sagittal" and self.views == "axial":
            raise ValueError("trains 'sagittal' with views 'axial', expected views 'both'")
        return self

    def network_settings(self) -> dict[str, NetworkSetting]:
        """Views and width."""
        return {"views": self.views, "width": self.width}

    def stands_on(self) -> NetworkPart | None:
        """The view that does not learn, where there are two."""
        if self.views == "axial":
            return None
        other = "sagittal" if self.trains == "axial" else "axial"
        return NetworkPart(f"the network of the {other} view", f"{other}.")


def build_network(config: Config) -> LungUnet:
    """The network of a config, with random weights."""
    return LungUnet(config.views, config.width)


class LungDataset(SliceDataset):
    """Slices, or other views, whose lungs are 1 or more, both alike."""

    @staticmethod
    def _known_sides(case: Case) -> NDArray[np.uint8] | None:
        return case.read_lungs()


class Module(SystemModule):
    """The lung network in training."""

    config: Config
    network: LungUnet

    @classmethod
    def start(cls, config: Config, patients: list[str]) -> "Module":
        """Module with random weights."""
        return cls(build_network(config), config, patients)

    @classmethod
    def train_data(cls, config: RunConfig, cases: Sequence[Case]) -> DataLoader[Any]:
        """Augmented views whose lungs are known, drawn as the config says."""
        known = known_cases(cases, "lungs")
        return DataLoader(
            LungDataset(known, config.size_px, config.augment, config.seed),
            batch_size=config.batch_size,
            sampler=EpochSampler(known, config.draws_per_epoch, config.seed),
            drop_last=True,
            num_workers=config.workers,
            persistent_workers=config.workers > 0,
        )

    @classmethod
    def val_data(cls, config: RunConfig, cases: Sequence[Case]) -> DataLoader[Any]:
        """Every view once, as it is."""
        return DataLoader(
            LungDataset(ct_slices(cases), config.size_px), batch_size=config.batch_size
        )

    def parameters_to_train(self) -> Parameters:
        """Those of the view that is trained."""
        return self.network.of(self.config.trains).parameters()

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Dice and cross-entropy of lung."""
        logits = self.network(batch["gray"], self.config.trains)
        lungs = batch["lungs"][:, None]
        known = (lungs != UNKNOWN).to(logits.dtype)
        target = ((lungs > 0) & (lungs != UNKNOWN)).to(logits.dtype)
        parts = {
            "dice": soft_dice_loss(logits, target, known),
            "cross_entropy": known_bce_loss(logits, target, known),
        }
        return {"loss": parts["dice"] + parts["cross_entropy"], **parts}

    def overlaps(self, batch: Batch) -> list[dict[str, Overlap]]:
        """Overlap of the lungs of each case where they are known."""
        found = (self.network(batch["gray"], self.config.trains)[:, 0] > 0).cpu().numpy()
        true = batch["lungs"].cpu().numpy()
        return [
            {} if (t == UNKNOWN).all() else {"lungs": Overlap.of(f, (t > 0) & (t != UNKNOWN))}
            for f, t in zip(found, true, strict=True)
        ]

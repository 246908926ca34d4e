"""How self-supervised Inf-Net is trained: first where lesion is, then of which kind."""

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import model_validator
from torch import Tensor, nn
from torch.utils.data import DataLoader

from groundglass.data.cohort import UNKNOWN, Case, known_cases
from groundglass.labels import Lesion, is_opacity
from groundglass.losses import soft_dice_loss
from groundglass.metrics.segmentation import Overlap
from groundglass.networks.encoder import SIDE_MULTIPLE, start_encoder
from groundglass.systems.ss_inf_net.blocks import resize, size_of
from groundglass.systems.ss_inf_net.kinds import KINDS, Decoder, KindsNetwork
from groundglass.systems.ss_inf_net.losses import (
    PixelLoss,
    edge_loss,
    edge_weights,
    kind_classes,
    kinds_loss,
    segmentation_loss,
)
from groundglass.systems.ss_inf_net.network import InfNet, SsInfNet
from groundglass.training.config import NetworkPart, NetworkSetting, RunConfig
from groundglass.training.module import Batch, SystemModule
from groundglass.training.optimizer import Parameters


class Config(RunConfig):
    """Settings of self-supervised Inf-Net.

    Attributes:
        stage: ``lesion`` trains the first network, ``kinds`` the second behind a first one that is
            given by ``start_weights`` and stays as it is.
        encoder: Encoder of the first network.
        encoder_weights: ``imagenet`` (downloaded), ``none``, or a safetensors file; for both
            networks, where their encoders are of one kind.
        width: Channels of the receptive-field blocks.
        coarse_width: Channels of the reverse attention at stride 32.
        scales: Sizes of the input against ``size_px``, one after the other from step to step.
        pixel_loss: ``cross-entropy``, or ``focal`` as the published version of Fung et al. adds.
        overlap_loss: Whether the loss of the kinds adds their soft Dice, without which few epochs
            never learn rare consolidation; the publication has cross-entropy alone.
        kinds: Decoder of the second network, ``unet`` or ``fcn8s``; ``none`` for no such network.
        kinds_encoder: Its encoder.
        kinds_channels: Channels of its U-Net's decoder steps, coarse to fine.
    """

    stage: Literal["lesion", "kinds"] = "lesion"
    encoder: str
    encoder_weights: str
    width: int = 32
    coarse_width: int = 256
    scales: tuple[float, ...] = (0.75, 1.0, 1.25)
    pixel_loss: PixelLoss = "cross-entropy"
    overlap_loss: bool = False
    kinds: Decoder | Literal["none"] = "none"
    kinds_encoder: str = "resnet18"
    kinds_channels: tuple[int, int, int, int, int] = (256, 128, 64, 32, 16)

    @model_validator(mode="after")
    def _second_network_in_its_stage_alone(self) -> Self:
        if self.kinds != "none" and self.stage == "lesion":
            raise ValueError(
                f"kinds '{self.kinds}' with stage 'lesion', expected a second network in stage "
                "'kinds' alone; here it would stay untrained"
            )
        return self

    def network_settings(self) -> dict[str, NetworkSetting]:
        """Everything that shapes the two networks."""
        settings: dict[str, NetworkSetting] = {
            "encoder": self.encoder,
            "width": self.width,
            "coarse_width": self.coarse_width,
            "kinds": self.kinds,
        }
        if self.kinds != "none":
            settings["kinds_encoder"] = self.kinds_encoder
            settings["kinds_channels"] = list(self.kinds_channels)
        return settings

    def stands_on(self) -> NetworkPart | None:
        """The first network, behind which the second is trained."""
        return NetworkPart("the first network", "lesion.") if self.stage == "kinds" else None


def build_network(config: Config) -> SsInfNet:
    """The networks of a config, with random weights."""
    lesion = InfNet(config.encoder, config.width, config.coarse_width)
    if config.kinds == "none":
        return SsInfNet(lesion)
    kinds = KindsNetwork(config.kinds_encoder, config.kinds, config.kinds_channels)
    return SsInfNet(lesion, kinds)


class Module(SystemModule):
    """Self-supervised Inf-Net in training."""

    config: Config
    network: SsInfNet

    @classmethod
    def start(cls, config: Config, patients: list[str]) -> "Module":
        """Module with start weights in the encoder of the network that is trained."""
        network = build_network(config)
        if config.stage == "lesion":
            start_encoder(network.lesion.encoder, config.encoder, config.encoder_weights)
        else:
            start_encoder(network.second.encoder, config.kinds_encoder, config.encoder_weights)
        return cls(network, config, patients)

    @classmethod
    def train_data(cls, config: RunConfig, cases: Sequence[Case]) -> DataLoader[Any]:
        """Augmented slices whose lesions are known, drawn as the config says."""
        return super().train_data(config, known_cases(cases, "lesions"))

    @classmethod
    def with_truth(cls, config: RunConfig, cases: Sequence[Case]) -> Sequence[Case]:  # noqa: ARG003
        """Those whose lesions are known."""
        return [case for case in cases if case.is_slice and case.lesions is not None]

    @property
    def trained(self) -> nn.Module:
        """The network that this stage trains."""
        return self.network.lesion if self.config.stage == "lesion" else self.network.second

    def parameters_to_train(self) -> Parameters:
        """Those of the stage's network."""
        return self.trained.parameters()

    def on_train_epoch_start(self) -> None:
        """Keep a first network that is given as it is, its batch statistics included."""
        super().on_train_epoch_start()
        if self.config.stage == "kinds":
            self.network.lesion.eval()

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The joint loss of the five outputs (equation 2), or the loss of the kinds."""
        lesions = batch["lesions"][:, None]
        known = lesions != UNKNOWN
        gray = batch["gray"]
        if self.config.stage == "kinds":
            return {"loss": self._kinds_loss(gray, lesions, known)}
        gray, target, sure = self._at_scale(
            gray, is_opacity(lesions).to(gray.dtype), known.to(gray.dtype)
        )
        maps = self.network.lesion(gray)
        weights = edge_weights(target) * sure
        parts = {
            name: segmentation_loss(logits, target, weights, self.config.pixel_loss)
            for name, logits in zip(("coarse", "s5", "s4", "s3"), maps.segmentations, strict=True)
        }
        parts["edge"] = edge_loss(maps.edge, target, sure)
        return {"loss": torch.stack(list(parts.values())).sum(), **parts}

    def _kinds_loss(self, gray: Tensor, lesions: Tensor, known: Tensor) -> Tensor:
        told = known & (lesions != Lesion.UNSPECIFIED)
        with torch.no_grad():
            prior = self.network.lesion(gray).s3.sigmoid()
        logits = self.network.second(gray, prior)
        loss = kinds_loss(logits, lesions, told, self.config.pixel_loss)
        if self.config.overlap_loss:
            classes = kind_classes(lesions, KINDS).to(logits.dtype)
            loss = loss + soft_dice_loss(logits, classes, told.to(logits.dtype))
        return loss

    def _at_scale(self, *maps: Tensor) -> tuple[Tensor, ...]:
        """Input and targets at this step's scale, sides rounded to multiples of 32."""
        scales = self.config.scales
        scale = scales[self.global_step % len(scales)] if self.training else 1.0
        if scale == 1.0:
            return maps
        rows, columns = (
            max(SIDE_MULTIPLE, round(side * scale / SIDE_MULTIPLE) * SIDE_MULTIPLE)
            for side in size_of(maps[0])
        )
        gray, *targets = (resize(m, (rows, columns)) for m in maps)
        return (gray, *((t > 0.5).to(gray.dtype) for t in targets))

    def overlaps(self, batch: Batch) -> list[dict[str, Overlap]]:
        """Overlaps of lesion and, in the second stage, of the two kinds, for each case."""
        gray = batch["gray"]
        logits = self.network.lesion(gray).s3
        found = (logits[:, 0] > 0).cpu().numpy()
        kinds = np.zeros(found.shape, np.uint8)
        if self.network.kinds is not None:
            scores = self.network.kinds(gray, logits.sigmoid())
            kinds = scores.argmax(1).to(torch.uint8).cpu().numpy()
        return [
            _case_overlaps(lesion, kind, true, self.config.stage)
            for lesion, kind, true in zip(found, kinds, batch["lesions"].cpu().numpy(), strict=True)
        ]


def _case_overlaps(
    lesion: NDArray[np.bool_], kinds: NDArray[np.uint8], true: NDArray[np.uint8], stage: str
) -> dict[str, Overlap]:
    if (true == UNKNOWN).all():
        return {}
    overlaps = {"lesion": Overlap.of(lesion, is_opacity(true))}
    told = ((true == Lesion.GROUND_GLASS) | (true == Lesion.CONSOLIDATION)).any()
    if stage == "kinds" and told:
        overlaps["ground_glass"] = Overlap.of(
            kinds == Lesion.GROUND_GLASS, true == Lesion.GROUND_GLASS
        )
        overlaps["consolidation"] = Overlap.of(
            kinds == Lesion.CONSOLIDATION, true == Lesion.CONSOLIDATION
        )
    return overlaps

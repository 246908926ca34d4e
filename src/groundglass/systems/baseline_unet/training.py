"""How the baseline is trained: its settings, losses and validation overlaps."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groundglass.data.cohort import UNKNOWN
from groundglass.labels import Lesion, Lung, is_opacity
from groundglass.losses import known_bce_loss, soft_dice_loss
from groundglass.metrics.segmentation import Overlap
from groundglass.networks.encoder import start_encoder
from groundglass.systems.baseline_unet.network import BaselineUnet, Output
from groundglass.training.config import NetworkSetting, RunConfig
from groundglass.training.module import Batch, SystemModule


class Config(RunConfig):
    """Settings of the baseline.

    Attributes:
        encoder: Encoder name of segmentation-models-pytorch.
        encoder_weights: ``imagenet`` (downloaded), ``none``, or a safetensors file.
        decoder_channels: Channels of the five decoder steps, coarse to fine.
    """

    encoder: str
    encoder_weights: str
    decoder_channels: tuple[int, int, int, int, int]

    def network_settings(self) -> dict[str, NetworkSetting]:
        """Encoder and decoder channels."""
        return {"encoder": self.encoder, "decoder_channels": list(self.decoder_channels)}


def build_network(config: Config) -> BaselineUnet:
    """The network of a config, with random weights."""
    return BaselineUnet(config.encoder, config.decoder_channels)


class Module(SystemModule):
    """The baseline in training."""

    config: Config

    @classmethod
    def start(cls, config: Config, patients: list[str]) -> "Module":
        """Module with start weights in the encoder."""
        network = build_network(config)
        start_encoder(network.unet.encoder, config.encoder, config.encoder_weights)
        return cls(network, config, patients)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy and Dice of lungs and lesions, cross-entropy of consolidation."""
        logits = self.network(batch["gray"].to(memory_format=torch.channels_last))
        lungs, lesions = batch["lungs"][:, None], batch["lesions"][:, None]
        sides = torch.cat([lungs == Lung.RIGHT, lungs == Lung.LEFT], 1).to(logits.dtype)
        lungs_known = (lungs != UNKNOWN).to(logits.dtype)
        lesion = is_opacity(lesions).to(logits.dtype)
        lesion_known = (lesions != UNKNOWN).to(logits.dtype)
        kind_known = (lesions == Lesion.GROUND_GLASS) | (lesions == Lesion.CONSOLIDATION)
        lung_logits = logits[:, [Output.RIGHT_LUNG, Output.LEFT_LUNG]]
        lesion_logits = logits[:, [Output.LESION]]
        parts = {
            "lungs": known_bce_loss(lung_logits, sides, lungs_known)
            + soft_dice_loss(lung_logits, sides, lungs_known),
            "lesion": known_bce_loss(lesion_logits, lesion, lesion_known)
            + soft_dice_loss(lesion_logits, lesion, lesion_known),
            "consolidation": known_bce_loss(
                logits[:, [Output.CONSOLIDATION]],
                (lesions == Lesion.CONSOLIDATION).to(logits.dtype),
                kind_known,
            ),
        }
        total = 0.5 * parts["lungs"] + parts["lesion"] + 0.25 * parts["consolidation"]
        return {"loss": total, **parts}

    def overlaps(self, batch: Batch) -> list[dict[str, Overlap]]:
        """Overlaps of lungs, lesion and the two kinds of each case, at probability 0.5."""
        logits = self.network(batch["gray"].to(memory_format=torch.channels_last))
        found = (logits > 0).cpu().numpy()
        return [
            _case_overlaps(output, lungs, lesions)
            for output, lungs, lesions in zip(
                found, batch["lungs"].cpu().numpy(), batch["lesions"].cpu().numpy(), strict=True
            )
        ]


def _case_overlaps(
    found: NDArray[np.bool_], lungs: NDArray[np.uint8], lesions: NDArray[np.uint8]
) -> dict[str, Overlap]:
    overlaps = {}
    if (lungs != UNKNOWN).any():
        lung = found[Output.RIGHT_LUNG] | found[Output.LEFT_LUNG]
        overlaps["lungs"] = Overlap.of(lung, (lungs > 0) & (lungs != UNKNOWN))
    if (lesions == UNKNOWN).all():
        return overlaps
    lesion = found[Output.LESION]
    overlaps["lesion"] = Overlap.of(lesion, is_opacity(lesions))
    if ((lesions == Lesion.GROUND_GLASS) | (lesions == Lesion.CONSOLIDATION)).any():
        dense = found[Output.CONSOLIDATION]
        overlaps["ground_glass"] = Overlap.of(lesion & ~dense, lesions == Lesion.GROUND_GLASS)
        overlaps["consolidation"] = Overlap.of(lesion & dense, lesions == Lesion.CONSOLIDATION)
    return overlaps

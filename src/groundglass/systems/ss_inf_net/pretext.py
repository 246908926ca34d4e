"""How both networks are pretrained: their output layers paint a slice from what is left of it.

Inf-Net's edge map paints the slice's edges, its other four maps the slice. The second network's
three channels paint the slice alike; where the first has seen nothing yet, its prior is empty.

Deviation: the publication replaces the output layers by linear ones of three equal channels, as it
reads pictures in color. Slices are gray, so ours keep one linear channel; before and after they are
drawn anew.
"""

from pathlib import Path
from typing import Literal, cast

import torch
from torch import Tensor

from groundglass.networks.encoder import start_encoder
from groundglass.pretraining.config import PretrainConfig
from groundglass.pretraining.inpainting import contrast_of, edges_of
from groundglass.systems.ss_inf_net.kinds import KINDS, Decoder, KindsNetwork
from groundglass.systems.ss_inf_net.network import InfNet, SsInfNet
from groundglass.training.start_weights import take_start_weights


class Config(PretrainConfig):
    """Settings of the pretraining; those of the networks are named as in their training.

    Attributes:
        stage: ``lesion`` pretrains the first network, ``kinds`` the second.
        encoder: Encoder's name, see :func:`groundglass.networks.encoder.build_encoder`.
        encoder_weights: ``imagenet`` (downloaded), ``none``, or a safetensors file.
        width: Channels that the receptive-field blocks bring f3, f4 and f5 to.
        coarse_width: Channels of the reverse attention at stride 32.
        kinds: Decoder of the second network.
        kinds_encoder: Its encoder.
        kinds_channels: Channels of its U-Net's decoder steps, coarse to fine.
        start_weights: Run of the first network, handed on beside the second's weights.
    """

    stage: Literal["lesion", "kinds"] = "lesion"
    encoder: str
    encoder_weights: str = "imagenet"
    width: int = 32
    coarse_width: int = 256
    kinds: Decoder = "unet"
    kinds_encoder: str = "resnet18"
    kinds_channels: tuple[int, int, int, int, int] = (256, 128, 64, 32, 16)
    start_weights: Path | None = None


class LesionPretext:
    """Inf-Net painting: the edge map gives the slice's edges, the other four the slice.

    Args:
        network: Both networks; the first is pretrained.
    """

    def __init__(self, network: SsInfNet) -> None:
        self.network = network

    def inpaint(self, masked: Tensor) -> tuple[Tensor, ...]:
        """The five maps on the contrast scale, (batch, 1, row, column) each.

        Args:
            masked: Lung gray 0 to 1, (batch, 1, row, column).
        """
        return cast("tuple[Tensor, ...]", self.network.lesion(masked))

    def targets(self, gray: Tensor) -> tuple[Tensor, ...]:
        """Edges of the slices, and four times the slices themselves."""
        whole = contrast_of(gray)
        return edges_of(gray), whole, whole, whole, whole

    def reset_outputs(self) -> None:
        """Give the output layers random weights."""
        self.network.lesion.reset_outputs()


class KindsPretext:
    """The second network painting the slice thrice, with an empty prior.

    Args:
        network: Both networks; the second is pretrained.
    """

    def __init__(self, network: SsInfNet) -> None:
        self.network = network

    def inpaint(self, masked: Tensor) -> tuple[Tensor, ...]:
        """The three channels on the contrast scale, (batch, 1, row, column) each.

        Args:
            masked: Lung gray 0 to 1, (batch, 1, row, column).
        """
        painted = self.network.second(masked, torch.zeros_like(masked))
        return tuple(painted.split(1, 1))

    def targets(self, gray: Tensor) -> tuple[Tensor, ...]:
        """The slices themselves, thrice."""
        return (contrast_of(gray),) * KINDS

    def reset_outputs(self) -> None:
        """Give the output layer random weights."""
        self.network.second.output().reset_parameters()


def start(config: Config) -> LesionPretext | KindsPretext:
    """The network of the stage with start weights in its encoder and fresh output layers."""
    pretext: LesionPretext | KindsPretext
    lesion = InfNet(config.encoder, config.width, config.coarse_width)
    if config.stage == "lesion":
        pretext = LesionPretext(SsInfNet(lesion))
        start_encoder(lesion.encoder, config.encoder, config.encoder_weights)
    else:
        kinds = KindsNetwork(config.kinds_encoder, config.kinds, config.kinds_channels)
        pretext = KindsPretext(SsInfNet(lesion, kinds))
        if config.start_weights is not None:
            take_start_weights(pretext.network, config.start_weights)
        start_encoder(kinds.encoder, config.kinds_encoder, config.encoder_weights)
    pretext.reset_outputs()
    return pretext

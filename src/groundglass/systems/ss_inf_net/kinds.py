"""The second network: what kind of lesion, from the slice and where the first saw one.

Inf-Net (Fan et al. 2020, section III-E): slice and prior are joined to six channels, and a U-Net or
an FCN8s gives background, ground-glass opacity and consolidation.
"""

from typing import Literal, cast

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

from groundglass.networks.encoder import as_color, build_encoder, channels_of
from groundglass.systems.ss_inf_net.blocks import resize, size_of

KINDS = 3
"""Background, ground-glass opacity, consolidation: numbers of ``Lesion``, 0 to 2."""

Decoder = Literal["unet", "fcn8s"]


class KindsNetwork(nn.Module):
    """Lung gray and prior to logits of background, ground-glass opacity and consolidation.

    Args:
        encoder: Encoder's name.
        decoder: ``unet`` or ``fcn8s``.
        decoder_channels: Channels of the U-Net's five decoder steps, coarse to fine.
    """

    def __init__(self, encoder: str, decoder: Decoder, decoder_channels: tuple[int, ...]) -> None:
        super().__init__()
        self.body: nn.Module
        if decoder == "unet":
            self.body = smp.Unet(
                encoder,
                encoder_weights=None,
                in_channels=6,
                decoder_channels=decoder_channels,
                classes=KINDS,
            )
        else:
            self.body = Fcn8s(encoder)

    def forward(self, gray: Tensor, prior: Tensor) -> Tensor:
        """Logits, (batch, 3, row, column).

        Args:
            gray: (batch, 1, row, column), 0 to 1.
            prior: Probability of lesion, same shape.
        """
        joined = torch.cat([as_color(gray), as_color(prior)], 1)
        return cast("Tensor", self.body(joined.contiguous(memory_format=torch.channels_last)))

    @property
    def encoder(self) -> nn.Module:
        """The encoder."""
        return cast("nn.Module", self.body.encoder)

    def output(self) -> nn.Conv2d:
        """The last layer: all that self-supervision does not hand on."""
        if isinstance(self.body, Fcn8s):
            return self.body.score_8
        return cast("nn.Conv2d", cast("nn.Sequential", self.body.segmentation_head)[0])


class Fcn8s(nn.Module):
    """Scores at strides 32, 16 and 8, added from coarse to fine.

    Long et al. 2015, doi:10.1109/CVPR.2015.7298965; the publication's encoder is ``vgg16``.

    Args:
        encoder: Encoder's name.
    """

    def __init__(self, encoder: str) -> None:
        super().__init__()
        self.encoder = build_encoder(encoder, in_channels=6)
        f3, f4, f5 = channels_of(self.encoder)[3:6]
        self.score_32 = nn.Conv2d(f5, KINDS, 1)
        self.score_16 = nn.Conv2d(f4, KINDS, 1)
        self.score_8 = nn.Conv2d(f3, KINDS, 1)

    def forward(self, joined: Tensor) -> Tensor:
        """Logits of the input's size."""
        f3, f4, f5 = self.encoder(joined)[3:6]
        scores = resize(self.score_32(f5), size_of(f4)) + self.score_16(f4)
        scores = resize(scores, size_of(f3)) + self.score_8(f3)
        return resize(scores, size_of(joined))

"""The network: a U-Net with a MobileNetV2 encoder and four sigmoid outputs.

U-Net: Ronneberger et al. 2015, doi:10.1007/978-3-319-24574-4_28; encoder: Sandler et al. 2018,
doi:10.1109/CVPR.2018.00474; both from segmentation-models-pytorch.
"""

from enum import IntEnum

import segmentation_models_pytorch as smp
from torch import Tensor, nn

from groundglass.networks.encoder import as_color


class Output(IntEnum):
    """Output channels, each a sigmoid of its own.

    ``CONSOLIDATION`` is meant inside lesions only: the chance that a lesion pixel is consolidated.
    """

    RIGHT_LUNG = 0
    LEFT_LUNG = 1
    LESION = 2
    CONSOLIDATION = 3


class BaselineUnet(nn.Module):
    """Lung gray to logits of right lung, left lung, lesion and consolidation.

    Shapes: (batch, 1, row, column) from 0 to 1, sides multiples of 32, to
    (batch, 4, row, column).

    Args:
        encoder: Encoder name of segmentation-models-pytorch.
        decoder_channels: Channels of the five decoder steps, coarse to fine.
    """

    def __init__(self, encoder: str, decoder_channels: tuple[int, ...]) -> None:
        super().__init__()
        self.unet = smp.Unet(
            encoder,
            encoder_weights=None,
            decoder_channels=decoder_channels,
            classes=len(Output),
        )

    def forward(self, gray: Tensor) -> Tensor:
        """Logits, (batch, 4, row, column)."""
        logits: Tensor = self.unet(as_color(gray))
        return logits

"""The network: a U-Net with a MobileNetV2 encoder and four sigmoid outputs.

U-Net: Ronneberger et al. 2015, doi:10.1007/978-3-319-24574-4_28; encoder: Sandler et al. 2018,
doi:10.1109/CVPR.2018.00474; both from segmentation-models-pytorch.
"""

from enum import IntEnum
from pathlib import Path

import segmentation_models_pytorch as smp
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from groundglass.errors import WeightsError


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
        three = (gray * 2 - 1).expand(-1, 3, -1, -1)
        logits: Tensor = self.unet(three.contiguous(memory_format=torch.channels_last))
        return logits


def start_encoder(network: BaselineUnet, encoder_weights: str) -> None:
    """Load start weights into the encoder before training.

    Args:
        network: Changed in place.
        encoder_weights: ``none``; ``imagenet``, which downloads; or a safetensors file with the
            encoder's ImageNet weights in torchvision's names.

    Raises:
        WeightsError: If a file does not fit the encoder.
    """
    if encoder_weights == "none":
        return
    encoder = network.unet.encoder
    if encoder_weights == "imagenet":
        name = network.unet.name.removeprefix("u-")
        encoder.load_state_dict(smp.encoders.get_encoder(name, weights="imagenet").state_dict())
        return
    path = Path(encoder_weights)
    if not path.is_file():
        raise WeightsError(f"found no file '{path.name}', expected encoder weights; check the path")
    state = {
        k: v.to(torch.float32) if v.is_floating_point() else v for k, v in load_file(path).items()
    }
    try:
        encoder.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(
            f"found weights in '{path.name}' that do not fit the encoder: {str(error)[:160]}; "
            "take weights of the same architecture"
        ) from None

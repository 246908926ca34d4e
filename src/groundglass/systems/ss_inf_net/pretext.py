"""How Inf-Net is pretrained: the five output layers paint a slice and its edges from what is left.

Deviation: the publication replaces the output layers by linear ones of three equal channels, as it
reads pictures in color. Slices are gray, so ours keep one linear channel; before and after they are
drawn anew.
"""

from typing import cast

from torch import Tensor

from groundglass.networks.encoder import start_encoder
from groundglass.pretraining.config import PretrainConfig
from groundglass.pretraining.inpainting import contrast_of, edges_of
from groundglass.systems.ss_inf_net.network import InfNet, Maps


class Config(PretrainConfig):
    """Settings of Inf-Net's pretraining; those of the network are named as in its training.

    Attributes:
        encoder: Encoder's name, see :func:`groundglass.networks.encoder.build_encoder`.
        encoder_weights: ``imagenet`` (downloaded), ``none``, or a safetensors file.
        width: Channels that the receptive-field blocks bring f3, f4 and f5 to.
        coarse_width: Channels of the reverse attention at stride 32.
    """

    encoder: str
    encoder_weights: str = "imagenet"
    width: int = 32
    coarse_width: int = 256


class InfNetPretext:
    """Inf-Net painting: the edge map gives the slice's edges, the other four the slice.

    Args:
        network: Inf-Net.
    """

    def __init__(self, network: InfNet) -> None:
        self.network = network

    def inpaint(self, masked: Tensor) -> Maps:
        """The five maps on the contrast scale, (batch, 1, row, column) each.

        Args:
            masked: Lung gray 0 to 1, (batch, 1, row, column).
        """
        return cast("Maps", self.network(masked))

    def targets(self, gray: Tensor) -> Maps:
        """Edges of the slices, and four times the slices themselves."""
        whole = contrast_of(gray)
        return Maps(edges_of(gray), whole, whole, whole, whole)

    def reset_outputs(self) -> None:
        """Give the output layers random weights."""
        self.network.reset_outputs()


def start(config: Config) -> InfNetPretext:
    """Inf-Net with start weights in the encoder and output layers of its own for the pretext."""
    network = InfNet(config.encoder, config.width, config.coarse_width)
    start_encoder(network.encoder, config.encoder, config.encoder_weights)
    network.reset_outputs()
    return InfNetPretext(network)

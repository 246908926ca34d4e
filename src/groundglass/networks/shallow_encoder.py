"""Encoders that end at stride 16, without the layers beyond."""

import torch
from torch import Tensor, nn

from groundglass.networks.encoder import build_encoder, channels_of, start_encoder

DEPTH = 4
"""Number of halvings: features at strides 1, 2, 4, 8 and 16."""


class ShallowEncoder(nn.Module):
    """An encoder by name whose coarsest features have stride 16.

    Args:
        name: Encoder's name, see :func:`groundglass.networks.encoder.build_encoder`.

    Attributes:
        channels: Channels at strides 1, 2, 4, 8 and 16.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.layers = build_encoder(name)
        self.channels = channels_of(self.layers)[: DEPTH + 1]
        _drop_layers_beyond(self.layers)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Features at strides 1, 2, 4, 8 and 16, the first the image itself.

        Args:
            image: (batch, 3, row, column), sides multiples of 32.
        """
        features: list[Tensor] = self.layers(image)
        return features[: DEPTH + 1]

    def start(self, weights: str) -> None:
        """Load start weights; see :func:`groundglass.networks.encoder.start_encoder`."""
        if weights == "none":
            return
        whole = build_encoder(self.name)
        start_encoder(whole, self.name, weights)
        kept = self.layers.state_dict().keys()
        state = {name: value for name, value in whole.state_dict().items() if name in kept}
        self.layers.load_state_dict(state)


def _drop_layers_beyond(encoder: nn.Module) -> None:
    """Put nothing in the place of layers on which the features up to stride 16 do not depend.

    Which these are is told by the gradient, so that it works for every encoder.
    """
    encoder.eval()
    with torch.enable_grad():
        features = encoder(torch.zeros(1, 3, 64, 64))[1 : DEPTH + 1]
        total = torch.stack([feature.sum() for feature in features]).sum()
        names, parameters = zip(*encoder.named_parameters(), strict=True)
        gradients = torch.autograd.grad(total, parameters, allow_unused=True)
    unused = {
        name.rpartition(".")[0]
        for name, gradient in zip(names, gradients, strict=True)
        if gradient is None
    }
    for name in unused:
        encoder.set_submodule(name, nn.Identity())
    encoder.train()

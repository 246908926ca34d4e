"""Encoder and feature pyramid: which levels there are, and where the encoder is cut off.

He et al. 2016, doi:10.1109/CVPR.2016.90; Lin et al. 2017, doi:10.1109/CVPR.2017.106.
"""

import copy
from collections import OrderedDict
from math import log2

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import FeaturePyramidNetwork

from groundglass.errors import ConfigError
from groundglass.networks.encoder import build_encoder, channels_of, start_encoder

_STRIDES = (2, 4, 8, 16, 32)


class Backbone(nn.Module):
    """A slice to the levels of its feature pyramid, finest first.

    Args:
        encoder: Encoder's name.
        strides: Strides of the levels.
        coarser_levels: Levels beyond, each by pooling the one before.
        channels: Channels of each level.

    Raises:
        ConfigError: If a stride is not one of the encoder, there is no such encoder, or it takes
            inputs of one size alone.
    """

    def __init__(
        self, encoder: str, strides: tuple[int, ...], coarser_levels: int, channels: int
    ) -> None:
        super().__init__()
        if not strides or list(strides) != sorted(set(strides) & set(_STRIDES)):
            raise ConfigError(
                f"found strides {list(strides)}, expected some of {list(_STRIDES)} from fine to "
                "coarse; correct them"
            )
        self.name = encoder
        self.levels = [int(log2(stride)) for stride in strides]
        self.encoder = build_encoder(encoder, depth=self.levels[-1])
        given = channels_of(self.encoder)
        empty = [
            stride for stride, level in zip(strides, self.levels, strict=True) if not given[level]
        ]
        if empty:
            raise ConfigError(
                f"found encoder '{encoder}' without features at stride {empty[0]}, expected some; "
                "take coarser network.strides, or another encoder"
            )
        drop_what_no_feature_needs(self.encoder, self.levels)
        self.pyramid = FeaturePyramidNetwork([given[level] for level in self.levels], channels)
        self.coarser_levels = coarser_levels
        self.out_channels = channels

    def forward(self, images: Tensor) -> "OrderedDict[str, Tensor]":
        """Levels by their number as text.

        Args:
            images: (batch, 3, row, column) from -1 to 1.
        """
        features = self.encoder(images)
        maps = OrderedDict((str(n), features[level]) for n, level in enumerate(self.levels))
        levels: OrderedDict[str, Tensor] = self.pyramid(maps)
        for _ in range(self.coarser_levels):
            last = next(reversed(levels.values()))
            levels[str(len(levels))] = functional.max_pool2d(last, 1, 2, 0)
        return levels

    def start(self, weights: str) -> None:
        """Load start weights into the encoder; see ``start_encoder``."""
        if weights == "none":
            return
        whole = build_encoder(self.name)
        start_encoder(whole, self.name, weights)
        loaded = whole.state_dict()
        self.encoder.load_state_dict({name: loaded[name] for name in self.encoder.state_dict()})


def drop_what_no_feature_needs(encoder: nn.Module, levels: list[int]) -> None:
    """Remove the parts of an encoder that its features at some levels do not depend on.

    Encoders keep the stages that they are not asked for; their weights would count, be stored and
    never learn. What takes no part is found by a gradient through a copy without memory.

    Raises:
        ConfigError: If the encoder takes inputs of one size alone.
    """
    probe = copy.deepcopy(encoder).to("meta").eval()
    try:
        features = probe(torch.zeros(1, 3, 64, 64, device="meta"))
    except (AssertionError, RuntimeError) as error:
        raise ConfigError(
            f"found an encoder that takes no input of 64 x 64 ({str(error)[:80]}), "
            "expected one for inputs of any size; name another as network.encoder"
        ) from None
    torch.autograd.backward([features[level].sum() for level in levels])
    idle = [
        name
        for name, part in probe.named_modules()
        if name and (own := list(part.parameters())) and all(p.grad is None for p in own)
    ]
    for name in idle:
        parent, _, last = name.rpartition(".")
        if not any(name.startswith(f"{other}.") for other in idle):
            delattr(encoder.get_submodule(parent), last)

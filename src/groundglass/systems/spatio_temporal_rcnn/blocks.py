"""Parts of the networks: residual convolutions, the joining of two encoders, the mask branch."""

from collections import OrderedDict
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from groundglass.networks.encoder import channels_of


def convolution(in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1) -> nn.Module:
    """Convolution, batch normalization and ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """Several convolutions with a way around them; the size stays.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        depth: Number of convolutions.
    """

    def __init__(self, in_channels: int, out_channels: int, depth: int = 2) -> None:
        super().__init__()
        inner = [
            convolution(in_channels if k == 0 else out_channels, out_channels) for k in range(depth)
        ]
        self.inner = nn.Sequential(*inner)
        self.around = (
            nn.Identity()
            if in_channels == out_channels
            else nn.Conv2d(in_channels, out_channels, 1, bias=False)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Same size, ``out_channels``."""
        added: Tensor = self.inner(features) + self.around(features)
        return functional.relu(added)


class Join(nn.Module):
    """Temporal features of every level, joined with the spatial ones and with those joined above.

    Args:
        spatial: Channels of the spatial encoder, finest first.
        temporal: Channels of the temporal encoder; the joined features have as many.
    """

    def __init__(self, spatial: tuple[int, ...], temporal: tuple[int, ...]) -> None:
        super().__init__()
        self.mix = nn.ModuleList(
            convolution(s + t, t, kernel=1) for s, t in zip(spatial, temporal, strict=True)
        )
        self.down = nn.ModuleList(
            convolution(fine, coarse, stride=2) for fine, coarse in pairwise(temporal)
        )

    def forward(self, spatial: list[Tensor], temporal: list[Tensor]) -> list[Tensor]:
        """Joined features, finest first."""
        joined: list[Tensor] = []
        for level, (mix, s, t) in enumerate(zip(self.mix, spatial, temporal, strict=True)):
            mixed = mix(torch.cat([s, t], 1))
            joined.append(mixed + self.down[level - 1](joined[-1]) if joined else mixed)
        return joined


class Neck(nn.Module):
    """What the detector sees: the coarsest features, on the grid of the finest of them.

    Args:
        channels: Channels of the coarsest levels that it takes, finest first.
        width: Channels of the result.
    """

    def __init__(self, channels: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.levels = len(channels)
        self.mix = convolution(sum(channels), width, kernel=1)
        self.residuals = nn.Sequential(Residual(width, width), Residual(width, width))

    def forward(self, features: list[Tensor]) -> dict[str, Tensor]:
        """One level, ``0``: (batch, width, row, column) on the grid of the finest that it takes.

        Args:
            features: All levels of a resolver, finest first.
        """
        taken = features[-self.levels :]
        size = taken[0].shape[-2:]
        brought = [
            level if level.shape[-2:] == size else functional.interpolate(level, size)
            for level in taken
        ]
        mixed: Tensor = self.residuals(self.mix(torch.cat(brought, 1)))
        return {"0": mixed}


class PyramidNeck(nn.Module):
    """What the detector sees at strides 4 to 32: a feature pyramid on a resolver.

    Stride 32, which a resolver does not have, is every second cell of stride 16.

    Args:
        channels: Channels of the resolver's levels, finest first; the last three are taken.
        width: Channels at every stride.
    """

    TAKEN = 3

    def __init__(self, channels: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.pyramid = FeaturePyramidNetwork(
            list(channels[-self.TAKEN :]), width, LastLevelMaxPool()
        )

    def forward(self, features: list[Tensor]) -> dict[str, Tensor]:
        """Features by level, ``0`` the finest.

        Args:
            features: All levels of a resolver, finest first.
        """
        named = OrderedDict((str(k), level) for k, level in enumerate(features[-self.TAKEN :]))
        levels: dict[str, Tensor] = self.pyramid(named)
        return {str(k): level for k, level in enumerate(levels.values())}


class TinyUnet(nn.Module):
    """The mask branch: a small U-Net on the features of each region.

    Three halvings and three doublings; every step four convolutions with a way around each pair.

    Args:
        in_channels: Channels of a region's features.
        width: Channels inside.
    """

    STEPS = 3

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            _four_convolutions(width if k else in_channels, width) for k in range(self.STEPS)
        )
        self.bottom = _four_convolutions(width, width)
        self.up = nn.ModuleList(_four_convolutions(2 * width, width) for _ in range(self.STEPS))
        self.width = width

    def forward(self, regions: Tensor) -> Tensor:
        """Features of the input's size, (region, width, row, column); sides multiples of 8."""
        if not len(regions):  # a batch of healthy slices; batch statistics need a region
            return regions.new_zeros(0, self.width, *regions.shape[2:])
        kept = []
        for step in self.down:
            regions = step(regions)
            kept.append(regions)
            regions = functional.max_pool2d(regions, 2)
        regions = self.bottom(regions)
        for step, fine in zip(self.up, reversed(kept), strict=True):
            larger = functional.interpolate(regions, scale_factor=2.0)
            regions = step(torch.cat([larger, fine], 1))
        return regions


def _four_convolutions(in_channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(Residual(in_channels, width), Residual(width, width))


class Pyramid(nn.Module):
    """An encoder with a feature pyramid at strides 4 to 32, as in the usual Mask R-CNN.

    Args:
        encoder: Features at strides 1 to 32.
        width: Channels at every stride.
    """

    def __init__(self, encoder: nn.Module, width: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.pyramid = FeaturePyramidNetwork(list(channels_of(encoder)[2:6]), width)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Features by level, ``0`` the finest."""
        levels = self.encoder(image)[2:6]
        named = OrderedDict((str(k), level) for k, level in enumerate(levels))
        features: dict[str, Tensor] = self.pyramid(named)
        return features

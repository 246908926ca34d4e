"""The parts of Inf-Net (Fan et al. 2020, doi:10.1109/TMI.2020.2996645, section III)."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional


def resize(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps brought to (row, column) ``size``, bilinear."""
    return functional.interpolate(maps, size=size, mode="bilinear", align_corners=False)


def size_of(maps: Tensor) -> tuple[int, int]:
    """(row, column) of maps."""
    return int(maps.shape[-2]), int(maps.shape[-1])


class Convolution(nn.Sequential):
    """Convolution that keeps the size, and batch normalization.

    Args:
        channels: Channels in and out.
        kernel: (row, column) of the kernel.
        dilation: Distance of the kernel's samples.
        active: Whether a rectifier follows.
    """

    def __init__(
        self,
        channels: tuple[int, int],
        kernel: tuple[int, int] = (3, 3),
        dilation: int = 1,
        active: bool = False,
    ) -> None:
        padding = (dilation * (kernel[0] // 2), dilation * (kernel[1] // 2))
        layers: list[nn.Module] = [
            nn.Conv2d(*channels, kernel, padding=padding, dilation=dilation, bias=False),
            nn.BatchNorm2d(channels[1]),
        ]
        super().__init__(*layers, *([nn.ReLU(inplace=True)] if active else []))


class ReceptiveField(nn.Module):
    """Features seen at four scales and brought to a few channels.

    Liu et al. 2018, doi:10.1007/978-3-030-01252-6_24: branches with kernels of 1, 3, 5 and 7, each
    followed by a dilated convolution of that rate, are joined and added to a shortcut.

    Args:
        channels: Channels in and out.
    """

    def __init__(self, channels: tuple[int, int]) -> None:
        super().__init__()
        taken, given = channels
        same = (given, given)
        self.branches = nn.ModuleList(
            [
                Convolution(channels, (1, 1)),
                *(
                    nn.Sequential(
                        Convolution(channels, (1, 1)),
                        Convolution(same, (1, size)),
                        Convolution(same, (size, 1)),
                        Convolution(same, dilation=size),
                    )
                    for size in (3, 5, 7)
                ),
            ]
        )
        self.joined = Convolution((4 * given, given))
        self.shortcut = Convolution((taken, given), (1, 1))

    def forward(self, features: Tensor) -> Tensor:
        """Maps of the same size with the channels given."""
        joined = self.joined(torch.cat([branch(features) for branch in self.branches], 1))
        return functional.relu(joined + self.shortcut(features))


class PartialDecoder(nn.Module):
    """Parallel partial decoder: the three coarser levels, joined into one global map.

    Wu et al. 2019, doi:10.1109/CVPR.2019.00403: coarser levels multiply finer ones, then all are
    joined from coarse to fine.

    Args:
        width: Channels of each level.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        one, two, three = width, 2 * width, 3 * width
        self.f5_to_f4 = Convolution((one, one))
        self.f5_to_f3 = Convolution((one, one))
        self.f4_to_f3 = Convolution((one, one))
        self.f5_beside_f4 = Convolution((one, one))
        self.pair = Convolution((two, two))
        self.pair_beside_f3 = Convolution((two, two))
        self.triple = Convolution((three, three))
        self.last = Convolution((three, three))
        self.output = nn.Conv2d(three, 1, 1)

    def forward(self, f3: Tensor, f4: Tensor, f5: Tensor) -> Tensor:
        """Global map at the size of f3, (batch, 1, row, column), before the sigmoid."""
        fine, middle = size_of(f3), size_of(f4)
        f5_up = resize(f5, middle)
        f4_seen = self.f5_to_f4(f5_up) * f4
        f3_seen = self.f5_to_f3(resize(f5, fine)) * self.f4_to_f3(resize(f4, fine)) * f3
        pair = self.pair(torch.cat([f4_seen, self.f5_beside_f4(f5_up)], 1))
        beside = self.pair_beside_f3(resize(pair, fine))
        triple = self.triple(torch.cat([f3_seen, beside], 1))
        return cast("Tensor", self.output(self.last(triple)))


class EdgeBranch(nn.Module):
    """Edge features from the finer level, and the edge map that supervises them.

    Args:
        channels: Channels in and out.
    """

    def __init__(self, channels: tuple[int, int]) -> None:
        super().__init__()
        same = (channels[1], channels[1])
        self.features = nn.Sequential(
            Convolution(channels, (1, 1)), Convolution(same), Convolution(same)
        )
        self.output = nn.Conv2d(channels[1], 1, 3, padding=1)

    def forward(self, f2: Tensor) -> tuple[Tensor, Tensor]:
        """Edge features, and edge map (batch, 1, row, column) before the sigmoid."""
        features = self.features(f2)
        return features, self.output(features)


class ReverseAttention(nn.Module):
    """Refines a coarser map where it does not yet see lesion.

    The features are weighted by one minus the sigmoid of the coarser map (equation 1 of Inf-Net),
    the edge features joined in; what comes out is added to the coarser map.

    Args:
        features: Channels of the level.
        edges: Channels of the edge features.
        width: Channels inside.
        kernel: Side of the kernels inside.
        depth: Convolutions inside.
    """

    def __init__(
        self, features: int, edges: int, width: int, kernel: int = 3, depth: int = 2
    ) -> None:
        super().__init__()
        self.enter = Convolution((features + edges, width), (1, 1))
        self.body = nn.Sequential(
            *(Convolution((width, width), (kernel, kernel), active=True) for _ in range(depth))
        )
        self.output = nn.Conv2d(width, 1, 1)

    def forward(self, features: Tensor, edges: Tensor, coarser: Tensor) -> Tensor:
        """Refined map at the size of the features, (batch, 1, row, column), before the sigmoid."""
        size = size_of(features)
        coarser = resize(coarser, size)
        unseen = (1 - coarser.sigmoid()) * features
        entered = self.enter(torch.cat([unseen, resize(edges, size)], 1))
        return cast("Tensor", self.output(self.body(entered)) + coarser)

"""The three attentions: which channels, which places of a slice, which slices of a volume.

Mohammed et al., IEEE Access 2020, equations 6 to 11, 18 and 19; channel and
spatial attention after Woo et al. 2018 (CBAM).
"""

import torch
from torch import Tensor, nn

REDUCTION = 16
"""Channels over hidden units of channel attention, as in CBAM; the publication leaves it open."""

SPATIAL_KERNEL = 9


class ChannelAttention(nn.Module):
    """Weighs each channel by its mean and its maximum over the slice (equations 8 and 9).

    Args:
        channels: Channels of the maps.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(1, channels // REDUCTION)
        self.inner = nn.Linear(channels, hidden, bias=False)
        self.outer = nn.Linear(hidden, channels, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """The maps (slice, channel, row, column), each channel times its weight from 0 to 1."""
        mean, largest = maps.mean((2, 3)), maps.amax((2, 3))
        weights = self._scores(mean) + self._scores(largest)
        return maps * weights.sigmoid()[:, :, None, None]

    def _scores(self, pooled: Tensor) -> Tensor:
        scores: Tensor = self.outer(self.inner(pooled).relu())
        return scores


class SpatialAttention(nn.Module):
    """Weighs each place by the mean and the maximum of its channels (equations 10 and 11)."""

    def __init__(self) -> None:
        super().__init__()
        padding = SPATIAL_KERNEL // 2
        self.convolution = nn.Conv2d(2, 1, SPATIAL_KERNEL, padding=padding, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """The maps (slice, channel, row, column), each place times its weight from 0 to 1."""
        pooled = torch.cat([maps.mean(1, keepdim=True), maps.amax(1, keepdim=True)], 1)
        weights: Tensor = self.convolution(pooled).sigmoid()
        return maps * weights


class SliceAttention(nn.Module):
    """Weighs the slices of a volume and sums them up (equations 18 and 19).

    Args:
        features: Features of a slice.
        width: Hidden units; the publication leaves them open.
    """

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(features, width, bias=False)
        self.outer = nn.Linear(width, 1, bias=False)

    def forward(self, slices: Tensor) -> tuple[Tensor, Tensor]:
        """The volume's features, and the weight of each slice.

        Args:
            slices: (volume, slice, feature).

        Returns:
            (volume, feature), and (volume, slice) weights that add up to 1.
        """
        weights = self.outer(self.inner(slices).tanh())[..., 0].softmax(-1)
        return torch.einsum("vs,vsf->vf", weights, slices), weights

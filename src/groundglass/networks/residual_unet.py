"""A U-Net with residual steps and group normalization, for lungs.

Liu et al. 2021, doi:10.1016/j.ymeth.2021.07.001, section 2.1 and figure 2; group normalization: Wu
and He 2018, doi:10.1007/s11263-019-01198-w.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

STEPS = 4
"""Number of halvings; sides of an input are multiples of 16."""

LEARNED_HALVINGS = 2
"""The first halvings are strided convolutions, so that fine detail is not dropped; the others
take the largest of four pixels."""

_GROUPS = 8


class ResidualUnet(nn.Module):
    """Lung gray to a logit of lung.

    Shapes: (batch, 1, row, column) from 0 to 1, to the same.

    Args:
        width: Channels at full size, a multiple of 8; doubled with every halving.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = [width * 2**step for step in range(STEPS + 1)]
        self.down = nn.ModuleList(
            _Step(before, after) for before, after in zip([1, *widths], widths, strict=False)
        )
        self.halve = nn.ModuleList(
            nn.Conv2d(channels, channels, 2, stride=2) for channels in widths[:LEARNED_HALVINGS]
        )
        self.enlarge = nn.ModuleList(
            nn.ConvTranspose2d(2 * channels, channels, 2, stride=2)
            for channels in reversed(widths[:-1])
        )
        self.up = nn.ModuleList(
            _Step(2 * channels, channels, residual=False) for channels in reversed(widths[:-1])
        )
        self.output = nn.Conv2d(width, 1, 1)

    def forward(self, gray: Tensor) -> Tensor:
        """Logit of lung, (batch, 1, row, column)."""
        features, kept = gray * 2 - 1, []
        for number, step in enumerate(self.down):
            features = step(features)
            if number == STEPS:
                break
            kept.append(features)
            learned = number < LEARNED_HALVINGS
            features = (
                self.halve[number](features) if learned else functional.max_pool2d(features, 2)
            )
        for enlarge, step, fine in zip(self.enlarge, self.up, reversed(kept), strict=True):
            features = step(torch.cat([enlarge(features), fine], 1))
        logits: Tensor = self.output(features)
        return logits


class _Step(nn.Module):
    """Two convolutions with group normalization, with a way around them on the way down."""

    def __init__(self, in_channels: int, out_channels: int, *, residual: bool = True) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
            nn.GroupNorm(_GROUPS, out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.GroupNorm(_GROUPS, out_channels),
        )
        self.around = nn.Conv2d(in_channels, out_channels, 1, bias=False) if residual else None

    def forward(self, features: Tensor) -> Tensor:
        inner: Tensor = self.inner(features)
        return functional.relu(inner if self.around is None else inner + self.around(features))

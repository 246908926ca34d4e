"""The coach: it sees a slice and chooses what to erase, ever harder to paint.

Singh et al. 2018 (BMVC); Fung et al. 2021, doi:10.1186/s12967-021-02992-2, equations 4 and 5.
"""

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from groundglass.networks.encoder import as_color, build_encoder, channels_of

CELL_PX = 16
"""Side of the squares that are kept or erased as one: the stride of the coach."""

SOFT, SHARP = 1.0, 100.0
"""Alpha of equation 5 while the coach trains, and while the network does."""

LATENT_WIDTH = 100


class Opinion(NamedTuple):
    """What the coach thinks of a slice.

    Attributes:
        activation: (batch, 1, row, column) of cells; the lowest are erased.
        divergence: Kullback-Leibler divergence of its sample from the standard normal
            distribution, summed over cells and channels, averaged over the batch.
    """

    activation: Tensor
    divergence: Tensor


class Coach(nn.Module):
    """Lung gray to an activation of each cell of 16 x 16 pixels.

    An encoder whose stem has a max-pool (ResNet) loses it, so that its last features have stride
    16; of others those of stride 16 are taken.

    Args:
        encoder: Encoder's name; ``resnet18`` in the publication.
    """

    def __init__(self, encoder: str = "resnet18") -> None:
        super().__init__()
        self.encoder = build_encoder(encoder)
        self._level = 4
        if isinstance(getattr(self.encoder, "maxpool", None), nn.Module):
            self.encoder.maxpool = nn.Identity()
            self._level = 5
        channels = channels_of(self.encoder)[self._level]
        self.mean = nn.Conv2d(channels, LATENT_WIDTH, 1)
        self.log_variance = nn.Conv2d(channels, LATENT_WIDTH, 1)
        self.output = nn.Conv2d(LATENT_WIDTH, 1, 1)

    def forward(self, gray: Tensor, draw: bool = True) -> Opinion:
        """Its opinion of slices.

        Args:
            gray: Lung gray 0 to 1, (batch, 1, row, column), sides multiples of 32.
            draw: Whether it is a random sample; else the most likely one.
        """
        features = self.encoder(as_color(gray))[self._level]
        mean, log_variance = self.mean(features), self.log_variance(features)
        latent = mean
        if draw:
            latent = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
        per_slice = divergence.float().sum((1, 2, 3))
        return Opinion(cast("Tensor", self.output(latent)).float(), per_slice.mean())


def random_activation(gray: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Activations in place of a coach: every cell of the slices as likely as another.

    Args:
        gray: (batch, 1, row, column).
        generator: Fixes the draw.
    """
    batch, _, rows, columns = gray.shape
    drawn = torch.randn(batch, 1, rows // CELL_PX, columns // CELL_PX, generator=generator)
    return drawn.to(gray.device)


def keep_mask(activation: Tensor, keep: float, alpha: float) -> Tensor:
    """Mask of equations 4 and 5: sigmoid of alpha times what an activation has over the threshold.

    The threshold of a slice is its k-th largest activation, k being ``keep`` times its cells; that
    cell itself reads 0.5.

    Args:
        activation: (batch, 1, row, column) of cells.
        keep: Fraction of the cells that is kept.
        alpha: Steepness, ``SOFT`` or ``SHARP``.

    Returns:
        (batch, 1, row, column) of pixels, 1 keeps and 0 erases.
    """
    threshold = _largest(activation, keep).values[:, -1].view(-1, 1, 1, 1)
    return _pixels((alpha * (activation - threshold)).sigmoid())


def hard_mask(activation: Tensor, keep: float) -> Tensor:
    """Mask of 0 and 1 that keeps exactly a fraction of the cells, for measuring.

    Args:
        activation: (batch, 1, row, column) of cells.
        keep: Fraction of the cells that is kept, rounded to whole cells.
    """
    kept = torch.zeros_like(activation).flatten(1)
    kept.scatter_(1, _largest(activation, keep).indices, 1.0)
    return _pixels(kept.view_as(activation))


def _largest(activation: Tensor, keep: float) -> torch.return_types.topk:
    cells = activation.flatten(1)
    return cells.topk(max(1, round(keep * cells.shape[1])))


def _pixels(cells: Tensor) -> Tensor:
    return functional.interpolate(cells, scale_factor=CELL_PX, mode="nearest")

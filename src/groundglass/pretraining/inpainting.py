"""The pretext task: paint what a mask has erased from a slice.

Fung et al. 2021, doi:10.1186/s12967-021-02992-2, after Singh et al. 2018 (Self-supervised feature
learning for semantic segmentation of overhead imagery, BMVC).

Everything is on the *contrast* scale, which networks see: -1 the darkest and 1 the brightest lung
gray, 0 between. What is erased is 0: neither the black of air nor the white of tissue.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

ERASED_WEIGHT = 0.99
"""Share of the erased pixels in the network's loss; the kept ones have the rest."""

LARGEST_ERROR = 2.0
"""Where the squared error of a pixel is cut off, so that few pixels cannot rule the loss."""

DIVERGENCE_WEIGHT = 1e-6
"""Share of the Kullback-Leibler divergence in the coach's loss."""


class Pretext(Protocol):
    """What a system gives to be pretrained: its network, and how it paints.

    Attributes:
        network: What is trained and handed on.
    """

    @property
    def network(self) -> nn.Module:
        """What is trained and handed on."""
        ...

    def inpaint(self, masked: Tensor) -> Sequence[Tensor]:
        """Maps painted from masked slices, the finest last.

        Args:
            masked: Lung gray 0 to 1, (batch, 1, row, column).

        Returns:
            Maps on the contrast scale, each of the input's shape.
        """
        ...

    def targets(self, gray: Tensor) -> Sequence[Tensor]:
        """What each map should be, from the whole slices; see :meth:`inpaint`."""
        ...

    def reset_outputs(self) -> None:
        """Give the output layers, which are not handed on, random weights."""
        ...


def contrast_of(gray: Tensor) -> Tensor:
    """Lung gray 0 to 1 on the contrast scale, -1 to 1."""
    return gray * 2 - 1


def edges_of(gray: Tensor) -> Tensor:
    """Height of the step at each pixel: the gradient's magnitude on the contrast scale.

    Args:
        gray: Lung gray 0 to 1, (batch, 1, row, column).

    Returns:
        Same shape; a sharp step from black to white reads 2, its own height.
    """
    across = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 4
    sobel = torch.stack([across, across.T])[:, None].to(gray)
    padded = functional.pad(contrast_of(gray), (1, 1, 1, 1), mode="replicate")
    return functional.conv2d(padded, sobel).square().sum(1, keepdim=True).sqrt()


def cover(gray: Tensor, mask: Tensor) -> Tensor:
    """Slices multiplied by a mask on the contrast scale: x ⊙ M of equation 3.

    Args:
        gray: Lung gray 0 to 1, (batch, 1, row, column).
        mask: Same shape, 1 keeps and 0 erases.

    Returns:
        Lung gray 0 to 1.
    """
    return 0.5 + (gray - 0.5) * mask


def pixel_errors(maps: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
    """Squared error of each pixel, cut off at 2, averaged over the maps.

    Args:
        maps: Painted, each (batch, 1, row, column).
        targets: What they should be.
    """
    squared = [
        (painted.float() - target).square().clamp_max(LARGEST_ERROR)
        for painted, target in zip(maps, targets, strict=True)
    ]
    return torch.stack(squared).mean(0)


def mean_error(errors: Tensor, weight: Tensor) -> Tensor:
    """Error averaged over the pixels of a batch, by weight; 0 where there are none."""
    return (errors * weight).sum() / weight.sum().clamp_min(1e-6)


def network_loss(errors: Tensor, mask: Tensor) -> Tensor:
    """Loss of the network: 0.99 of the error where erased, 0.01 of the error where kept."""
    kept = mean_error(errors, mask)
    return ERASED_WEIGHT * mean_error(errors, 1 - mask) + (1 - ERASED_WEIGHT) * kept


def coach_loss(errors: Tensor, mask: Tensor, divergence: Tensor) -> Tensor:
    """Loss of the coach, equation 3: small where the network fails on what was erased."""
    return 1 - mean_error(errors, 1 - mask) + DIVERGENCE_WEIGHT * divergence

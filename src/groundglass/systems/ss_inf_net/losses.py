"""The loss of Inf-Net (Fan et al. 2020, section III-D; Fung et al., equations 1 and 2)."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

EDGE_WINDOW_PX = 31
"""Side of the window whose mean tells pixels near an edge from others."""

EDGE_WEIGHT = 5.0
"""How much more than 1 a pixel can weigh."""

PixelLoss = Literal["cross-entropy", "focal"]


def edge_weights(target: Tensor) -> Tensor:
    """Weight of each pixel: 1 far from the lesion's edge, up to 6 on fine structure.

    ``1 + 5 |mean of the mask around the pixel - mask|`` (Wei et al. 2020,
    doi:10.1609/aaai.v34i07.6916).

    Args:
        target: (batch, 1, row, column), 0 or 1.
    """
    half = EDGE_WINDOW_PX // 2
    columns = functional.avg_pool2d(target, (1, EDGE_WINDOW_PX), stride=1, padding=(0, half))
    around = functional.avg_pool2d(columns, (EDGE_WINDOW_PX, 1), stride=1, padding=(half, 0))
    return 1 + EDGE_WEIGHT * (around - target).abs()


def segmentation_loss(
    logits: Tensor, target: Tensor, weights: Tensor, pixel_loss: PixelLoss = "cross-entropy"
) -> Tensor:
    """Weighted intersection over union plus weighted loss per pixel, averaged over the batch.

    The weights act: each pixel's loss is multiplied by its weight, and the sum divided by the sum
    of the weights. (In the code released with Inf-Net they cancel.)

    Args:
        logits: (batch, 1, row, column), before the sigmoid.
        target: Same shape, 0 or 1.
        weights: Weight of each pixel, same shape: :func:`edge_weights`, 0 where the target is not
            known.
        pixel_loss: ``cross-entropy``, or ``focal`` as the published version of Fung et al. adds.
    """
    dims = (1, 2, 3)
    if pixel_loss == "focal":
        losses = sigmoid_focal_loss(logits, target)
    else:
        losses = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    per_pixel = (weights * losses).sum(dims) / weights.sum(dims).clamp_min(1)
    probability = logits.sigmoid()
    both = (probability * target * weights).sum(dims)
    either = ((probability + target) * weights).sum(dims) - both
    overlap = 1 - (both + 1) / (either + 1)
    loss: Tensor = (per_pixel + overlap).mean()
    return loss


def edge_of(target: Tensor) -> Tensor:
    """Edge of a mask, one pixel to each side of its border.

    Args:
        target: (batch, 1, row, column), 0 or 1.
    """
    grown = functional.max_pool2d(target, 3, stride=1, padding=1)
    shrunk = -functional.max_pool2d(-target, 3, stride=1, padding=1)
    return grown - shrunk


def edge_loss(logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Cross-entropy of the edge map, averaged over the known pixels.

    Args:
        logits: (batch, 1, row, column), before the sigmoid.
        target: Mask of the lesion, same shape, 0 or 1.
        known: Same shape, 1 where the target is known.
    """
    losses = functional.binary_cross_entropy_with_logits(logits, edge_of(target), reduction="none")
    loss: Tensor = (losses * known).sum() / known.sum().clamp_min(1)
    return loss


def kind_classes(target: Tensor, count: int) -> Tensor:
    """Whether each pixel is background, ground-glass opacity or consolidation, a channel each.

    Args:
        target: (batch, 1, row, column), numbers of ``Lesion``; all but the kinds is background.
        count: Number of channels, background with them.
    """
    kinds = torch.cat([target == kind for kind in range(1, count)], 1)
    return torch.cat([~kinds.any(1, keepdim=True), kinds], 1)


def kinds_loss(
    logits: Tensor, target: Tensor, known: Tensor, pixel_loss: PixelLoss = "cross-entropy"
) -> Tensor:
    """Loss per pixel of background, ground-glass opacity and consolidation, each a sigmoid.

    Args:
        logits: (batch, 3, row, column), before the sigmoid.
        target: (batch, 1, row, column), 1 ground-glass, 2 consolidation; all else is background.
        known: Same shape as the target, 1 where it is known.
        pixel_loss: ``cross-entropy`` or ``focal``.
    """
    classes = kind_classes(target, logits.shape[1]).to(logits.dtype)
    if pixel_loss == "focal":
        losses = sigmoid_focal_loss(logits, classes)
    else:
        losses = functional.binary_cross_entropy_with_logits(logits, classes, reduction="none")
    known = known.expand_as(losses).to(losses.dtype)
    loss: Tensor = (losses * known).sum() / known.sum().clamp_min(1)
    return loss

"""Losses, each checked against a value worked out by hand."""

from torch import Tensor
from torch.nn import functional


def soft_dice_loss(logits: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
    r"""One minus the soft Dice overlap of each channel over the whole batch, averaged.

    .. math:: 1 - \frac{2 \sum p t + 1}{\sum p + \sum t + 1}

    Pooling over the batch keeps slices without the target from counting as whole failures.

    Args:
        logits: (batch, channel, row, column), before the sigmoid.
        target: Same shape, 0 or 1.
        known: Broadcastable to that shape, 1 where the target is known; everywhere if ``None``.
    """
    probability = logits.sigmoid()
    if known is not None:
        probability, target = probability * known, target * known
    dims = (0, 2, 3)
    overlap = (probability * target).sum(dims)
    total = probability.sum(dims) + target.sum(dims)
    return (1 - (2 * overlap + 1) / (total + 1)).mean()


def known_bce_loss(logits: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
    """Binary cross-entropy averaged over the known pixels; 0 if none is known.

    Args:
        logits: Any shape, before the sigmoid.
        target: Same shape, 0 or 1.
        known: Broadcastable to that shape, 1 where the target is known.
    """
    if known is None:
        return functional.binary_cross_entropy_with_logits(logits, target)
    known = known.expand_as(logits).to(logits.dtype)
    loss = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (loss * known).sum() / known.sum().clamp_min(1)

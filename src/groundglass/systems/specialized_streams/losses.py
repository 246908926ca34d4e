"""Losses of the second and third stage, over what is known alone."""

import torch
from torch import Tensor
from torch.nn import functional

from groundglass.data.case import UNKNOWN
from groundglass.labels import OPACITIES, Lesion
from groundglass.losses import known_bce_loss, soft_dice_loss


def kinds_known(lesions: Tensor) -> Tensor:
    """Where the manifestation of every pixel is told, boolean, the shape of the mask.

    Args:
        lesions: Numbers of ``Lesion``, ``UNKNOWN`` where not known.
    """
    return (lesions != UNKNOWN) & (lesions != Lesion.UNSPECIFIED)


def presence(
    lesions: Tensor, labels: tuple[Lesion, ...], told: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Which manifestations slices show, and of which that is known.

    A slice without a mask tells nothing, one with a lesion of unknown kind that there is an
    opacity, and no more.

    Args:
        lesions: (batch, row, column).
        labels: Manifestations in question; ``UNSPECIFIED`` stands for any opacity.
        told: (batch, number of ``Lesion`` less 1) whether masks tell of each at all; of all if
            ``None``.

    Returns:
        Twice (batch, manifestation), 0 or 1.
    """
    shown = torch.stack([_shows(lesions, label).flatten(1).any(1) for label in labels], 1)
    some = (lesions != UNKNOWN).flatten(1).any(1)
    kinds = some & (kinds_known(lesions) | (lesions == UNKNOWN)).flatten(1).all(1)
    known = torch.stack([some if k is Lesion.UNSPECIFIED else kinds for k in labels], 1)
    return shown.float(), (known & _of(labels, told, known)).float()


def manifestation_loss(
    logits: Tensor, lesions: Tensor, labels: tuple[Lesion, ...], told: Tensor | None = None
) -> Tensor:
    """Binary cross-entropy of each manifestation, averaged over slices that tell of it, summed.

    Args:
        logits: (batch, manifestation).
        lesions: (batch, row, column).
        labels: Manifestations, in the order of the logits; ``UNSPECIFIED`` stands for any opacity.
        told: As for :func:`presence`.
    """
    shown, known = presence(lesions, labels, told)
    loss = functional.binary_cross_entropy_with_logits(logits, shown, reduction="none")
    return ((loss * known).sum(0) / known.sum(0).clamp_min(1)).sum()


def stream_loss(
    logits: Tensor, lesions: Tensor, labels: tuple[Lesion, ...], told: Tensor | None = None
) -> Tensor:
    """Cross-entropy and soft Dice of each manifestation against everything else, summed.

    Streams do not weigh on each other: the gradient of one depends on its own channel alone.

    Args:
        logits: (batch, manifestation, row, column).
        lesions: (batch, row, column).
        labels: Manifestations, in the order of the logits; ``UNSPECIFIED`` stands for any opacity.
        told: As for :func:`presence`.
    """
    losses = []
    named = _of(labels, told, torch.ones(len(lesions), len(labels), device=lesions.device) > 0)
    for channel, label in enumerate(labels):
        target, known = _target(lesions[:, None], label)
        known = known * named[:, channel, None, None, None]
        one = logits[:, channel : channel + 1]
        losses.append(known_bce_loss(one, target, known) + soft_dice_loss(one, target, known))
    return torch.stack(losses).sum()


def _of(labels: tuple[Lesion, ...], told: Tensor | None, otherwise: Tensor) -> Tensor:
    """Which of some manifestations masks tell of, (batch, manifestation)."""
    return otherwise if told is None else told[:, [int(label) - 1 for label in labels]].bool()


def any_opacity_loss(logits: Tensor, lesions: Tensor, labels: tuple[Lesion, ...]) -> Tensor:
    """Cross-entropy and soft Dice of opacity by one stream or another, where kinds are not told.

    The chance that a stream sees opacity is taken for independent of the others' (a noisy or). On
    slices whose lesions have a kind, or with no stream of opacity, 0. Ours, not the paper's.

    Args:
        logits: (batch, manifestation, row, column).
        lesions: (batch, row, column).
        labels: Manifestations, in the order of the logits.
    """
    channels = [k for k, label in enumerate(labels) if label in OPACITIES]
    hides = (lesions == Lesion.UNSPECIFIED).flatten(1).any(1)
    if not channels or not hides.any():
        return logits.sum() * 0
    none = functional.logsigmoid(-logits[hides][:, channels].float()).sum(1, keepdim=True)
    some = (-torch.expm1(none)).clamp_min(torch.finfo(none.dtype).tiny).log()
    of_slices = lesions[hides][:, None]
    known = of_slices != UNKNOWN
    target = (known & (of_slices > 0) & (of_slices <= Lesion.UNSPECIFIED)).float()
    either = some - none
    return known_bce_loss(either, target, known.float()) + soft_dice_loss(
        either, target, known.float()
    )


def _target(lesions: Tensor, label: Lesion) -> tuple[Tensor, Tensor]:
    known = lesions != UNKNOWN if label is Lesion.UNSPECIFIED else kinds_known(lesions)
    return _shows(lesions, label).float(), known.float()


def _shows(lesions: Tensor, label: Lesion) -> Tensor:
    """Where a mask shows a manifestation, boolean; every opacity counts as unspecified."""
    if label is Lesion.UNSPECIFIED:
        return (lesions > 0) & (lesions <= int(label))
    return lesions == int(label)

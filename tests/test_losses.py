import math

import pytest
import torch

from groundglass.losses import known_bce_loss, soft_dice_loss


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def test_soft_dice_equals_the_value_worked_out_by_hand() -> None:
    # overlap 0.9 + 0.2 = 1.1; sum of p 0.9 + 0.2 + 0.4 + 0.5 = 2.0; sum of t 2
    logits = torch.tensor([logit(0.9), logit(0.2), logit(0.4), 0.0]).reshape(1, 1, 2, 2)
    target = torch.tensor([1.0, 1.0, 0.0, 0.0]).reshape(1, 1, 2, 2)
    assert soft_dice_loss(logits, target).item() == pytest.approx(1 - (2 * 1.1 + 1) / (4 + 1))


def test_soft_dice_of_nothing_found_where_nothing_is_nears_zero() -> None:
    logits = torch.full((2, 1, 4, 4), -20.0)
    assert soft_dice_loss(logits, torch.zeros(2, 1, 4, 4)).item() < 1e-6


def test_bce_equals_the_value_worked_out_by_hand() -> None:
    logits = torch.tensor([[logit(0.8), logit(0.3)]])
    target = torch.tensor([[1.0, 0.0]])
    expected = -(math.log(0.8) + math.log(0.7)) / 2
    assert known_bce_loss(logits, target).item() == pytest.approx(expected, rel=1e-5)


def test_unknown_pixels_change_neither_loss_nor_gradient() -> None:
    target = torch.tensor([1.0, 0.0, 1.0, 0.0]).reshape(1, 1, 2, 2)
    known = torch.tensor([1.0, 1.0, 0.0, 0.0]).reshape(1, 1, 2, 2)
    losses = []
    for unknown in (-3.0, 8.0):
        logits = torch.tensor([0.3, -0.2, unknown, unknown]).reshape(1, 1, 2, 2).requires_grad_()
        loss = known_bce_loss(logits, target, known) + soft_dice_loss(logits, target, known)
        loss.backward()
        assert logits.grad is not None
        assert logits.grad[0, 0, 1].abs().sum() == 0
        losses.append(loss.item())
    assert losses[0] == pytest.approx(losses[1])


def test_bce_without_a_known_pixel_is_zero() -> None:
    assert known_bce_loss(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2), torch.zeros(1)) == 0

import pytest
import torch

from groundglass.pretraining.inpainting import (
    coach_loss,
    cover,
    edges_of,
    network_loss,
    pixel_errors,
)

MASK = torch.tensor([[[[1.0, 1.0, 1.0, 0.0]]]])
ERRORS = torch.tensor([[[[0.1, 0.2, 0.3, 0.8]]]])


def test_the_network_mostly_pays_for_what_was_erased() -> None:
    assert network_loss(ERRORS, MASK).item() == pytest.approx(0.99 * 0.8 + 0.01 * 0.2)


def test_the_coach_gains_where_the_network_fails() -> None:
    loss = coach_loss(ERRORS, MASK, torch.tensor(50.0))
    assert loss.item() == pytest.approx(1 - 0.8 + 1e-6 * 50)


def test_a_half_erased_pixel_counts_half() -> None:
    mask = torch.tensor([[[[1.0, 1.0, 0.5, 0.0]]]])
    loss = coach_loss(ERRORS, mask, torch.tensor(0.0))
    assert loss.item() == pytest.approx(1 - (0.5 * 0.3 + 0.8) / 1.5)


def test_errors_are_squared_cut_off_at_two_and_averaged_over_maps() -> None:
    target = torch.zeros(1, 1, 1, 3)
    first = torch.tensor([[[[0.5, 1.0, 3.0]]]])
    second = torch.tensor([[[[0.0, 2.0, 0.0]]]])
    errors = pixel_errors([first, second], [target, target])
    torch.testing.assert_close(errors, torch.tensor([[[[0.125, 1.5, 1.0]]]]))


def test_a_pixel_beyond_the_cut_off_teaches_nothing() -> None:
    painted = torch.tensor([[[[0.5, 3.0]]]], requires_grad=True)
    pixel_errors([painted], [torch.zeros(1, 1, 1, 2)]).sum().backward()
    assert painted.grad is not None
    assert painted.grad.flatten().tolist() == [1.0, 0.0]


def test_what_is_erased_is_neither_air_nor_tissue() -> None:
    gray = torch.tensor([[[[0.0, 1.0, 0.2, 1.0]]]])
    mask = torch.tensor([[[[1.0, 1.0, 0.0, 0.5]]]])
    torch.testing.assert_close(cover(gray, mask), torch.tensor([[[[0.0, 1.0, 0.5, 0.75]]]]))


def test_a_step_from_black_to_white_reads_its_height_on_both_sides() -> None:
    gray = torch.zeros(1, 1, 5, 6)
    gray[..., 3:] = 1.0
    expected = torch.tensor([0.0, 0.0, 2.0, 2.0, 0.0, 0.0]).expand(1, 1, 5, 6)
    torch.testing.assert_close(edges_of(gray), expected)
    torch.testing.assert_close(edges_of(gray.mT), expected.mT)

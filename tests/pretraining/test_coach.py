import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from groundglass.pretraining.coach import (
    CELL_PX,
    LATENT_WIDTH,
    SHARP,
    SOFT,
    Coach,
    hard_mask,
    keep_mask,
    random_activation,
)

ACTIVATION = torch.tensor([[[[4.0, 1.0], [2.0, 3.0]]]])


def cells(mask: torch.Tensor) -> torch.Tensor:
    return mask[..., ::CELL_PX, ::CELL_PX]


def test_a_soft_mask_is_worked_out_by_hand() -> None:
    # three of four cells are kept, so the third largest, 2, is the threshold
    expected = torch.tensor([[[[0.880797, 0.268941], [0.5, 0.731059]]]])  # sigmoid of 2, -1, 0, 1
    torch.testing.assert_close(cells(keep_mask(ACTIVATION, 0.75, SOFT)), expected)


def test_a_sharp_mask_is_nearly_hard() -> None:
    expected = torch.tensor([[[[1.0, 0.0], [0.5, 1.0]]]])
    torch.testing.assert_close(cells(keep_mask(ACTIVATION, 0.75, SHARP)), expected)


def test_a_hard_mask_erases_the_lowest() -> None:
    expected = torch.tensor([[[[1.0, 0.0], [1.0, 1.0]]]])
    torch.testing.assert_close(cells(hard_mask(ACTIVATION, 0.75)), expected)


def test_alpha_of_the_publication() -> None:
    assert (SOFT, SHARP) == (1.0, 100.0)


def test_a_cell_is_sixteen_pixels_wide() -> None:
    mask = hard_mask(ACTIVATION, 0.75)
    assert mask.shape == (1, 1, 32, 32)
    assert (mask[0, 0, :16, 16:] == 0).all()
    assert mask.sum() == 3 * 256


@given(
    rows=st.integers(1, 6),
    columns=st.integers(1, 6),
    keep=st.floats(0.05, 0.95),
    constant=st.booleans(),
)
def test_a_hard_mask_keeps_exactly_its_fraction(
    rows: int, columns: int, keep: float, constant: bool
) -> None:
    gray = torch.zeros(3, 1, rows * CELL_PX, columns * CELL_PX)
    activation = random_activation(gray, torch.Generator().manual_seed(rows))
    mask = hard_mask(activation * (not constant), keep)
    kept = max(1, round(keep * rows * columns))
    assert (mask.sum((1, 2, 3)) == kept * CELL_PX**2).all()


def test_each_slice_has_its_own_threshold() -> None:
    bright = torch.cat([ACTIVATION, ACTIVATION + 100])
    mask = keep_mask(bright, 0.75, SOFT)
    torch.testing.assert_close(mask[0], mask[1])


@pytest.mark.parametrize("encoder", ["resnet18", "mobilenet_v2"])
def test_the_coach_has_a_stride_of_sixteen(encoder: str) -> None:
    with torch.no_grad():
        opinion = Coach(encoder).eval()(torch.rand(2, 1, 64, 96))
    assert opinion.activation.shape == (2, 1, 4, 6)


def test_a_resnet_coach_has_no_max_pool() -> None:
    assert not [m for m in Coach("resnet18").modules() if isinstance(m, torch.nn.MaxPool2d)]


@pytest.fixture
def blank_coach() -> Coach:
    """A coach whose mean is 1 and whose variance is 1 everywhere."""
    coach = Coach("mobilenet_v2").eval()
    for layer, bias in ((coach.mean, 1.0), (coach.log_variance, 0.0)):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.constant_(layer.bias, bias)
    return coach


def test_the_divergence_is_worked_out_by_hand(blank_coach: Coach) -> None:
    # half of the squared mean, for each of 2 x 2 cells and 100 channels
    opinion = blank_coach(torch.rand(3, 1, 32, 32))
    assert opinion.divergence.item() == pytest.approx(0.5 * 4 * LATENT_WIDTH)


def test_its_opinion_is_a_sample_only_where_drawn(blank_coach: Coach) -> None:
    gray = torch.rand(1, 1, 32, 32)
    likely = [blank_coach(gray, draw=False).activation for _ in range(2)]
    assert likely[0].equal(likely[1])
    torch.manual_seed(1)
    drawn = [blank_coach(gray).activation for _ in range(2)]
    torch.manual_seed(1)
    again = blank_coach(gray).activation
    assert not drawn[0].equal(drawn[1])
    assert drawn[0].equal(again)

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from groundglass.errors import ConfigError
from groundglass.pretraining.alternation import Alternation, seed_all
from groundglass.pretraining.coach import SHARP, SOFT, Coach, Opinion, keep_mask
from groundglass.pretraining.config import PretrainConfig
from groundglass.pretraining.inpainting import contrast_of
from groundglass.pretraining.rounds import Turn

NETWORK = Turn(1, "network", 1, 0)
COACH = Turn(1, "coach", 1, 0)
RANDOM = Turn(0, "network", 1, 0)


class Painter:
    """A pretext whose network is one convolution; it remembers what it was shown."""

    def __init__(self) -> None:
        self.network = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.BatchNorm2d(1))
        self.shown: list[Tensor] = []

    def inpaint(self, masked: Tensor) -> Sequence[Tensor]:
        self.shown.append(masked.detach().clone())
        painted: Tensor = self.network(contrast_of(masked))
        return [painted]

    def targets(self, gray: Tensor) -> Sequence[Tensor]:
        return [contrast_of(gray)]

    def reset_outputs(self) -> None:
        pass


class FixedCoach(Coach):
    """A coach that thinks the same of every slice, until it learns."""

    def __init__(self, activation: Tensor) -> None:
        nn.Module.__init__(self)
        self.activation = nn.Parameter(activation)
        self.normalization = nn.BatchNorm2d(1)

    def forward(self, gray: Tensor, draw: bool = True) -> Opinion:  # noqa: ARG002
        self.normalization(gray)
        return Opinion(self.activation.expand(len(gray), -1, -1, -1), gray.new_zeros(()))


def batches(slices: Tensor, size: int = 2) -> DataLoader[Mapping[str, Tensor]]:
    return DataLoader([{"gray": gray} for gray in slices], batch_size=size)  # type: ignore[arg-type]


def config(**settings: Any) -> PretrainConfig:
    return PretrainConfig(system="any", batch_size=2, size_px=(32, 32), **settings)


def alternation(**settings: Any) -> Alternation:
    seed_all(3)
    activation = torch.tensor([[[[0.4, 0.1], [0.2, 0.3]]]])
    return Alternation(Painter(), FixedCoach(activation), config(**settings))


@pytest.mark.parametrize(("turn", "alpha"), [(COACH, SOFT), (NETWORK, SHARP)])
def test_masks_are_soft_while_the_coach_learns_and_sharp_while_the_network_does(
    turn: Turn, alpha: float
) -> None:
    pair = alternation()
    activation = pair.coach.activation.detach().clone()
    pair.begin(turn)
    pair.train_epoch(turn, 0, batches(torch.ones(2, 1, 32, 32)))
    (shown,) = pair.pretext.shown  # type: ignore[attr-defined]
    expected = 0.5 + 0.5 * keep_mask(activation, 0.75, alpha)
    torch.testing.assert_close(shown, expected.expand(2, -1, -1, -1))


@pytest.mark.parametrize("turn", [COACH, NETWORK, RANDOM])
def test_one_learns_while_the_other_stands_still(turn: Turn) -> None:
    pair = alternation()
    before = {
        name: {k: v.clone() for k, v in module.state_dict().items()}
        for name, module in (("network", pair.network), ("coach", pair.coach))
    }
    pair.begin(turn)
    pair.train_epoch(turn, 0, batches(torch.rand(4, 1, 32, 32)))
    changed = {
        name: any(not v.equal(before[name][k]) for k, v in module.state_dict().items())
        for name, module in (("network", pair.network), ("coach", pair.coach))
    }
    assert changed == {"network": turn.learner == "network", "coach": turn.learner == "coach"}


def test_both_losses_are_told_whoever_learns() -> None:
    pair = alternation()
    for turn in (RANDOM, COACH, NETWORK):
        pair.begin(turn)
        told = pair.train_epoch(turn, 0, batches(torch.rand(2, 1, 32, 32)))
        assert told["train/coach_loss"] == pytest.approx(1 - told["train/erased_error"])
        assert told["train/network_loss"] > 0


def test_a_loss_that_is_no_number_is_refused() -> None:
    pair = alternation()
    pair.begin(NETWORK)
    with pytest.raises(ConfigError, match="learning rate"):
        pair.train_epoch(NETWORK, 0, batches(torch.full((2, 1, 32, 32), torch.nan)))


def test_before_the_first_coach_only_random_masks_are_measured() -> None:
    difficulty = alternation().measure(RANDOM, batches(torch.rand(2, 1, 32, 32)))
    assert list(difficulty.metrics) == ["random_error"]


def test_masks_to_measure_by_are_the_same_each_time() -> None:
    pair, slices = alternation(), torch.rand(4, 1, 64, 64)
    assert pair.measure(RANDOM, batches(slices)) == pair.measure(RANDOM, batches(slices))


def test_a_state_of_other_networks_is_refused() -> None:
    pair = alternation()
    pair.begin(NETWORK)
    state = pair.state()
    state["coach"] = {"another": torch.zeros(1)}
    with pytest.raises(ConfigError, match="start a new one"):
        pair.restore(NETWORK, state)


def toy_slices() -> Tensor:
    """Flat gray with noise, which nobody can paint, in one of four quarters."""
    slices = torch.full((8, 1, 64, 64), 0.5)
    for index, gray in enumerate(slices[:, 0]):
        top, left = 32 * (index % 2), 32 * (index // 2 % 2)
        gray[top : top + 32, left : left + 32] = torch.rand(32, 32)
    return slices


def test_the_coach_finds_what_is_hard_to_paint() -> None:
    seed_all(0)
    painter = Painter()
    nn.init.zeros_(painter.network[0].weight)  # paints the gray of the flat quarters everywhere
    nn.init.zeros_(painter.network[0].bias)
    settings = PretrainConfig(
        system="any", batch_size=4, size_px=(64, 64), coach_learning_rate=0.05, rate_drops=()
    )
    pair = Alternation(painter, Coach("mobilenet_v2"), settings)
    turn = Turn(1, "coach", 24, 0)
    slices = toy_slices()
    pair.begin(turn)
    for epoch in range(turn.epochs):
        pair.train_epoch(turn, epoch, batches(slices, 4))
    difficulty = pair.measure(turn, batches(slices, 4))
    assert difficulty.metrics["harder"] > 2  # 4 where every erased cell lies in the noise
    noise = (slices != 0.5).float()
    erased = 1 - pair.likely_mask(slices)
    assert (erased * noise).sum() / erased.sum() > 0.5  # a quarter by chance

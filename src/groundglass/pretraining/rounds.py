"""Who learns when: first the network on random masks, then coach and network in turn."""

from dataclasses import dataclass
from typing import Literal

from groundglass.pretraining.config import PretrainConfig

Learner = Literal["network", "coach"]


@dataclass(frozen=True, slots=True)
class Turn:
    """A stretch of epochs in which one of the two learns and the other stands still.

    Attributes:
        round: 0 is the round of random masks.
        learner: Who learns.
        epochs: How long.
        first_epoch: Number of its first epoch in the whole pretraining.
    """

    round: int
    learner: Learner
    epochs: int
    first_epoch: int

    @property
    def random_masks(self) -> bool:
        """Whether masks are drawn at random, as there is no trained coach yet."""
        return self.round == 0

    def rate_factor(self, part_done: float, drops: tuple[float, ...]) -> float:
        """Factor of the learning rate: a tenth for every drop that is behind.

        Args:
            part_done: Part of the turn's steps that is done, 0 to 1.
            drops: Parts after which the rate falls.
        """
        return float(0.1 ** sum(part_done >= drop for drop in drops))


def turns_of(config: PretrainConfig) -> tuple[Turn, ...]:
    """The turns of a pretraining in their order."""
    turns = [Turn(0, "network", config.first_epochs, 0)]
    for number in range(1, config.rounds + 1):
        learners: tuple[tuple[Learner, int], ...] = (
            ("coach", config.coach_epochs),
            ("network", config.network_epochs),
        )
        for learner, epochs in learners:
            turns.append(Turn(number, learner, epochs, turns[-1].first_epoch + turns[-1].epochs))
    return tuple(turns)

import pytest

from groundglass.pretraining.config import PretrainConfig
from groundglass.pretraining.rounds import Turn, turns_of


def test_random_masks_come_first_then_coach_and_network_in_turn() -> None:
    config = PretrainConfig(
        system="any", first_epochs=5, rounds=2, coach_epochs=3, network_epochs=4
    )
    assert turns_of(config) == (
        Turn(0, "network", 5, 0),
        Turn(1, "coach", 3, 5),
        Turn(1, "network", 4, 8),
        Turn(2, "coach", 3, 12),
        Turn(2, "network", 4, 15),
    )


def test_only_the_first_round_has_random_masks() -> None:
    turns = turns_of(PretrainConfig(system="any", rounds=2))
    assert [turn.random_masks for turn in turns] == [True, False, False, False, False]


@pytest.mark.parametrize(("done", "factor"), [(0.0, 1.0), (0.49, 1.0), (0.5, 0.1), (0.9, 0.01)])
def test_the_rate_falls_to_a_tenth_at_each_drop(done: float, factor: float) -> None:
    turn = Turn(0, "network", 5, 0)
    assert turn.rate_factor(done, (0.5, 0.75)) == pytest.approx(factor)

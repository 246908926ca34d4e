import pytest
import torch
from torch import nn

from groundglass.systems.baseline_unet.training import Config
from groundglass.systems.card import home
from groundglass.training.config import RunConfig
from groundglass.training.optimizer import make_optimizer, make_schedule


def config(*overrides: str) -> RunConfig:
    return Config.load(home("baseline_unet") / "smoke.yaml", list(overrides))


def rates(config: RunConfig, steps: int) -> list[float]:
    """The rate of each step of a run."""
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = make_optimizer([parameter], config)
    schedule = make_schedule(optimizer, config, steps)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


@pytest.mark.parametrize(
    ("name", "kind"),
    [("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam), ("sgd", torch.optim.SGD)],
)
def test_the_optimizer_is_the_one_asked_for(name: str, kind: type) -> None:
    made = make_optimizer([nn.Parameter(torch.zeros(1))], config(f"optimizer={name}"))
    assert type(made) is kind
    assert made.defaults["weight_decay"] == config().weight_decay


def test_sgd_has_its_momentum() -> None:
    chosen = config("optimizer=sgd", "momentum=0.8", "learning_rate=0.1", "weight_decay=0")
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = make_optimizer([parameter], chosen)
    for _ in range(2):
        parameter.grad = torch.ones(1)
        optimizer.step()
    assert parameter.item() == pytest.approx(-0.1 - 0.1 * 1.8)


def test_the_cosine_rises_and_falls_to_a_hundredth() -> None:
    found = rates(config("learning_rate=1.0"), 200)
    assert found[0] == pytest.approx(0.05)
    assert max(found) == found[10] == pytest.approx(1.0)
    assert found[105] == pytest.approx(0.505, abs=0.01)
    assert found[-1] == pytest.approx(0.01, abs=0.001)


def test_steps_drop_every_so_many_epochs() -> None:
    chosen = config(
        "learning_rate=1.0", "schedule=step", "step_epochs=2", "step_factor=0.1", "epochs=5"
    )
    expected = [1.0] * 6 + [0.1] * 6 + [0.01] * 3
    assert rates(chosen, 15) == pytest.approx(expected)


def test_a_constant_rate_stays() -> None:
    assert rates(config("learning_rate=0.5", "schedule=constant"), 9) == [0.5] * 9


def test_a_cyclic_rate_climbs_and_falls_in_straight_lines() -> None:
    chosen = config(
        "learning_rate=1e-4", "schedule=cyclic", "cycle_epochs=2", "lowest_share=0.1", "epochs=5"
    )
    found = rates(chosen, 20)
    cycle = [1e-5 + 9e-5 * share for share in (0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25)]
    assert found == pytest.approx([*cycle, *cycle, *cycle[:4]])

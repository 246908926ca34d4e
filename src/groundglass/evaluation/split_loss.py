"""The loss of a run on a split, as its training would compute it, without augmentation."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from groundglass.data.cohort import Case
from groundglass.systems.card import read_card
from groundglass.weights import load_weights

if TYPE_CHECKING:  # a shipped system is measured without what trains
    from groundglass.training.module import SystemModule


def split_loss(run: Path, cases: Sequence[Case], device: str = "cpu") -> float | None:
    """Mean loss over the cases whose truth is known; ``None`` without any, or for no run.

    Batches are as large as in training. A loss that pools over the batch, such as Dice, depends
    on that size. What a loss draws at random, such as the regions it looks at, is seeded by the
    run's seed and the batch, and the caller's generator stays as it is.

    Args:
        run: Folder of the run.
        cases: Cases of the split.
        device: Where the network runs.
    """
    if not (run / "config.yaml").is_file():
        return None
    card = read_card(run / "card.yaml")
    assert card.weights is not None
    parts = import_module(f"groundglass.systems.{card.name}.training")
    config = parts.Config.load(run / "config.yaml", [])
    cases = parts.Module.with_truth(config, cases)
    if not cases:
        return None
    forked = [device] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices=forked):
        network = parts.build_network(config)
        load_weights(network, run / card.weights.file, card.weights.sha256)
        patients = [case.patient for case in cases]
        module = parts.Module(network, config, patients).to(device).eval()
        return round(_mean_loss(module, module.val_data(config, cases), device), 4)


@torch.inference_mode()
def _mean_loss(module: "SystemModule", data: DataLoader[Any], device: str) -> float:
    total, count = 0.0, 0
    for number, batch in enumerate(data):
        drawn = np.random.SeedSequence((module.config.seed, number)).generate_state(1)
        torch.manual_seed(int(drawn[0]))
        batch = {key: value.to(device) for key, value in batch.items()}  # noqa: PLW2901
        size = len(batch["case"])
        total += size * float(module.losses(batch)["loss"])
        count += size
    return total / count

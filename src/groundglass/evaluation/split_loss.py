"""The loss of a run on a split, as its training would compute it, without augmentation."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import torch

from groundglass.data.cohort import Case
from groundglass.systems.card import read_card
from groundglass.weights import load_weights


def split_loss(run: Path, cases: Sequence[Case], device: str = "cpu") -> float | None:
    """Mean loss over the cases whose truth is known; ``None`` without any, or for no run.

    Batches are as large as in training. A loss that pools over the batch, such as Dice, depends
    on that size.

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
    network = parts.build_network(config)
    load_weights(network, run / card.weights.file, card.weights.sha256)
    module = parts.Module(network, config, [case.patient for case in cases]).to(device).eval()
    total, count = 0.0, 0
    with torch.inference_mode():
        for batch in module.val_data(config, cases):
            batch = {key: value.to(device) for key, value in batch.items()}  # noqa: PLW2901
            size = len(batch["case"])
            total += size * float(module.losses(batch)["loss"])
            count += size
    return round(total / count, 4)

"""Runs that started from one network, averaged to one again (Wortsman et al. 2022)."""

import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from groundglass.data.cohort import Cohort
from groundglass.errors import ConfigError, OutputError
from groundglass.systems.card import Card, read_card
from groundglass.training.config import RunConfig
from groundglass.training.fit import without_encoder_weights
from groundglass.training.keep import keep_network
from groundglass.training.run import Run, replace_bytes, replace_text
from groundglass.weights import load_weights


def average_runs(runs: Sequence[Run], folder: Path) -> Run:
    """Make a run whose weights are the mean of those of others, as fast as one of them.

    The runs have to start from one network, and may differ by seed and by how they learned:
    weights that started apart stand for different things in the same place, and their mean for
    none (Wortsman et al. 2022, arXiv:2203.05482, uniform soup). Statistics of normalization layers
    are averaged like weights.

    Args:
        runs: Finished runs, two at least; the new one has the settings of the first.
        folder: Folder of the new run.

    Raises:
        ConfigError: If the runs did not start from the same weights, all of them, or differ in
            their network or cases.
        OutputError: If the folder exists.
        WeightsError: If weights are missing or were changed.
    """
    if folder.exists():
        raise OutputError(f"found '{folder.name}', expected a new folder; name another")
    if len(runs) < 2:
        raise ConfigError(f"found {len(runs)} run, expected two at least; name more")
    cards = [_card(run) for run in runs]
    parts = import_module(f"groundglass.systems.{cards[0].name}.training")
    configs = [_config(run, card, cards[0].name) for run, card in zip(runs, cards, strict=True)]
    _refuse_differences(runs, configs)
    digests = tuple(config.digest() for config in configs)
    config = configs[0].model_copy(update={"mean_of": digests})
    cohort = Cohort.read([runs[0].cohort])
    patients = [case.patient for case in cohort.cases if case.split == "val"]
    module = parts.Module.start(without_encoder_weights(config), patients)
    states = []
    for run, card in zip(runs, cards, strict=True):
        assert card.weights is not None
        load_weights(module.network, run.weights, card.weights.sha256)
        states.append({name: value.clone() for name, value in module.network.state_dict().items()})
    module.network.load_state_dict({name: _mean([s[name] for s in states]) for name in states[0]})
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as beside:
        made = Run(Path(beside) / folder.name)
        made.folder.mkdir()
        made.take_cases(runs[0])
        replace_bytes(made.start_weights, runs[0].start_weights.read_bytes())
        replace_text(made.config, config.dump())
        keep_network(made, config, module, cohort)
        made.folder.rename(folder)
    return Run(folder)


def _mean(values: list[Tensor]) -> Tensor:
    if not values[0].is_floating_point():  # counts of steps
        return values[0]
    return torch.stack([value.double() for value in values]).mean(dim=0).to(values[0].dtype)


def _card(run: Run) -> Card:
    if not run.card.is_file():
        raise ConfigError(
            f"found no card in '{run.folder.name}', expected a finished run; resume it first"
        )
    return read_card(run.card)


def _config(run: Run, card: Card, system: str) -> RunConfig:
    if card.name != system:
        raise ConfigError(
            f"found a run of '{card.name}' in '{run.folder.name}', expected one of {system} as the "
            "first is; leave it out"
        )
    parts = import_module(f"groundglass.systems.{system}.training")
    config: RunConfig = parts.Config.load(run.config, [])
    if config.start_weights is None or not run.start_weights.is_file():
        raise ConfigError(
            f"found no start weights in '{run.folder.name}', expected runs that started from the "
            "same network, as the mean of others is none; train them with start_weights"
        )
    taken = json.loads(run.start_weights.read_text(encoding="utf-8"))
    if random := [*taken["other_shape"], *taken["only_in_network"]]:
        raise ConfigError(
            f"found {len(random)} weights in '{run.folder.name}' that start_weights did not give "
            f"('{random[0]}'), expected none, as they began at random; average runs that start "
            "from a whole network"
        )
    return config


def _refuse_differences(runs: Sequence[Run], configs: Sequence[RunConfig]) -> None:
    digests = [config.digest() for config in configs]
    shapes = [_shape(config) for config in configs]
    for number, run in enumerate(runs[1:], start=1):
        if digests[number] in digests[:number]:
            same = runs[digests.index(digests[number])].folder.name
            raise ConfigError(
                f"found the settings of '{same}' in '{run.folder.name}' as well, seed included, "
                "expected each once; leave it out"
            )
        for key, value in shapes[number].items():
            if value != shapes[0].get(key):
                raise ConfigError(
                    f"found {key}={value} in '{run.folder.name}' and {shapes[0].get(key)} in "
                    f"'{runs[0].folder.name}', expected the same; leave it out"
                )
        if run.cohort.read_bytes() != runs[0].cohort.read_bytes():
            raise ConfigError(
                f"found other cases in '{run.folder.name}' than in '{runs[0].folder.name}', "
                "expected the same; leave it out"
            )


def _shape(config: RunConfig) -> dict[str, Any]:
    """What runs that are averaged have in common: network, input and start."""
    common = {"size_px": config.size_px, "start_weights": config.start_weights}
    return {**config.network_settings(), **common}

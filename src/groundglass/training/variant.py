"""A run with the weights of another and other settings, for settings that act only in use."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from shutil import copyfile

from groundglass.systems.card import read_card, write_card
from groundglass.training.run import Run, replace_text
from groundglass.weights import load_weights


def make_variant(run: Run, folder: Path, overrides: Sequence[str]) -> Run:
    """Copy weights, cases, settings and card of a finished run, with some settings changed.

    Args:
        run: The finished run.
        folder: Folder of the new one.
        overrides: Settings that differ, as ``key=value``.

    Raises:
        ConfigError: If a setting is wrong.
        WeightsError: If the weights do not fit the network that the settings make.
    """
    card = read_card(run.card)
    assert card.weights is not None
    parts = import_module(f"groundglass.systems.{card.name}.training")
    config = parts.Config.load(run.config, list(overrides))
    load_weights(parts.build_network(config), run.weights, card.weights.sha256)
    made = Run(folder)
    folder.mkdir(parents=True, exist_ok=True)
    copyfile(run.weights, made.weights)
    made.take_cases(run)
    weights = card.weights.model_copy(update={"config": config.digest()})
    before = parts.Config.load(run.config, []).network_settings()
    changed = {k: v for k, v in config.network_settings().items() if before.get(k) != v}
    changes = {
        "network": {**card.network, **changed},  # the rest may have been settled after training
        "lesion_threshold": config.lesion_threshold,
        "weights": weights,
    }
    write_card(card.model_copy(update=changes), made.card)
    replace_text(made.config, config.dump())
    return made

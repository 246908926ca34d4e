"""Runs of single stages joined to one pipeline: one card, one file of weights."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from safetensors.torch import load_file, save

from groundglass.errors import ConfigError, OutputError
from groundglass.systems.card import Card, Weights, read_card, write_card
from groundglass.systems.specialized_streams.network import (
    STAGES,
    Stage,
    build_stages,
    size_of_stage,
)
from groundglass.systems.specialized_streams.training import describe_stages
from groundglass.weights import load_weights

NAME = "specialized_streams"
_FILE = "weights.safetensors"


def join_runs(runs: Sequence[Path], folder: Path) -> Card:
    """Put the stages of several runs into one folder that is a system.

    Args:
        runs: Folders of runs, one for each stage; two at least.
        folder: New folder.

    Returns:
        The card of the pipeline.

    Raises:
        ConfigError: If a run is of another system, two hold the same stage, or the first stage
            never saw a CT.
        WeightsError: If weights are missing or were changed.
        OutputError: If the folder exists.
    """
    if folder.exists():
        raise OutputError(f"found '{folder.name}', expected a new folder; name another")
    cards = [read_card(run / "card.yaml") for run in runs]
    _refuse_strangers(runs, cards)
    weights = [_checked(run, card) for run, card in zip(runs, cards, strict=True)]
    settings = {name: value for card in cards for name, value in card.network.items()}
    if settings.get("recognition_modalities") == "radiograph":
        raise ConfigError(
            "found a recognition stage that learned from radiographs alone, expected one that "
            "knows CT, which the other stages look at; use it by itself"
        )
    stages = build_stages(settings).stages
    content = save({n: v for run in weights for n, v in load_file(run).items()})
    parts = [card.weights for card in cards if card.weights is not None]
    first = next((card for card in cards if "streams_labels" in card.network), cards[0])
    sizes: Stage = "streams" if "streams" in stages else stages[0]
    card = first.model_copy(
        update={
            "network": settings,
            "size_px": size_of_stage(settings, sizes),
            "metrics": {},
            "weights": Weights(
                file=_FILE,
                sha256=sha256(content).hexdigest(),
                parameters_m=round(sum(part.parameters_m for part in parts), 2),
                license=" / ".join(dict.fromkeys(part.license for part in parts)),
                trained_on="; ".join(part.trained_on for part in parts),
                seed=parts[0].seed,
                config="+".join(part.config for part in parts),
            ),
        }
    )
    card = describe_stages(card, stages)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as beside:
        made = Path(beside) / "joined"
        made.mkdir()
        (made / _FILE).write_bytes(content)
        write_card(card, made / "card.yaml")
        made.rename(folder)
    return card


def _checked(run: Path, card: Card) -> Path:
    """The weights of a run, known to be those of its card."""
    if card.weights is None:
        raise ConfigError(f"found no weights on the card of '{run.name}', expected a finished run")
    file = run / card.weights.file
    load_weights(build_stages(card.network), file, card.weights.sha256)
    return file


def _refuse_strangers(runs: Sequence[Path], cards: Sequence[Card]) -> None:
    held: dict[Stage, str] = {}
    for run, card in zip(runs, cards, strict=True):
        if card.name != NAME:
            raise ConfigError(
                f"found a run of '{card.name}' in '{run.name}', expected one of {NAME}; "
                "leave it out"
            )
        for stage in STAGES:
            if not any(name.startswith(f"{stage}_") for name in card.network):
                continue
            if stage in held:
                raise ConfigError(
                    f"found stage '{stage}' in '{held[stage]}' and in '{run.name}', expected it "
                    "once; leave one of them out"
                )
            held[stage] = run.name

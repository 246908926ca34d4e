"""The card of a system: what it is, what it sees, how good it is, under which license."""

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from groundglass.errors import ConfigError, UnknownNameError

AnswerKind = Literal["segment", "detect", "classify", "lungs"]
"""What a system can be asked for: lesion masks, boxes of lesions, classes of the scan, lungs."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Weights(_Part):
    """Shipped weights.

    Attributes:
        file: Safetensors file beside the card.
        sha256: Its checksum.
        parameters_m: Parameters in millions.
        license: Terms of use, which follow the training data.
        trained_on: Training data with their splits, in words.
        seed: Seed of the run.
        config: Digest of the run's config.
    """

    file: str
    sha256: str
    parameters_m: float
    license: str
    trained_on: str
    seed: int
    config: str


class Card(_Part):
    """Facts about a system.

    Attributes:
        name: Folder name.
        title: Title of the publication, or what the system is.
        doi: Publication; ``None`` for what has none.
        answers: What it does.
        modality: What it looks at.
        labels: Label names it can give.
        network: Settings that rebuild the network.
        size_px: (row, column) of the input.
        lesion_threshold: Probability above which a pixel is lesion.
        metrics: Measured results by ``cohort/split/structure/metric``, as in ``BENCHMARKS.md``.
        deviations: Where it differs from the publication.
        weights: Shipped weights, if any.
    """

    name: str
    title: str
    doi: str | None = None
    answers: tuple[AnswerKind, ...]
    modality: Literal["ct", "radiograph", "both"] = "ct"
    labels: tuple[str, ...]
    network: dict[str, str | int | float | list[int] | list[float] | list[str]]
    size_px: tuple[int, int]
    lesion_threshold: float = 0.5
    metrics: dict[str, float] = {}
    deviations: tuple[str, ...] = ()
    weights: Weights | None = None

    @property
    def facts(self) -> dict[str, str]:
        """What a result says of the system beside its name."""
        return {
            "system_title": self.title,
            "system_doi": self.doi or "",
            "trained_on": self.weights.trained_on if self.weights else "",
        }


def read_card(path: Path) -> Card:
    """Card from a YAML file.

    Raises:
        ConfigError: If there is none, or a field of it is wrong.
    """
    if not path.is_file():
        raise ConfigError(f"found no card '{path.name}' in '{path.parent.name}', expected one")
    try:
        return Card.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"found a wrong card '{path.parent.name}/{path.name}', {field}: {first['msg']}; "
            "correct it"
        ) from None


def write_card(card: Card, path: Path) -> None:
    """Write a card that :func:`read_card` reads back."""
    settings = card.model_dump(mode="json", exclude_none=True)
    path.write_text(yaml.safe_dump(settings, sort_keys=False, width=100), encoding="utf-8")


@cache
def load_card(name: str) -> Card:
    """Card of a system by name, without loading its network.

    Raises:
        UnknownNameError: If there is no such system.
    """
    from groundglass.systems import SYSTEMS

    if name not in SYSTEMS:
        raise UnknownNameError.of("system", name, SYSTEMS)
    return read_card(home(name) / "card.yaml")


def home(name: str) -> Path:
    """Folder of a system inside the package."""
    return Path(str(files(f"groundglass.systems.{name}")))


def find_recipe(name: str, recipe: Path) -> Path:
    """A recipe of a system: a file, or one of those beside its card by the bare name.

    Args:
        name: Name of the system.
        recipe: Path; a file that is there goes before one of that name beside the card.

    Raises:
        ConfigError: If there is neither.
        UnknownNameError: If there is no such system.
    """
    load_card(name)
    beside = home(name) / recipe.name
    if recipe.is_file():
        return recipe
    if str(recipe) == recipe.name != "card.yaml" and beside.is_file():
        return beside
    known = {file.name for file in home(name).glob("*.yaml")} - {"card.yaml"}
    raise ConfigError(
        f"found no '{recipe.name}', expected settings in YAML: a file, or one of "
        f"{', '.join(sorted(known))} of '{name}'; check the name"
    )

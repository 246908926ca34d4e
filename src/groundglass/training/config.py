"""What a training run is made of; a typo in it is an error with the field's name."""

import hashlib
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from groundglass.data.augment import AugmentConfig
from groundglass.errors import ConfigError

NetworkSetting = str | int | float | list[int]


class RunConfig(BaseModel):
    """Settings that every system's training shares; systems add theirs by subclass.

    Attributes:
        system: Name of the system.
        seed: Seed of weights, draws and augmentation.
        epochs: Passes of ``draws_per_epoch`` slices.
        draws_per_epoch: Slices drawn in one epoch.
        batch_size: Slices per step.
        size_px: (row, column) of the network's input.
        learning_rate: Peak of AdamW's rate; a linear rise over the first twentieth, then a cosine.
        weight_decay: AdamW's weight decay.
        gradient_norm: Largest norm of a step's gradient.
        average_decay: Decay of the running average of the weights that is kept.
        healthy_weight: How much more often a slice known to be free of lesions is drawn.
        precision: Lightning's precision.
        threads: CPU threads of a training process.
        augment: How training slices vary.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    system: str
    seed: int = 0
    epochs: int = 30
    draws_per_epoch: int = 900
    batch_size: int = 8
    size_px: tuple[int, int] = (256, 352)
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    gradient_norm: float = 1.0
    average_decay: float = 0.995
    healthy_weight: float = 4.0
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    threads: int = 2
    augment: AugmentConfig = AugmentConfig()

    @classmethod
    def load(cls, recipe: Path, overrides: list[str]) -> Self:
        """Config from a recipe and ``key=value`` overrides such as ``augment.noise=0.1``.

        Raises:
            ConfigError: If a key does not exist or a value does not fit.
        """
        settings: dict[str, Any] = yaml.safe_load(recipe.read_text(encoding="utf-8")) or {}
        for override in overrides:
            key, equals, value = override.partition("=")
            if not equals:
                raise ConfigError(f"found '{override}', expected key=value; write the '='")
            place = settings
            *parents, last = key.split(".")
            for parent in parents:
                place = place.setdefault(parent, {})
            place[last] = yaml.safe_load(value)
        try:
            return cls.model_validate(settings)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise ConfigError(
                f"found a wrong setting {field}: {first['msg']}; "
                f"known settings: {', '.join(cls.model_fields)}"
            ) from None

    def network_settings(self) -> dict[str, NetworkSetting]:
        """The settings that rebuild the network, for the run's card; systems say which."""
        raise NotImplementedError

    def dump(self) -> str:
        """The config as YAML, every setting written out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)

    def digest(self) -> str:
        """Short hash that tells configs apart."""
        return hashlib.sha256(self.dump().encode()).hexdigest()[:12]

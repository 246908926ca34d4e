"""Settings as a YAML recipe with overrides; a typo in it is an error with the field's name."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from groundglass.errors import ConfigError


def as_yaml(settings: dict[str, Any]) -> str:
    """Settings as YAML, in their own order."""
    return yaml.safe_dump(settings, sort_keys=False)


class Settings(BaseModel):
    """Base of settings that are read from a recipe and kept beside what they made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def load(cls, recipe: Path, overrides: Sequence[str]) -> Self:
        """Settings from a recipe and ``key=value`` overrides such as ``augment.noise=0.1``.

        Raises:
            ConfigError: If there is no recipe, a key does not exist or a value does not fit.
        """
        if not recipe.is_file():
            raise ConfigError(f"found no '{recipe.name}', expected settings in YAML; name another")
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

    def dump(self) -> str:
        """The settings as YAML, every one written out."""
        return as_yaml(self.model_dump(mode="json"))

    def digest(self) -> str:
        """Short hash that tells settings apart."""
        return hashlib.sha256(self.dump().encode()).hexdigest()[:12]

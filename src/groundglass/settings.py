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


def read_settings(recipe: Path) -> dict[str, Any]:
    """Settings of a YAML file, as they stand there.

    Raises:
        ConfigError: If it is no YAML, or holds something else than names with values.
    """
    try:
        settings = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"found '{recipe.name}' unreadable as YAML ({_first_line(error)}), expected lines "
            "such as 'epochs: 30' in UTF-8; correct it"
        ) from None
    if not isinstance(settings, dict | None):
        raise ConfigError(
            f"found a {type(settings).__name__} in '{recipe.name}', expected settings, each with "
            "its name, such as 'epochs: 30'; correct it"
        )
    return settings or {}


def split_override(override: str) -> tuple[str, Any]:
    """Name and value of a setting that is written ``key=value``, the value in YAML.

    Raises:
        ConfigError: If it is written in another way.
    """
    key, equals, value = override.partition("=")
    if not equals:
        raise ConfigError(f"found '{override}', expected key=value; write the '='")
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(
            f"found '{override}' with a value that is no YAML ({_first_line(error)}), expected one "
            "such as 3, true or [224, 288]; correct it"
        ) from None


def _set(settings: dict[str, Any], override: str) -> None:
    """Put a setting in its place, ``augment.noise`` into those of ``augment``."""
    key, value = split_override(override)
    *parents, last = key.split(".")
    for parent in parents:
        settings = settings.setdefault(parent, {})
        if not isinstance(settings, dict):
            raise ConfigError(
                f"found '{override}', expected no name after '{parent}', which is a single value; "
                f"set {parent}=VALUE"
            )
    settings[last] = value


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


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
        settings = read_settings(recipe)
        for override in overrides:
            _set(settings, override)
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

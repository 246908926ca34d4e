"""Trained weights: found beside their card, verified by checksum, never a pickle."""

import hashlib
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from groundglass.errors import WeightsError


def sha256_of(path: Path) -> str:
    """Checksum of a file.

    Raises:
        WeightsError: If there is no such file.
    """
    if not path.is_file():
        raise WeightsError(
            f"found no weights '{path.name}' in '{path.parent.name}', expected a safetensors file; "
            "reinstall groundglass or train the system"
        )
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_weights(network: nn.Module, path: Path, sha256: str) -> None:
    """Load weights into a network after checking them.

    Args:
        network: Changed in place; its numeric type is kept.
        path: Safetensors file.
        sha256: Checksum it must have.

    Raises:
        WeightsError: If the file is missing, was changed, or belongs to another network.
    """
    found = sha256_of(path)
    if found != sha256:
        raise WeightsError(
            f"found weights '{path.name}' with sha256 {found[:12]}, expected {sha256[:12]}; "
            "the file was changed: restore it"
        )
    state = {
        name: value.to(torch.float32) if value.is_floating_point() else value
        for name, value in load_file(path).items()
    }
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(
            f"found weights '{path.name}' of another network "
            f"({str(error).splitlines()[-1][:120]}); take the weights that belong to this config"
        ) from None

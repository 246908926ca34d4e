"""Start from the weights of another run: what fits is taken, the rest is said."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from groundglass.errors import WeightsError
from groundglass.training.config import NetworkPart
from groundglass.training.run import replace_text
from groundglass.weights import sha256_of


@dataclass(frozen=True, slots=True)
class StartWeights:
    """What a network took from a weights file, by names of its parameters and buffers.

    Attributes:
        file: Name of the file.
        sha256: Its checksum.
        taken: Loaded.
        other_shape: In both, but of another shape; left as the network had them.
        only_in_network: Left as the network had them.
        only_in_file: Not used.
    """

    file: str
    sha256: str
    taken: list[str]
    other_shape: list[str]
    only_in_network: list[str]
    only_in_file: list[str]

    def summary(self) -> str:
        """How much was taken, in one line."""
        left = len(self.other_shape) + len(self.only_in_network)
        return f"took {len(self.taken)} start weights from {self.file}; {left} stay as they were"

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        replace_text(path, json.dumps(asdict(self), indent=2) + "\n")


State = dict[str, torch.Tensor]


def take_start_weights(
    network: nn.Module,
    path: Path,
    rename: Callable[[State], State] | None = None,
    whole: NetworkPart | None = None,
) -> StartWeights:
    """Load what fits by name and shape from an earlier run or a pretraining.

    Args:
        network: Changed in place; its numeric type is kept.
        path: Safetensors file.
        rename: Takes the weights of the file to the names of the network.
        whole: The part of the network that the file must give, every weight of it.

    Returns:
        What was taken and what was not.

    Raises:
        WeightsError: If the file is missing or damaged, no parameter of the network fits, or the
            part that must be whole is not.
    """
    sha256 = sha256_of(path)
    try:
        stored = load_file(path)
    except SafetensorError as error:
        raise WeightsError(
            f"found '{path.name}' unreadable ({error}), expected a safetensors file; "
            "take weights.safetensors of a run"
        ) from None
    if rename is not None:
        stored = rename(stored)
    own = network.state_dict()
    shared = [name for name in own if name in stored]
    taken = [name for name in shared if stored[name].shape == own[name].shape]
    if not set(taken) & {name for name, _ in network.named_parameters()}:
        raise WeightsError(
            f"found no parameter in '{path.name}' that fits the network by name and shape "
            f"(the file has {_first(stored)}, the network {_first(own)}); take weights of a run "
            "whose network shares parts with this one"
        )
    if whole is not None:
        _refuse_parts_left([name for name in own if name not in set(taken)], whole, path)
    with torch.no_grad():
        for name in taken:
            own[name].copy_(stored[name])
    return StartWeights(
        path.name,
        sha256,
        taken,
        other_shape=[name for name in shared if name not in set(taken)],
        only_in_network=[name for name in own if name not in stored],
        only_in_file=[name for name in stored if name not in own],
    )


def _refuse_parts_left(left: list[str], whole: NetworkPart, path: Path) -> None:
    random = [name for name in left if name.startswith(whole.prefix)]
    if random:
        raise WeightsError(
            f"found '{path.name}' without {len(random)} weights of {whole.title}, such as "
            f"'{random[0]}' in the shape of the network, expected all of them, as they would be "
            "random; take those of a run that trained it with the same settings of the network"
        )


def _first(state: dict[str, torch.Tensor]) -> str:
    names = sorted(state)
    return f"'{names[0]}'" if names else "nothing"

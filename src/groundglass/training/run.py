"""A run: the folder that holds everything one training made and needs to be repeated."""

import hashlib
import json
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from groundglass.version import __version__


@dataclass(frozen=True, slots=True)
class Run:
    """The folder of a training run.

    Attributes:
        folder: Holds ``config.yaml``, ``environment.json``, ``cohort.csv``, ``logs/``,
            ``card.yaml``, ``weights.safetensors`` and ``checkpoints/``.
    """

    folder: Path

    @property
    def config(self) -> Path:
        """Every setting of the run."""
        return self.folder / "config.yaml"

    @property
    def weights(self) -> Path:
        """The trained weights."""
        return self.folder / "weights.safetensors"

    @property
    def start_weights(self) -> Path:
        """What was taken from the weights that the run started from, if it did."""
        return self.folder / "start_weights.json"

    @property
    def last_checkpoint(self) -> Path:
        """Where an interrupted training goes on."""
        return self.folder / "checkpoints" / "last.ckpt"

    @property
    def best_checkpoint(self) -> Path:
        """The epoch that was best on the validation split."""
        return self.folder / "checkpoints" / "best.ckpt"

    def write_environment(self) -> None:
        """Note versions and machine, for whoever repeats the run."""
        names = ("torch", "torchvision", "lightning", "segmentation-models-pytorch", "numpy")
        facts = {
            "groundglass": __version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "system": platform.system(),
            "threads": torch.get_num_threads(),
            "libraries": {name: version(name) for name in names},
        }
        (self.folder / "environment.json").write_text(json.dumps(facts, indent=2) + "\n")


def save_weights(network: nn.Module, path: Path, half: bool = True) -> str:
    """Write the weights of a network as safetensors, in half precision unless told otherwise.

    Returns:
        The file's sha256.
    """
    state = {
        name: (value.half() if half and value.is_floating_point() else value).contiguous().cpu()
        for name, value in network.state_dict().items()
    }
    save_file(state, path)
    return hashlib.sha256(path.read_bytes()).hexdigest()

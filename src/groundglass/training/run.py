"""A run: the folder that holds everything one training made and needs to be repeated."""

import hashlib
import json
import os
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Self

import torch
from safetensors.torch import save
from torch import nn

from groundglass.errors import ConfigError, WeightsError
from groundglass.settings import read_settings
from groundglass.version import __version__

_LIBRARIES = (
    *("torch", "torchvision", "lightning", "segmentation-models-pytorch", "timm", "numpy"),
    *("opencv-python-headless", "safetensors"),
)


@dataclass(frozen=True, slots=True)
class Run:
    """The folder of a training run.

    Attributes:
        folder: Holds ``config.yaml``, ``cohort.csv``, ``cohort.sha256``, ``cohort_check.json``,
            ``environment.json``, ``metrics.csv``, ``checkpoints/``; once finished
            ``weights.safetensors``, ``card.yaml`` and ``throughput.json``; where asked for
            ``start_weights.json`` and ``tensorboard/``.
    """

    folder: Path

    @property
    def config(self) -> Path:
        """Every setting of the run; where it is there, the run has begun."""
        return self.folder / "config.yaml"

    @property
    def cohort(self) -> Path:
        """The cases of the run."""
        return self.folder / "cohort.csv"

    @property
    def checksums(self) -> Path:
        """Checksums of the cases' files, as ``sha256sum --check`` reads them."""
        return self.folder / "cohort.sha256"

    @property
    def cohort_check(self) -> Path:
        """What the splits of the cohort share."""
        return self.folder / "cohort_check.json"

    @property
    def metrics(self) -> Path:
        """A row of metrics for each epoch."""
        return self.folder / "metrics.csv"

    @property
    def weights(self) -> Path:
        """The trained weights."""
        return self.folder / "weights.safetensors"

    @property
    def card(self) -> Path:
        """What makes the run loadable as a system."""
        return self.folder / "card.yaml"

    @property
    def start_weights(self) -> Path:
        """What was taken from the weights that the run started from, if it did."""
        return self.folder / "start_weights.json"

    @property
    def throughput(self) -> Path:
        """Speed and memory of the training; where it is there, the run is finished."""
        return self.folder / "throughput.json"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.folder / "checkpoints"

    @property
    def last_checkpoint(self) -> Path:
        """Where an interrupted training goes on."""
        return self.checkpoints / "last.ckpt"

    @property
    def best_checkpoint(self) -> Path:
        """The epoch that was best on the validation split."""
        return self.checkpoints / "best.ckpt"

    def before(self) -> Self | None:
        """The run whose weights this one started from, there or not; ``None`` if it did from none.

        A relative path, as runs noted it at first, is looked for from the folders above the run,
        so that the answer is the same wherever one stands.
        """
        start = read_settings(self.config).get("start_weights") if self.config.is_file() else None
        if not start:
            return None
        there = [type(self)((above / start).parent) for above in self.folder.resolve().parents]
        return next((run for run in there if run.config.is_file()), there[-1])

    def add_environment(self, **machine: str | int) -> None:
        """Note versions, machine and command for whoever repeats the run; one entry a start.

        Args:
            machine: Further facts, such as device and precision.
        """
        path = self.folder / "environment.json"
        starts = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
        facts = {
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": shlex.join(sys.argv),
            "groundglass": __version__,
            "source_sha256": _source_sha256(),
            "python": platform.python_version(),
            "platform": platform.platform(),
            **machine,
            "libraries": {name: version(name) for name in _LIBRARIES},
        }
        replace_text(path, json.dumps([*starts, facts], indent=2) + "\n")

    def processes(self) -> int | None:
        """How many processes share the training, as noted at its start; ``None`` if not known."""
        path = self.folder / "environment.json"
        starts = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
        return starts[0].get("processes") if starts else None

    def read_checksums(self) -> dict[Path, str]:
        """Checksum of each file of the cohort as noted; empty where they are not."""
        if not self.checksums.is_file():
            return {}
        lines = self.checksums.read_text(encoding="utf-8").splitlines()
        parted = (line.partition("  ") for line in lines)
        return {Path(path): digest for digest, _, path in parted}

    def write_checksums(self, files: Sequence[Path]) -> None:
        """Note the checksum of each file of the cohort."""
        lines = [f"{digest}  {path}\n" for path, digest in _checksums(files).items()]
        replace_text(self.checksums, "".join(lines))

    def take_cases(self, other: "Run") -> None:
        """Copy the cases of another run, with the checksums of their files as far as known."""
        for known, copy in ((other.cohort, self.cohort), (other.checksums, self.checksums)):
            if known.is_file():
                replace_bytes(copy, known.read_bytes())

    def refuse_changed_files(self, files: Sequence[Path]) -> None:
        """Make sure that the files of the cohort are still those that the run began with.

        Raises:
            ConfigError: If one is not.
        """
        if not self.checksums.is_file():  # begun before groundglass noted them
            return
        known = self.read_checksums()
        changed = [path for path, digest in _checksums(files).items() if known.get(path) != digest]
        if changed:
            raise ConfigError(
                f"found '{changed[0].name}' changed since the run began ({len(changed)} such "
                "files), expected the same files; restore them, or start a new run"
            )


def replace_text(path: Path, text: str) -> None:
    """Write a text file, all or nothing: a kill leaves the old one or the new one."""
    replace_bytes(path, text.encode())


def replace_bytes(path: Path, content: bytes) -> None:
    """Write a file, all or nothing."""
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def save_weights(network: nn.Module, path: Path, half: bool = True) -> str:
    """Write the weights of a network as safetensors, in half precision unless told otherwise.

    Returns:
        The file's sha256.

    Raises:
        WeightsError: If one is not a finite number, or too large for half precision.
    """
    state = {
        name: (value.half() if half and value.is_floating_point() else value).contiguous().cpu()
        for name, value in network.state_dict().items()
    }
    for name, value in state.items():
        if value.is_floating_point() and not value.isfinite().all():
            largest = network.state_dict()[name].abs().max().item()
            raise WeightsError(
                f"found weights '{name}' up to {largest:g}, expected finite numbers"
                f"{f' of at most {torch.finfo(value.dtype).max:g}' if half else ''}, as the "
                "training has diverged; start a new run with a lower learning_rate or more "
                "weight_decay"
            )
    content = save(state)
    replace_bytes(path, content)
    return hashlib.sha256(content).hexdigest()


def _checksums(files: Sequence[Path]) -> Mapping[Path, str]:
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _source_sha256() -> str:
    """Checksum of the package's Python files: the version tells releases apart, this any change."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()

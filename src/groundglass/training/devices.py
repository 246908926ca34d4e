"""Where a training runs and in which precision, by its settings and what the machine has."""

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from groundglass.errors import ConfigError
from groundglass.training.config import Precision

_CPU_BF16_FLAGS = {"avx512_bf16", "amx_bf16"}


@dataclass(frozen=True, slots=True)
class Devices:
    """Processors that share a training.

    Attributes:
        kind: ``cpu`` or ``cuda``.
        indices: One number for each process: the GPU it runs on, or its place among those on the
            CPU.
    """

    kind: Literal["cpu", "cuda"]
    indices: tuple[int, ...]

    @classmethod
    def find(cls, name: str) -> "Devices":
        """Devices by name.

        Args:
            name: ``auto`` (a GPU if there is one), ``cpu``, ``cpu:2`` (two processes), ``cuda``,
                ``cuda:1`` or ``cuda:0,1``.

        Raises:
            ConfigError: If the name means nothing, or the machine has no such GPU.
        """
        if name == "auto":
            name = "cuda" if torch.cuda.is_available() else "cpu"
        parts = re.fullmatch(r"(cpu|cuda)(?::(\d+(?:,\d+)*))?", name)
        if parts is None or (parts[1] == "cpu" and re.fullmatch(r"0*|.*,.*", parts[2] or "1")):
            raise ConfigError(
                f"found devices '{name}', expected auto, cpu, cpu:2, cuda, cuda:1 or cuda:0,1"
            )
        if parts[1] == "cpu":
            return cls("cpu", tuple(range(int(parts[2] or 1))))
        indices = tuple(dict.fromkeys(int(index) for index in (parts[2] or "0").split(",")))
        there = torch.cuda.device_count()
        if max(indices) >= there:
            raise ConfigError(
                f"found {there} usable GPUs, expected '{name}'; name others, or train on cpu"
            )
        return cls("cuda", indices)

    @property
    def name(self) -> str:
        """Model of the processor, as its maker calls it."""
        if self.kind == "cuda":
            return str(torch.cuda.get_device_name(self.indices[0]))
        return cpu_name()

    def precision(self, wanted: Precision | Literal["auto"]) -> Precision:
        """The wanted precision; for ``auto`` bfloat16 where the hardware has it, else float32."""
        if wanted != "auto":
            return wanted
        if self.kind == "cuda":
            has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            has_bf16 = bool(_CPU_BF16_FLAGS & set(_cpu_fact("flags").split()))
        return "bf16-mixed" if has_bf16 else "32-true"


def cpu_name() -> str:
    """Model of the CPU, as its maker calls it."""
    return _cpu_fact("model name") or platform.processor() or platform.machine()


def usable_cores() -> int:
    """CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu_fact(name: str) -> str:
    """What Linux says about the first CPU; nothing on other systems."""
    facts = Path("/proc/cpuinfo")
    if not facts.is_file():
        return ""
    found = re.search(rf"^{name}\s*: (.*)$", facts.read_text(), re.MULTILINE)
    return found[1] if found else ""

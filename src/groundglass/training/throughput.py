"""``throughput.json``: how fast a training was, and how much memory it took."""

import json
import resource
import sys
from statistics import median
from time import perf_counter
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer

from groundglass.training.config import RunConfig
from groundglass.training.devices import Devices, usable_cores


class Throughput(Callback):
    """Measures each epoch; what it measured is part of the checkpoint.

    Args:
        config: Settings of the run.
        devices: Where it runs.
    """

    def __init__(self, config: RunConfig, devices: Devices) -> None:
        self.config = config
        self.devices = devices
        self.images_per_second: list[float] = []
        self.seconds = 0.0
        self.peak_memory_gb = 0.0
        self._epoch_start = self._steps_end = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Start the clock."""
        self._epoch_start = perf_counter()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """The steps of the epoch are done, its validation follows."""
        self._steps_end = self._now()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Note the speed of the epoch's steps, and the time with its validation."""
        end = self._now()
        steps_end = self._steps_end if self._steps_end > self._epoch_start else end
        images = trainer.num_training_batches * self.config.batch_size * trainer.world_size
        self.images_per_second.append(images / (steps_end - self._epoch_start))
        self.seconds += end - self._epoch_start
        self.peak_memory_gb = max(self.peak_memory_gb, peak_memory_gb(self.devices))

    def state_dict(self) -> dict[str, Any]:
        """What was measured so far."""
        return {
            "images_per_second": self.images_per_second,
            "seconds": self.seconds,
            "peak_memory_gb": self.peak_memory_gb,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """What was measured up to a checkpoint."""
        self.images_per_second = list(state_dict["images_per_second"])
        self.seconds = state_dict["seconds"]
        self.peak_memory_gb = state_dict["peak_memory_gb"]

    def summary(self) -> str:
        """The measurements as JSON.

        ``images_per_second`` is the median of the epochs' training steps, data loading included,
        without the first epoch where there are more; ``seconds`` the epochs that count, with their
        validation; ``peak_memory_gb`` resident memory, or on a GPU its own, in 10^9 bytes.
        """
        facts = {
            "images_per_second": round(
                median(self.images_per_second[1:] or self.images_per_second), 2
            ),
            "peak_memory_gb": round(self.peak_memory_gb, 2),
            "seconds": round(self.seconds, 1),
            "epochs": len(self.images_per_second),
            "device": self.devices.name,
            "processes": len(self.devices.indices),
            "cores": usable_cores(),
            "threads": self.config.threads,
            "precision": self.config.precision,
            "size_px": self.config.size_px,
            "batch_size": self.config.batch_size,
        }
        return json.dumps(facts, indent=2) + "\n"

    def _now(self) -> float:
        if self.devices.kind == "cuda":
            torch.cuda.synchronize()  # steps run on after they were asked for
        return perf_counter()


def peak_memory_gb(devices: Devices) -> float:
    """Largest memory of this process so far, in 10^9 bytes: on the GPU, or resident."""
    if devices.kind == "cuda":
        return float(torch.cuda.max_memory_allocated()) / 1e9
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e9

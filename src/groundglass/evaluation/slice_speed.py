"""How long the network of a system takes for a slice, and how many it does a second in batches."""

import multiprocessing
import platform
import resource
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from statistics import median
from time import perf_counter

import cv2
import numpy as np
import torch
from torch import Tensor

from groundglass.data.phantom import make_phantom
from groundglass.evaluation.result import Result
from groundglass.intensity import window_hu
from groundglass.systems.card import home
from groundglass.systems.system import find_card
from groundglass.training.devices import cpu_name
from groundglass.version import __version__
from groundglass.weights import load_weights

_PHANTOM = (36, 512, 512)
_LEAST_ROUNDS, _LEAST_SECONDS = 3, 4.0


class SliceSpeed(Result):
    """Times and memory of one network on CPU, reading and framing of slices not counted.

    Attributes:
        version: Version of groundglass.
        date: Day of the measurement.
        machine: Model of the CPU.
        threads: CPU threads it used.
        system: Name of the system, or folder of a run.
        title: What was built, in words.
        recipe: Recipe, and settings that differ from it.
        weights_sha256: Checksum of the weights; empty for random ones.
        parameters_m: Parameters in millions.
        size_px: (row, column) of the slices.
        ms_per_slice: Median time of a slice by itself, in milliseconds.
        batch: Slices of a batch.
        slices_per_second: Slices a second in batches, by their median time.
        peak_memory_gb: Largest resident memory of the process, in 10^9 bytes.
    """

    version: str
    date: str
    machine: str
    threads: int
    system: str
    title: str
    recipe: str
    weights_sha256: str
    parameters_m: float
    size_px: tuple[int, int]
    ms_per_slice: float
    batch: int
    slices_per_second: float
    peak_memory_gb: float


def measure_slice_speed(  # noqa: PLR0913 - one argument for each choice of the user
    system: str,
    title: str,
    *,
    recipe: str = "recipe.yaml",
    settings: Sequence[str] = (),
    size_px: tuple[int, int] = (512, 512),
    batch: int = 4,
    threads: int = 1,
) -> SliceSpeed:
    """Time a network on slices of a phantom, in a process of its own.

    Args:
        system: Name of a system, whose recipe is built with random weights, or folder of a run.
            Networks that detect find as much with random weights as they may.
        title: What is built, in words.
        recipe: Recipe beside the system's card; not used for a run.
        settings: Settings that differ from it, as ``key=value``.
        size_px: (row, column) of the slices.
        batch: Slices of a batch.
        threads: CPU threads.
    """
    measure = partial(_measure, system, title, recipe, tuple(settings), size_px, batch, threads)
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh) as process:
        return process.submit(measure).result()


def _measure(  # noqa: PLR0913, PLR0917 - those of measure_slice_speed
    system: str,
    title: str,
    recipe: str,
    settings: tuple[str, ...],
    size_px: tuple[int, int],
    batch: int,
    threads: int,
) -> SliceSpeed:
    torch.set_num_threads(threads)
    card, folder = find_card(system)
    run = folder / "config.yaml"
    parts = import_module(f"groundglass.systems.{card.name}.training")
    file = run if run.is_file() else home(card.name) / recipe
    config = parts.Config.load(file, settings)
    network = parts.build_network(config)
    sha256 = ""
    if run.is_file() and card.weights is not None:
        sha256 = card.weights.sha256
        load_weights(network, folder / card.weights.file, sha256)
    module = parts.Module(network, config, []).eval()
    slices = _slices(batch, size_px)
    with torch.inference_mode():
        one = _seconds(lambda: module.answer(slices[:1]))
        some = _seconds(lambda: module.answer(slices))
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return SliceSpeed(
        version=__version__,
        date=datetime.now(UTC).date().isoformat(),
        machine=f"{cpu_name()}, {platform.machine()}",
        threads=threads,
        system=Path(system).name,
        title=title,
        recipe=" ".join(["the run's" if run.is_file() else recipe, *settings]),
        weights_sha256=sha256,
        parameters_m=round(sum(p.numel() for p in network.parameters()) / 1e6, 2),
        size_px=size_px,
        ms_per_slice=round(1000 * one, 1),
        batch=batch,
        slices_per_second=round(batch / some, 2),
        peak_memory_gb=round(peak_kb * 1024 / 1e9, 2),
    )


def _slices(count: int, size_px: tuple[int, int]) -> Tensor:
    """Slices of a phantom with lesions, (slice, 1, row, column) from 0 to 1."""
    phantom = make_phantom(0, shape=_PHANTOM)
    area = [int(np.count_nonzero(lesion)) for lesion in phantom.lesions.slices]
    shown = np.argsort(area)[::-1][np.arange(count) % len(area)]
    rows, columns = size_px
    gray = [window_hu(phantom.scan.slices[k]) for k in shown]
    sized = [cv2.resize(one, (columns, rows), interpolation=cv2.INTER_AREA) for one in gray]
    return torch.from_numpy(np.stack(sized)[:, None])


def _seconds(act: Callable[[], object]) -> float:
    """Median time of an act, the first not counted."""
    act()
    times: list[float] = []
    while len(times) < _LEAST_ROUNDS or sum(times) < _LEAST_SECONDS:
        start = perf_counter()
        act()
        times.append(perf_counter() - start)
    return median(times)

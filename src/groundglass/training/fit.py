"""The training loop of a run: Lightning, put together by the settings."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import lightning
import torch
from lightning import Callback
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import EMAWeightAveraging
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.data import DataLoader

from groundglass.data.cohort import Cohort
from groundglass.data.splits import some_patients
from groundglass.errors import ConfigError
from groundglass.training.checkpoints import (
    StopWithoutProgress,
    WholeCheckpoints,
    keep_checkpoints,
)
from groundglass.training.config import RunConfig
from groundglass.training.devices import Devices, cpu_name, usable_cores
from groundglass.training.epoch_table import EpochTable
from groundglass.training.module import SystemModule
from groundglass.training.run import Run
from groundglass.training.start_weights import StartWeights, take_start_weights
from groundglass.training.throughput import Throughput
from groundglass.training.watcher import TellWatcher, Watcher


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a training needs before it begins.

    Attributes:
        module: The network with its start weights.
        train: Batches to learn from.
        val: Batches to judge an epoch by; ``None`` without a validation split.
        taken: What the network took from start weights, if it was to.
    """

    module: SystemModule
    train: DataLoader[Any]
    val: DataLoader[Any] | None
    taken: StartWeights | None


def prepare(run: Run, config: RunConfig, cohort: Cohort, parts: Any) -> Prepared:
    """Build all that can be wrong with settings and cases, before anything is written.

    Args:
        run: Its folder; where a checkpoint is in it, no start weights are read.
        config: Settings of the run.
        cohort: Its cases.
        parts: Module with the system's ``Module``.

    Raises:
        ConfigError: If a setting is wrong.
        CohortError: If no case is known well enough to learn from.
        WeightsError: If start weights do not fit.
    """
    torch.set_num_threads(config.threads)
    lightning.seed_everything(config.seed, verbose=False)
    train_cases = some_patients(cohort.split("train"), config.patients_share, config.seed)
    val_cases = tuple(case for case in cohort.cases if case.split == "val")
    resumed = run.last_checkpoint.is_file()
    built = without_encoder_weights(config) if resumed else config
    val = parts.Module.val_data(config, val_cases) if val_cases else None
    judged = getattr(getattr(val, "dataset", None), "cases", val_cases)  # some may be left out
    module: SystemModule = parts.Module.start(built, [case.patient for case in judged])
    _refuse_size(config.size_px, getattr(module.network, "side_step_px", 1))
    module.config = config
    if module.memory_format is not None:
        module = module.to(memory_format=module.memory_format)
    taken = None
    if config.start_weights is not None and not resumed:
        taken = take_start_weights(
            module.network, config.start_weights, module.fit_start_weights, config.stands_on()
        )
    module.freeze_the_rest()
    return Prepared(
        module,
        module.train_data(config, train_cases),
        val,
        taken,
    )


def without_encoder_weights(config: RunConfig) -> RunConfig:
    """Settings that build the same network without its start weights, which may be a download."""
    if "encoder_weights" not in type(config).model_fields:
        return config
    return config.model_copy(update={"encoder_weights": "none"})


def _refuse_size(size_px: tuple[int, int], step_px: int) -> None:
    """Refuse an input that the network cannot halve as often as it does."""
    if any(side < 1 or side % step_px for side in size_px):
        raise ConfigError(
            f"found size_px={list(size_px)}, expected rows and columns that are multiples of "
            f"{step_px}, as the network halves them; take the nearest"
        )


def fit(run: Run, config: RunConfig, prepared: Prepared, watcher: Watcher) -> Throughput:
    """Train from the start, or from the last checkpoint where there is one.

    Args:
        run: A folder that has begun.
        config: Settings of the run.
        prepared: What :func:`prepare` made of them; the module learns.
        watcher: Told how it goes.

    Returns:
        What was measured.

    Raises:
        ConfigError: If no epoch has the metric to monitor, or the loss grows beyond all numbers.
    """
    resumed = run.last_checkpoint.is_file()
    devices = Devices.find(config.devices)
    throughput = Throughput(config, devices)
    watching = [throughput, TellWatcher(watcher, config.epochs, config.monitor)]
    with _without_chatter():
        trainer = _trainer(run, config, devices, watching)
        if trainer.is_global_zero:  # of several processes one writes
            if prepared.taken is not None:
                prepared.taken.write(run.start_weights)
                watcher.line(prepared.taken.summary())
            _note_environment(run, config, devices)
        try:
            trainer.fit(
                prepared.module,
                prepared.train,
                prepared.val,
                ckpt_path=run.last_checkpoint if resumed else None,
            )
        except MisconfigurationException as error:
            raise ConfigError(
                f"found a setting that the training cannot follow: {error}; correct it"
            ) from error
        except SystemExit:  # what Lightning makes of Ctrl-C
            if trainer.interrupted:
                raise KeyboardInterrupt from None
            raise
    return throughput


def _trainer(
    run: Run, config: RunConfig, devices: Devices, watching: list[Callback]
) -> lightning.Trainer:
    callbacks: list[Callback] = [
        *watching,
        EMAWeightAveraging(decay=config.average_decay),
        EpochTable(run.metrics),
        *keep_checkpoints(run, config),
    ]
    if config.patience is not None:
        callbacks.append(StopWithoutProgress(config, config.patience))
    tensorboard = TensorBoardLogger(run.folder, name="tensorboard", version="")
    on_gpu = devices.kind == "cuda"
    return lightning.Trainer(
        accelerator=devices.kind,
        devices=list(devices.indices) if on_gpu else len(devices.indices),
        # a stage may leave parts of its network out
        strategy="ddp_find_unused_parameters_true" if len(devices.indices) > 1 else "auto",
        max_epochs=config.epochs,
        precision=devices.precision(config.precision),
        deterministic="warn" if on_gpu else True,  # a GPU has no such way for every operation
        logger=tensorboard if config.logger == "tensorboard" else False,
        callbacks=callbacks,
        plugins=[WholeCheckpoints()],
        use_distributed_sampler=False,  # draws are shared by EpochSampler, seeded as they are
        num_sanity_val_steps=0,
        enable_model_summary=False,
        enable_progress_bar=False,
        log_every_n_steps=1,
    )


def _note_environment(run: Run, config: RunConfig, devices: Devices) -> None:
    run.add_environment(
        cpu=cpu_name(),
        cores=usable_cores(),
        device=devices.name,
        processes=len(devices.indices),
        threads=config.threads,
        precision=config.precision,
    )


@contextmanager
def _without_chatter() -> Iterator[None]:
    """Keep Lightning from telling on the screen what it found and did."""
    loggers = [logging.getLogger(f"lightning.{part}") for part in ("pytorch", "fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")
            warnings.filterwarnings("ignore", "Found .* in eval mode")  # a part that stays as it is
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)

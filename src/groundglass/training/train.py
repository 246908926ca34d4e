"""Train a system on a cohort: one function for all of them, resumable at any moment."""

import logging
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.rank_zero import rank_zero_only

from groundglass.data.cohort import Cohort, Split, files_of, write_cohort
from groundglass.data.leaks import check_cohort
from groundglass.errors import ConfigError, UnknownNameError
from groundglass.systems import SYSTEMS
from groundglass.systems.card import find_recipe
from groundglass.training.config import RunConfig
from groundglass.training.devices import Devices
from groundglass.training.fit import fit, prepare
from groundglass.training.keep import keep_network
from groundglass.training.run import Run, replace_text
from groundglass.training.seen import Learned
from groundglass.training.watcher import Watcher

_log = logging.getLogger(__name__)

CHANGE_NOTHING = ("devices", "threads", "workers", "logger")
"""Settings that a resumed run may have differently; ``devices`` in kind, not in number."""


def that_change_nothing(overrides: Sequence[str]) -> list[str]:
    """Those of some ``key=value`` that a resumed run may have differently."""
    return [setting for setting in overrides if setting.partition("=")[0] in CHANGE_NOTHING]


def train(  # noqa: PLR0913 - one argument for each thing that a run is made of
    system: str,
    tables: Sequence[Path],
    folder: Path,
    *,
    recipe: Path | None = None,
    overrides: Sequence[str] = (),
    resume: bool = False,
    watcher: Watcher | None = None,
) -> Run:
    """Train a system; the best epoch on the validation split is kept, or the last one.

    Args:
        system: Name of the system.
        tables: Cohort tables; a resumed run has its own, and refuses others.
        folder: Folder of the run, new unless resumed.
        recipe: YAML with settings, or the name of one beside the system's card; ``recipe.yaml`` of
            these if not given.
        overrides: Settings that differ, as ``key=value``.
        resume: Go on with an interrupted run, with its own settings; it ends as if it had never
            been interrupted. One that is finished stays as it is.
        watcher: Told how it goes.

    Returns:
        The finished run.

    Raises:
        ConfigError: If a setting is wrong or missing, or the folder holds a run and ``resume`` is
            not set.
        CohortError: If a table is wrong, or no case is known well enough to learn from.
        WeightsError: If start weights do not fit.
    """
    if system not in SYSTEMS:
        raise UnknownNameError.of("system", system, SYSTEMS)
    parts = import_module(f"groundglass.systems.{system}.training")
    run, watcher = Run(folder), watcher or Watcher()
    if resume:
        config, cohort = _read_begun(run, parts, tables, recipe, overrides)
        if run.throughput.is_file():
            watcher.line("the run is finished")
            return run
        _refuse_other_processes(run, config)
    else:
        _refuse_begun(run)
        chosen = find_recipe(system, recipe or Path("recipe.yaml"))
        config = parts.Config.load(chosen, list(overrides))
        config = config.model_copy(
            update={
                "precision": Devices.find(config.devices).precision(config.precision),
                "start_weights": config.start_weights and config.start_weights.resolve(),
            }
        )
        _refuse_missing_start(config)
        cohort = Cohort.read(tables)
    if config.system != system:
        raise ConfigError(
            f"found settings of '{config.system}', expected those of '{system}'; name that system"
        )
    _refuse_untrained(config)
    _refuse_missing_splits(cohort, config)
    _refuse_empty_epochs(config)
    prepared = prepare(run, config, cohort, parts)
    if not resume and _is_first_process():
        _begin(run, config, cohort, watcher)
    throughput = fit(run, config, prepared, watcher)
    if _is_first_process():
        kept = run.best_checkpoint if config.keep == "best" else run.last_checkpoint
        checkpoint = torch.load(kept, map_location="cpu", weights_only=True)
        prepared.module.load_state_dict(checkpoint["state_dict"])
        keep_network(run, config, prepared.module, cohort)
        replace_text(run.throughput, throughput.summary())
    return run


def _refuse_begun(run: Run) -> None:
    if run.config.exists() and _is_first_process():  # the others come when it has begun
        raise ConfigError(
            f"found a run in '{run.folder.name}', expected a new folder; resume it or name another"
        )


def _begin(run: Run, config: RunConfig, cohort: Cohort, watcher: Watcher) -> None:
    """Make the folder; the config comes last and says that all is there."""
    check = check_cohort(cohort.cases, known_sound=True)
    run.folder.mkdir(parents=True, exist_ok=True)
    write_cohort(cohort.cases, run.cohort)
    run.write_checksums(files_of(cohort.cases))
    for warning in (*check.warnings(), *_seen_before(run, config, cohort)):
        _log.warning(warning)
        watcher.line(warning)
    replace_text(run.cohort_check, check.model_dump_json(indent=2) + "\n")
    replace_text(run.config, config.dump())


def _seen_before(run: Run, config: RunConfig, cohort: Cohort) -> list[str]:
    """One line for each split to judge by that the start weights come from."""
    if config.start_weights is None:
        return []
    learned, checksums = Learned.of(config.start_weights.parent), run.read_checksums()
    lines = []
    splits: tuple[Split, ...] = ("val", "test")
    for split in splits:
        cases = [case for case in cohort.cases if case.split == split]
        lines += learned.warnings(cases, split, "the run that start_weights come from", checksums)
    return lines


def _read_begun(
    run: Run, parts: Any, tables: Sequence[Path], recipe: Path | None, overrides: Sequence[str]
) -> tuple[RunConfig, Cohort]:
    """Settings and cases of a run that was interrupted.

    Raises:
        ConfigError: If there is no run, or it would not be the same run any more.
    """
    if not run.config.is_file():
        raise ConfigError(
            f"found no run in '{run.folder.name}', expected one to resume; start it anew"
        )
    changed = [o for o in overrides if o not in that_change_nothing(overrides)]
    if recipe is not None or changed:
        raise ConfigError(
            f"found {'a recipe' if recipe else changed[0]} for a run that has begun, expected at "
            f"most {', '.join(CHANGE_NOTHING)} to differ; start a new run"
        )
    cohort = Cohort.read([run.cohort])
    if tables and Cohort.read(tables).cases != cohort.cases:
        raise ConfigError(
            "found other cases than those that the run began with, expected the same; resume "
            "without a table, or start a new run"
        )
    run.refuse_changed_files(files_of(cohort.cases))
    return parts.Config.load(run.config, list(overrides)), cohort


def _refuse_untrained(config: RunConfig) -> None:
    if config.mean_of:
        raise ConfigError(
            f"found mean_of={list(config.mean_of)} in a training, expected none, as it "
            "says that nothing was trained; leave it out, and use average-runs for such a run"
        )


def _refuse_missing_splits(cohort: Cohort, config: RunConfig) -> None:
    cohort.split("train")
    if config.keep == "best":
        cohort.split("val")
    judged = config.patience is not None and config.monitor.startswith("val/")
    if judged and not any(case.split == "val" for case in cohort.cases):
        raise ConfigError(
            f"found patience={config.patience} with monitor={config.monitor} and no case in split "
            "'val', expected some, as no epoch would be judged; add some, or set patience=null"
        )


def _refuse_missing_start(config: RunConfig) -> None:
    part = config.stands_on()
    if part and config.start_weights is None:
        raise ConfigError(
            f"found no start weights in a stage that stands on {part.title}, expected those of a "
            "run that trained it, as it would be random; "
            "set start_weights=RUN/weights.safetensors"
        )


def _refuse_empty_epochs(config: RunConfig) -> None:
    processes = len(Devices.find(config.devices).indices)
    if config.draws_per_epoch < config.batch_size * processes:
        raise ConfigError(
            f"found draws_per_epoch={config.draws_per_epoch}, expected at least batch_size for "
            f"each process, {config.batch_size} x {processes}, as an epoch would have no step; "
            "set more draws or smaller batches"
        )


def _refuse_other_processes(run: Run, config: RunConfig) -> None:
    begun, now = run.processes(), len(Devices.find(config.devices).indices)
    if begun is not None and begun != now:
        raise ConfigError(
            f"found devices={config.devices} for a run that began with {begun} processes, expected "
            "as many, since they share the draws of an epoch; name as many devices, of any kind, "
            "or start a new run"
        )


def _is_first_process() -> bool:
    """Whether this process writes; of several that train together, one does."""
    return getattr(rank_zero_only, "rank", 0) == 0

"""Pretrain a system on the slices of a cohort, no label read; resumable after every epoch."""

import json
from collections.abc import Sequence
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch

from groundglass.data.cohort import Cohort, write_cohort
from groundglass.errors import ConfigError, UnknownNameError
from groundglass.pretraining.alternation import Alternation
from groundglass.pretraining.config import PretrainConfig
from groundglass.pretraining.course import FACTS, Course, start_alternation
from groundglass.pretraining.rounds import turns_of
from groundglass.systems.card import find_recipe
from groundglass.training.run import Run, replace_text
from groundglass.training.watcher import Watcher


def pretrain(  # noqa: PLR0913 - one argument for each thing that a run is made of
    system: str,
    tables: Sequence[Path],
    folder: Path,
    *,
    recipe: Path | None = None,
    overrides: Sequence[str] = (),
    resume: bool = False,
    watcher: Watcher | None = None,
) -> Run:
    """Pretrain a system's network by coach-guided inpainting.

    Args:
        system: Name of a system that has a pretext task.
        tables: Cohort tables. Slices of the training split are learned from, those of the
            validation split judge; without one the first do both. Test slices are not looked at.
        folder: Folder of the run, new unless resumed.
        recipe: YAML with settings, or the name of one beside the system's card; ``pretrain.yaml``
            of these if not given.
        overrides: Settings that differ, as ``key=value``.
        resume: Go on with an interrupted run, with its own settings and cases; it ends as if it had
            never been interrupted.
        watcher: Told how it goes.

    Returns:
        The finished run. Its ``weights.safetensors`` is for ``start_weights`` of a training: output
        layers are random, all else has learned. It has no card, since it answers nothing yet;
        ``pretraining.json`` says what it is.

    Raises:
        ConfigError: If a setting is wrong, or the folder holds a run and ``resume`` is not set.
        CohortError: If a table is wrong.
        UnknownNameError: If there is no such system, or it has no pretext task.
    """
    parts = _parts_of(system)
    run = Run(folder)
    if resume:
        config, cohort = _read_begun(run, parts, tables, recipe, overrides)
    else:
        _refuse_begun(run)
        chosen = find_recipe(system, recipe or Path("pretrain.yaml"))
        config, cohort = parts.Config.load(chosen, overrides), Cohort.read(tables)
        if start := getattr(config, "start_weights", None):
            config = config.model_copy(update={"start_weights": start.resolve()})
        cohort.split("train")
    torch.set_num_threads(config.threads)
    course = Course(run, config, cohort, parts)
    if not resume:
        _begin(run, config, cohort)
    run.add_environment(threads=config.threads, precision=config.precision)
    course.finish(watcher or Watcher())
    return run


def read_facts(run: Run) -> dict[str, Any]:
    """What a finished pretraining says of itself.

    Raises:
        ConfigError: If there is no finished pretraining, or its checkpoint is gone.
    """
    facts = run.folder / FACTS
    if not facts.is_file() or not run.last_checkpoint.is_file():
        raise ConfigError(
            f"found no {FACTS} with checkpoints/last.ckpt in '{run.folder.name}', expected a "
            "finished pretraining; name the folder of one"
        )
    found: dict[str, Any] = json.loads(facts.read_text(encoding="utf-8"))
    return found


def load_pretraining(run: Run) -> Alternation:
    """Network, with the output layers that paint, and coach as a finished pretraining left them.

    Raises:
        ConfigError: If there is no finished pretraining, or its checkpoint is gone.
    """
    parts = _parts_of(read_facts(run)["system"])
    config: PretrainConfig = parts.Config.load(run.config, [])
    pair = start_alternation(run, config, parts)
    kept = torch.load(run.last_checkpoint, map_location=pair.device, weights_only=True)
    pair.restore(turns_of(config)[-1], kept["state"])
    pair.network.eval()
    pair.coach.eval()
    return pair


def _parts_of(system: str) -> Any:
    systems = Path(str(files("groundglass.systems")))
    known = [path.parent.name for path in systems.glob("*/pretext.py")]
    if system not in known:
        raise UnknownNameError.of("system to pretrain", system, known)
    return import_module(f"groundglass.systems.{system}.pretext")


def _refuse_begun(run: Run) -> None:
    if run.config.exists():
        raise ConfigError(
            f"found a run in '{run.folder.name}', expected a new folder; resume it or name another"
        )


def _begin(run: Run, config: PretrainConfig, cohort: Cohort) -> None:
    """Make the folder; the config comes last and says that all is there."""
    run.folder.mkdir(parents=True, exist_ok=True)
    write_cohort(cohort.cases, run.cohort)
    run.write_checksums(_images(cohort))
    replace_text(run.config, config.dump())


def _read_begun(
    run: Run, parts: Any, tables: Sequence[Path], recipe: Path | None, overrides: Sequence[str]
) -> tuple[PretrainConfig, Cohort]:
    """Settings and cases of a run that was interrupted."""
    if not run.config.is_file():
        raise ConfigError(
            f"found no run in '{run.folder.name}', expected one to resume; start it anew"
        )
    if recipe is not None or overrides:
        raise ConfigError(
            f"found {'a recipe' if recipe else overrides[0]} for a run that has begun, expected "
            "none, as it goes on with its own settings; leave them out, or start a new run"
        )
    cohort = Cohort.read([run.cohort])
    if tables and Cohort.read(tables).cases != cohort.cases:
        raise ConfigError(
            "found other cases than those that the run began with, expected the same; resume "
            "without a table, or start a new run"
        )
    run.refuse_changed_files(_images(cohort))
    config: PretrainConfig = parts.Config.load(run.config, [])
    return config, cohort


def _images(cohort: Cohort) -> list[Path]:
    return [case.image for case in cohort.cases if case.image.is_file()]

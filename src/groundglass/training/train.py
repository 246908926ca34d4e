"""Train a system on a cohort: one function for all of them, resumable at any moment."""

from collections.abc import Sequence
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger

from groundglass.data.cohort import Cohort, write_cohort
from groundglass.errors import ConfigError, UnknownNameError
from groundglass.systems import SYSTEMS
from groundglass.systems.card import Weights, load_card, write_card
from groundglass.training.config import RunConfig
from groundglass.training.module import SystemModule
from groundglass.training.run import Run, save_weights
from groundglass.training.start_weights import take_start_weights


def train(
    system: str,
    tables: Sequence[Path],
    folder: Path,
    *,
    recipe: Path | None = None,
    overrides: Sequence[str] = (),
    resume: bool = False,
) -> Run:
    """Train a system; the best epoch on the validation split is kept.

    Args:
        system: Name of the system.
        tables: Cohort tables.
        folder: Folder of the run, new unless resumed.
        recipe: YAML with settings; the system's own ``recipe.yaml`` if not given.
        overrides: Settings that differ, as ``key=value``.
        resume: Go on from the last epoch of an interrupted run, with its own settings.

    Returns:
        The finished run.

    Raises:
        ConfigError: If a setting is wrong, or the folder holds a run and ``resume`` is not set.
        CohortError: If a table is wrong.
    """
    if system not in SYSTEMS:
        raise UnknownNameError.of("system", system, SYSTEMS)
    parts = import_module(f"groundglass.systems.{system}.training")
    run = Run(folder)
    if resume:
        config = parts.Config.load(run.config, [])
    else:
        recipe = recipe or Path(str(files(f"groundglass.systems.{system}"))) / "recipe.yaml"
        config = parts.Config.load(recipe, list(overrides))
        _start_folder(run, config)
    cohort = Cohort.read(tables)
    write_cohort(cohort.cases, folder / "cohort.csv")
    _fit(run, config, cohort, parts)
    return run


def _start_folder(run: Run, config: RunConfig) -> None:
    if run.config.exists():
        raise ConfigError(
            f"found a run in '{run.folder.name}', expected a new folder; resume it or name another"
        )
    run.folder.mkdir(parents=True, exist_ok=True)
    run.config.write_text(config.dump(), encoding="utf-8")


def _fit(run: Run, config: RunConfig, cohort: Cohort, parts: Any) -> None:
    torch.set_num_threads(config.threads)
    lightning.seed_everything(config.seed, verbose=False)
    train_cases = cohort.split("train")
    validated = config.keep == "best" or any(case.split == "val" for case in cohort.cases)
    val_cases = cohort.split("val") if validated else ()
    module: SystemModule = parts.Module.start(config, [case.patient for case in val_cases])
    module = module.to(memory_format=torch.channels_last)
    run.write_environment()
    resumed = run.last_checkpoint.is_file()
    if config.start_weights is not None and not resumed:
        take_start_weights(module.network, config.start_weights).write(run.start_weights)
    best = ModelCheckpoint(
        dirpath=run.best_checkpoint.parent,
        filename="best",
        monitor=config.monitor if config.keep == "best" else None,
        mode=config.monitor_mode,
        save_last=True,
        enable_version_counter=False,
    )
    trainer = lightning.Trainer(
        max_epochs=config.epochs,
        precision=config.precision,
        deterministic=True,
        logger=CSVLogger(run.folder, name="logs"),
        callbacks=[
            best,
            EMAWeightAveraging(decay=config.average_decay),
            TQDMProgressBar(refresh_rate=20),
        ],
        num_sanity_val_steps=0,
        enable_model_summary=False,
        log_every_n_steps=1,
    )
    trainer.fit(
        module,
        module.train_data(config, train_cases),
        module.val_data(config, val_cases) if validated else None,
        ckpt_path=run.last_checkpoint if resumed else None,
    )
    keep_weights(run, config, module)


def keep_weights(run: Run, config: RunConfig, module: SystemModule) -> None:
    """Write weights and card of the epoch to keep so far; usable while the training still runs."""
    kept = run.best_checkpoint if config.keep == "best" else run.last_checkpoint
    checkpoint = torch.load(kept, map_location="cpu", weights_only=True)
    module.load_state_dict(checkpoint["state_dict"])
    weights = Weights(
        file=run.weights.name,
        sha256=save_weights(module.network, run.weights),
        parameters_m=round(sum(p.numel() for p in module.network.parameters()) / 1e6, 2),
        license="as the training data allow",
        trained_on=f"{run.folder.name}/cohort.csv",
        seed=config.seed,
        config=config.digest(),
    )
    card = load_card(config.system).model_copy(
        update={
            "network": config.network_settings(),
            "size_px": config.size_px,
            "metrics": {},
            "weights": weights,
        }
    )
    write_card(card, run.folder / "card.yaml")

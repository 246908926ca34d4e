"""Learn from unlabeled slices too: label a few, train on them as well, label the next few.

Semi-supervised Inf-Net: Fan et al. 2020, doi:10.1109/TMI.2020.2996645, section III-F, algorithm 1.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from groundglass.data.cohort import Case, Cohort, write_cohort
from groundglass.errors import CohortError, ConfigError
from groundglass.labels import Lesion
from groundglass.systems import load_system
from groundglass.systems.system import LesionMapper
from groundglass.training.run import Run
from groundglass.training.train import train
from groundglass.training.watcher import Watcher

_PSEUDO = 255
"""Value of lesion in the masks that are made."""


def learn_progressively(  # noqa: PLR0913 - one argument for each thing that the rounds are made of
    system: str,
    labeled: Sequence[Path],
    unlabeled: Path,
    folder: Path,
    *,
    group: int = 5,
    seed: int = 0,
    recipe: Path | None = None,
    overrides: Sequence[str] = (),
    watcher: Watcher | None = None,
) -> Run:
    """Train on labeled slices, then round by round on labels that the system gave itself.

    The first run sees the labeled slices alone. Each round then lets the last run label the next
    ``group`` slices, drawn in a random order, and goes on from its weights with these added. Called
    again after an interruption it goes on where it was.

    Args:
        system: Name of a system that maps the chance of lesion on a picture.
        labeled: Cohort tables with the labeled slices.
        unlabeled: Cohort table of the others; its train split is used, masks in it are not read.
        folder: Holds ``round-000`` (labeled alone) and a run for each round, with the masks made
            for it in ``pseudo/``.
        group: Slices labeled in a round; 5 in the publication.
        seed: Seed of the order.
        recipe: Recipe of every run.
        overrides: Settings of every run that differ, as ``key=value``.
        watcher: Told how it goes.

    Returns:
        The run of the last round.

    Raises:
        ConfigError: If ``group`` is not positive.
        CohortError: If a patient has labeled and unlabeled slices.
    """
    if group < 1:
        raise ConfigError(f"found a group of {group} slices, expected one or more; correct it")
    watcher = watcher or Watcher()
    others = Cohort.read([unlabeled]).split("train")
    _refuse_shared_patients(Cohort.read(labeled), others)
    order = np.random.default_rng(seed).permutation(len(others))
    groups = [
        [others[k] for k in order[first : first + group]] for first in range(0, len(order), group)
    ]
    run = _train(system, labeled, folder / "round-000", recipe, overrides, watcher)
    tables = list(labeled)
    for number, cases in enumerate(groups, start=1):
        watcher.line(f"round {number} of {len(groups)}")
        table = folder / "pseudo" / f"round-{number:03d}.csv"
        if not table.is_file():
            write_cohort(_label(run, cases, table.parent), table)
        tables.append(table)
        start = f"start_weights={run.weights.resolve()}"
        run = _train(
            system,
            tables,
            folder / f"round-{number:03d}",
            recipe,
            [*overrides, start],
            watcher,
        )
    return run


def _train(
    system: str,
    tables: Sequence[Path],
    folder: Path,
    recipe: Path | None,
    overrides: Sequence[str],
    watcher: Watcher,
) -> Run:
    run = Run(folder)
    if run.config.is_file():
        return train(system, [], folder, resume=True, watcher=watcher)
    return train(system, tables, folder, recipe=recipe, overrides=overrides, watcher=watcher)


def _label(run: Run, cases: Sequence[Case], folder: Path) -> list[Case]:
    """The cases with masks that the run gives them, at its own threshold."""
    system = load_system(str(run.folder))
    if not isinstance(system, LesionMapper):
        raise ConfigError(
            f"found system '{system.card.name}' that maps no lesion on pictures, expected one that "
            "does; take another"
        )
    folder.mkdir(parents=True, exist_ok=True)
    labeled = []
    for case in cases:
        probability = system.lesion_probability(case.read_image())
        mask = folder / f"{case.case}.png"
        found = (probability > system.card.lesion_threshold).astype(np.uint8) * np.uint8(_PSEUDO)
        cv2.imwrite(str(mask), found)
        labeled.append(
            case.model_copy(
                update={
                    "lesions": mask.resolve(),
                    "lesions_values": f"{_PSEUDO}:{int(Lesion.UNSPECIFIED)}",
                }
            )
        )
    return labeled


def _refuse_shared_patients(labeled: Cohort, unlabeled: Sequence[Case]) -> None:
    shared = sorted({c.patient for c in labeled.cases} & {c.patient for c in unlabeled})
    if shared:
        raise CohortError(
            f"found patient '{shared[0]}' with labeled and unlabeled slices ({len(shared)} such "
            "patients), expected none, as a test patient could be among them; leave them out"
        )

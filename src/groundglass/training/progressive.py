"""Learn from unlabeled slices too: label a few, train on them as well, label the next few.

Semi-supervised Inf-Net: Fan et al. 2020, doi:10.1109/TMI.2020.2996645, section III-F, algorithm 1.
"""

import hashlib
import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from groundglass.data.cohort import Case, Cohort, cohort_text, ct_slices
from groundglass.errors import CohortError, ConfigError, OutputError
from groundglass.labels import Lesion
from groundglass.systems import SYSTEMS, load_system
from groundglass.systems.card import find_recipe
from groundglass.systems.system import LesionMapper
from groundglass.training.run import Run, replace_text
from groundglass.training.train import that_change_nothing, train
from groundglass.training.watcher import Watcher

ARGUMENTS = "arguments.json"
"""File in the folder of the rounds that says what they are made of."""

_PSEUDO = 255
"""Value of lesion in the masks that are made."""


def learn_progressively(  # noqa: PLR0913 - one argument for each thing that the rounds are made of
    system: str,
    labeled: Sequence[Path],
    unlabeled: Path,
    folder: Path,
    *,
    group: int = 5,
    slices: int | None = None,
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
            for it in ``pseudo/``, and ``arguments.json``.
        group: Slices labeled in a round; 5 in the publication.
        slices: Unlabeled slices that are used, the first in the random order; all if not given.
        seed: Seed of the order.
        recipe: Recipe of every run.
        overrides: Settings of every run that differ, as ``key=value``.
        watcher: Told how it goes.

    Returns:
        The run of the last round.

    Raises:
        ConfigError: If ``group`` or ``slices`` is not positive, or rounds of other arguments lie in
            the folder.
        CohortError: If a patient has labeled and unlabeled slices.
        OutputError: If a mask cannot be written.
    """
    if group < 1 or (slices is not None and slices < 1):
        raise ConfigError(
            f"found a group of {group} slices{'' if slices is None else f' of {slices}'}, "
            "expected one or more; correct it"
        )
    watcher = watcher or Watcher()
    _refuse_no_map(system)
    others = ct_slices(Cohort.read([unlabeled]).split("train"))
    _refuse_shared_patients(Cohort.read(labeled), others)
    _keep_arguments(
        folder,
        {
            "system": system,
            "labeled_sha256": [_sha256(table) for table in labeled],
            "unlabeled_sha256": _sha256(unlabeled),
            "group": group,
            "slices": slices,
            "seed": seed,
            "recipe_sha256": None if recipe is None else _sha256(find_recipe(system, recipe)),
            "settings": [o for o in overrides if o not in that_change_nothing(overrides)],
        },
    )
    order = np.random.default_rng(seed).permutation(len(others))[:slices]
    groups = [
        [others[k] for k in order[first : first + group]] for first in range(0, len(order), group)
    ]
    run = _train(system, labeled, _first_run(folder).folder, recipe, overrides, watcher)
    tables = list(labeled)
    for number, cases in enumerate(groups, start=1):
        watcher.line(f"round {number} of {len(groups)}")
        table = folder / "pseudo" / f"round-{number:03d}.csv"
        if not table.is_file():
            replace_text(table, cohort_text(_label(run, cases, table.with_suffix(""))))
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


def last_round(folder: Path) -> Run:
    """The run of the last round in a folder of rounds, once all are there."""
    rounds = {int(path.name.partition("-")[2]): path for path in folder.glob("round-*")}
    return Run(rounds[max(rounds)] if rounds else _first_run(folder).folder)


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
        kept = that_change_nothing(overrides)
        return train(system, [], folder, overrides=kept, resume=True, watcher=watcher)
    return train(system, tables, folder, recipe=recipe, overrides=overrides, watcher=watcher)


def _refuse_no_map(system: str) -> None:
    """Refuse, before anything is trained, a system that could not label slices."""
    if system not in SYSTEMS:  # the training says so
        return
    predictor = import_module(f"groundglass.systems.{system}.predict").Predictor
    if not hasattr(predictor, "lesion_probability"):
        raise ConfigError(
            f"found system '{system}' that maps no lesion on pictures, expected one that does; "
            "take another"
        )


def _label(run: Run, cases: Sequence[Case], folder: Path) -> list[Case]:
    """The cases with masks of lesion that the run gives them, at its own threshold, no others."""
    system = load_system(str(run.folder))
    assert isinstance(system, LesionMapper)
    folder.mkdir(parents=True, exist_ok=True)
    labeled = []
    for number, case in enumerate(cases):  # names of cases may be no names of files
        probability = system.lesion_probability(case.read_image())
        mask = folder / f"{number:04d}.png"
        found = (probability > system.card.lesion_threshold).astype(np.uint8) * np.uint8(_PSEUDO)
        if not cv2.imwrite(str(mask), found):
            raise OutputError(
                f"found '{mask}' not writable, expected room for a mask; free the disk or name "
                "another folder"
            )
        labeled.append(
            case.model_copy(
                update={
                    "lesions": mask.resolve(),
                    "lesions_values": f"{_PSEUDO}:{int(Lesion.UNSPECIFIED)}",
                    "lungs": None,
                    "lungs_values": "",
                }
            )
        )
    return labeled


def _keep_arguments(folder: Path, arguments: dict[str, Any]) -> None:
    """Note what the rounds are made of, and refuse to mix them with others that have begun."""
    file = folder / ARGUMENTS
    if file.is_file() and _first_run(folder).config.is_file():
        noted = json.loads(file.read_text(encoding="utf-8"))
        other = [name for name, value in arguments.items() if noted.get(name) != value]
        if other:
            raise ConfigError(
                f"found other {', '.join(other)} than those that the rounds in '{folder.name}' "
                f"began with, expected the same; give these again (see {file.name}), or name a new "
                "folder"
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    replace_text(file, json.dumps(arguments, indent=2) + "\n")


def _first_run(folder: Path) -> Run:
    return Run(folder / "round-000")


def _sha256(file: Path) -> str:
    if not file.is_file():
        raise ConfigError(f"found no '{file.name}', expected a file; name another")
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _refuse_shared_patients(labeled: Cohort, unlabeled: Sequence[Case]) -> None:
    shared = sorted({c.patient for c in labeled.cases} & {c.patient for c in unlabeled})
    if shared:
        raise CohortError(
            f"found patient '{shared[0]}' with labeled and unlabeled slices ({len(shared)} such "
            "patients), expected none, as a test patient could be among them; leave them out"
        )

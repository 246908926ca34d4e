"""Cross-validation by patient: every patient is judged by a run that has not seen them."""

import csv
from collections import Counter
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from groundglass.data.cohort import Case, Cohort, Split, files_of, write_cohort
from groundglass.errors import CohortError, ConfigError, UnknownNameError
from groundglass.evaluation.evaluate import Tell, count_seen, run_facts
from groundglass.evaluation.experiment import Experiment
from groundglass.evaluation.plan import Data, Plan, Row, Test
from groundglass.evaluation.protocols import PROTOCOLS, Measured
from groundglass.evaluation.result import Progress
from groundglass.evaluation.trial import list_trials
from groundglass.systems import SYSTEMS, load_system
from groundglass.training.run import Run, replace_text

FEWEST_FOLDS = 3
"""One fold to test on, one to choose the epoch by, and at least one to learn from."""


def assign_folds(cases: Sequence[Case], folds: int, seed: int = 0) -> dict[str, int]:
    """Fold of each patient, numbers of slices evened out.

    Patients go, the one with most slices first and equals in random order, to the fold that has
    fewest slices so far.

    Args:
        cases: The cases.
        folds: Number of folds, at least 3.
        seed: Seed of the order of equals.

    Raises:
        ConfigError: If there are fewer than 3 folds.
        CohortError: If there are fewer patients than folds, or no CT slices for a protocol of
            these.
    """
    slices = Counter(case.patient for case in cases)
    if folds < FEWEST_FOLDS:
        raise ConfigError(
            f"found {folds} folds, expected at least {FEWEST_FOLDS}: "
            "one to test on, one to choose the epoch by, the others to learn from"
        )
    if len(slices) < folds:
        raise CohortError(
            f"found {len(slices)} patients for {folds} folds, expected one in each; take fewer"
        )
    patients = sorted(slices)
    np.random.default_rng(seed).shuffle(patients)
    filled = [0] * folds
    fold_of = {}
    for patient in sorted(patients, key=lambda name: -slices[name]):
        fold = filled.index(min(filled))
        fold_of[patient] = fold
        filled[fold] += slices[patient]
    return fold_of


def cross_validate(  # noqa: PLR0913 - one argument for each choice of the user
    system: str,
    tables: Sequence[Path],
    folder: Path,
    *,
    name: str,
    folds: int = 5,
    recipe: str = "recipe.yaml",
    settings: dict[str, Any] | None = None,
    protocol: str = "as-used",
    device: str = "cpu",
    tell: Tell | None = None,
    progress: Progress | None = None,
) -> Measured:
    """Train a run for each fold and measure it on the patients of that fold.

    The next fold chooses the epoch, the others are learned from. Cases of the test split are left
    out: they are not touched here. What is finished already is not trained again.

    Args:
        system: Name of the system.
        tables: Cohort tables.
        folder: Holds ``folds.csv`` and, for each fold, its table and its run.
        name: Name of the cohort in the result.
        folds: Number of folds.
        recipe: Recipe beside the system's card.
        settings: Settings that differ from it; ``seed`` is also that of the folds.
        protocol: How the runs are measured, a name in ``PROTOCOLS``.
        device: Where networks run while they are measured.
        tell: Told what begins.
        progress: Told how many slices of a fold are measured.

    Returns:
        All patients together; the split is called ``5-fold``.

    Raises:
        CohortError: If there are fewer patients than folds.
        ConfigError: If there are fewer than 3 folds, or other folds, or runs of other cases or of
            files that have changed, lie in the folder.
        UnknownNameError: If there is no such system or protocol.
    """
    if protocol not in PROTOCOLS:
        raise UnknownNameError.of("protocol", protocol, PROTOCOLS)
    if system not in SYSTEMS:
        raise UnknownNameError.of("system", system, SYSTEMS)
    settings = dict(settings or {})
    seed = settings.pop("seed", 0)
    if not isinstance(seed, int) or seed < 0:
        raise ConfigError(f"found seed={seed}, expected a whole number from 0 on; correct it")
    known = [case for case in Cohort.read(tables).cases if case.split != "test"]
    cases = PROTOCOLS[protocol].take(known)
    fold_of = assign_folds(cases, folds, seed)
    _write_folds(fold_of, folder)
    plan = _plan(system, recipe, settings, seed, folds)
    named = {f"fold-{k}": folder / f"fold-{k}.csv" for k in range(folds)}
    for k, table in enumerate(named.values()):
        write_cohort(_fold_cases(cases, fold_of, k, folds), table)
    experiment = Experiment(named, folder, folder, device)
    entries: list[Any] = []
    facts: dict[str, Any] = {}
    seen: list[int | None] = []
    for trial in list_trials(plan):
        _refuse_other_cases(Run(folder / trial.name), named[trial.data.name])
        run = experiment.train(trial, tell)
        segmenter = load_system(str(run), device)
        tested = Cohort.read([named[trial.data.name]]).split("test")
        entries += PROTOCOLS[protocol].look(segmenter, tested, progress)
        seen.append(count_seen(str(run), tested, "test", tell))
        # every seed deals the cases to other splits
        facts = facts or run_facts(segmenter.card, run, [(case.case, "") for case in cases])
    facts |= {"cohort": name, "split": f"{folds}-fold", "weights_sha256": ""}
    facts |= {"cases": len(cases), "patients": len(fold_of)}
    facts["seen"] = None if None in seen else sum(count or 0 for count in seen)
    return PROTOCOLS[protocol].sum_up(facts, entries)


def _plan(system: str, recipe: str, settings: dict[str, Any], seed: int, folds: int) -> Plan:
    names = [f"fold-{k}" for k in range(folds)]
    return Plan(
        name="cross-validation",
        title="Cross-validation",
        source="",
        seeds=(seed,),
        columns={},
        data=tuple(
            Data(name=name, title=name, train=(name,), tests=(Test(cohort=name),)) for name in names
        ),
        rows=(_row(system, recipe, settings),),
    )


def _row(system: str, recipe: str, settings: dict[str, Any]) -> Row:
    try:
        return Row(name=system, title=system, system=system, recipe=recipe, settings=settings)
    except ValidationError as error:
        _, key, *_ = (*error.errors()[0]["loc"], "")
        raise ConfigError(
            f"found a wrong setting {key}={settings.get(str(key))}, expected a single value or a "
            "list of values; name settings inside others as augment.noise=0.1"
        ) from None


def _fold_cases(
    cases: Sequence[Case], fold_of: dict[str, int], fold: int, folds: int
) -> list[Case]:
    splits: dict[int, Split] = {fold: "test", (fold + 1) % folds: "val"}
    return [
        case.model_copy(update={"split": splits.get(fold_of[case.patient], "train")})
        for case in cases
    ]


def _write_folds(fold_of: dict[str, int], folder: Path) -> None:
    """Keep the folds, and refuse to mix them with others that lie there already."""
    file = folder / "folds.csv"
    if file.is_file():
        with file.open(newline="", encoding="utf-8") as stored:
            found = {row["patient"]: int(row["fold"]) for row in csv.DictReader(stored)}
        if found != fold_of:
            raise ConfigError(
                f"found other folds in '{folder.name}', expected those of this cohort and seed; "
                "name a new folder"
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    table = StringIO(newline="")
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["patient", "fold"])
    writer.writerows(sorted(fold_of.items()))
    replace_text(file, table.getvalue())


def _refuse_other_cases(run: Run, table: Path) -> None:
    """Refuse to take a run of other cases for that of a fold."""
    if not run.cohort.is_file():
        return
    cases = Cohort.read([table]).cases
    if Cohort.read([run.cohort]).cases != cases:
        raise ConfigError(
            f"found '{run.folder.name}' trained on other cases than its fold has now, expected the "
            "same; name a new folder"
        )
    run.refuse_changed_files(files_of(cases))

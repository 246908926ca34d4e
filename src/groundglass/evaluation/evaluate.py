"""A system over a split of a cohort, by one of the named protocols."""

import csv
import hashlib
import json
from collections.abc import Callable, Collection, Sequence
from math import isnan
from pathlib import Path
from typing import Any, cast

import yaml

from groundglass.data.cohort import Case, Cohort, Split
from groundglass.errors import UnknownNameError
from groundglass.evaluation.protocols import PROTOCOLS, Found, Measured
from groundglass.evaluation.result import CaseMetrics, Progress
from groundglass.evaluation.split_loss import split_loss
from groundglass.systems import load_system
from groundglass.systems.card import Card
from groundglass.training.run import Run
from groundglass.training.seen import Learned

Tell = Callable[[str], None]
"""Called with a sentence for people."""


def evaluate(  # noqa: PLR0913 - one argument for each choice of the user
    system: str,
    cohort: Cohort,
    split: Split,
    *,
    name: str,
    protocol: str = "as-used",
    device: str = "cpu",
    tell: Tell | None = None,
    progress: Progress | None = None,
) -> Measured:
    """Measure a system on every slice of a split.

    Args:
        system: Name of a system or folder of a run.
        cohort: The cohort.
        split: Which part of it.
        name: Name of the cohort in the table.
        protocol: A name in ``PROTOCOLS``: ``as-used`` finds lungs and looks for lesions inside
            them; ``inf-net`` cuts the probability of lesion on whole slices at 256 thresholds;
            ``volumes`` asks for the class of whole series, ``classes`` for that of single pictures.
        device: Where the network runs.
        tell: Told how many cases the run has seen before, if any.
        progress: Told how far it is.

    Raises:
        CohortError: If the split is empty, or without CT slices for a protocol of these.
        NotMeasurableError: If the system does not give what the protocol needs.
        UnknownNameError: If there is no such system or protocol.
    """
    if protocol not in PROTOCOLS:
        raise UnknownNameError.of("protocol", protocol, PROTOCOLS)
    segmenter = load_system(system, device)
    cases = PROTOCOLS[protocol].take(cohort.split(split))
    seen = count_seen(system, cases, split, tell)
    entries = PROTOCOLS[protocol].look(segmenter, cases, progress)
    facts = {
        **run_facts(segmenter.card, Path(system)),
        "cohort": name,
        "split": split,
        "cases": len(cases),
        "patients": len({case.patient for case in cases}),
        "loss": split_loss(Path(system), cases, device),
        "seen": seen,
    }
    return PROTOCOLS[protocol].sum_up(facts, entries)


def count_seen(
    system: str, cases: Sequence[Case], split: Split, tell: Tell | None = None
) -> int | None:
    """How many cases a run, or one that it started from, learned from or was chosen by.

    Args:
        system: Folder of a run; of a system that is shipped nothing is known.
        cases: Cases of the split.
        split: The split.
        tell: Told if there are any, or it is not known of a run of the chain.
    """
    run = Path(system)
    learned = Learned.of(run)
    seen = learned.count(cases, split)
    if tell is not None:
        which = f"'{run.name}' or a run that it started from"
        for line in learned.in_words(seen, len(cases), split, which):
            tell(line)
    return seen


def lesion_finder(system: str, protocol: str, device: str = "cpu") -> Callable[[Case], Found]:
    """What finds lesions on a single case as a protocol does, for pictures of an evaluation.

    Args:
        system: Name of a system or folder of a run.
        protocol: A name in ``PROTOCOLS``.
        device: Where the network runs.

    Raises:
        NotMeasurableError: If there is nothing to draw.
        UnknownNameError: If there is no such system or protocol.
    """
    if protocol not in PROTOCOLS:
        raise UnknownNameError.of("protocol", protocol, PROTOCOLS)
    return PROTOCOLS[protocol].finder(load_system(system, device))


Splits = Collection[tuple[str, str]]
"""Name and split of each case of a cohort."""


def run_facts(card: Card, run: Path, splits: Splits | None = None) -> dict[str, Any]:
    """What card and run say of the weights, as fields of ``Measurement``.

    Args:
        card: Card of the run.
        run: Its folder.
        splits: See :func:`configuration_digest`.
    """
    weights = card.weights
    config, throughput = run / "config.yaml", run / "throughput.json"
    return {
        "system": card.name,
        "weights_sha256": weights.sha256 if weights else "",
        "config": weights.config if weights else "",
        "configuration": configuration_digest(config, splits) if config.is_file() else "",
        "seed": weights.seed if weights else None,
        "throughput": json.loads(throughput.read_text()) if throughput.is_file() else None,
    }


_LATER_SETTINGS: dict[str, Any] = {"lesion_threshold": 0.5, "mean_of": []}
"""Settings that runs did not write out when the first results were stored, with their defaults."""


def configuration_digest(config: Path, splits: Splits | None = None) -> str:
    """Short hash of what runs share that differ by seed alone: settings, cases, and their start.

    Start weights count by this hash of the run that they come from; of other files that are named
    in settings, the name alone. A setting that came after results were stored counts where it is
    not at its default, so that later seeds of a configuration stand beside the earlier ones.

    Args:
        config: Settings of a run, in its folder.
        splits: The cases that count; those of the run's cohort, as far as known, if not given.
    """
    settings = cast("dict[str, Any]", yaml.safe_load(config.read_text(encoding="utf-8")))
    settings.pop("seed", None)
    for name, default in _LATER_SETTINGS.items():
        if settings.get(name) == default:
            del settings[name]
    for key, value in settings.items():
        if isinstance(value, str):
            settings[key] = Path(value).name
    before = Run(config.parent).before()
    if before is not None and before.config.is_file():
        settings["start_weights"] = configuration_digest(before.config)
    cohort = config.with_name("cohort.csv")
    if splits is None and cohort.is_file():
        splits = _read_splits(cohort)
    if splits is not None:
        settings["cases"] = sorted(list(case) for case in splits)
    text = yaml.safe_dump(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _read_splits(cohort: Path) -> Splits:
    with cohort.open(newline="", encoding="utf-8") as file:
        return [(row["case"], row["split"]) for row in csv.DictReader(file)]


def write_cases(rows: Sequence[CaseMetrics], table: Path) -> None:
    """Write the metrics of each slice and structure as CSV; an undefined one stays empty."""
    names = list(dict.fromkeys(name for row in rows for name in row.metrics))
    table.parent.mkdir(parents=True, exist_ok=True)
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=["case", "patient", "structure", *names])
        writer.writeheader()
        for row in rows:
            known = {name: round(v, 4) for name, v in row.metrics.items() if not isnan(v)}
            writer.writerow(
                {"case": row.case, "patient": row.patient, "structure": row.structure, **known}
            )

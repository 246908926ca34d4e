"""A system over a split of a cohort, by one of the named protocols."""

import csv
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any, cast

import numpy as np
import yaml
from numpy.typing import NDArray

from groundglass.data.cohort import Case, Cohort, Split
from groundglass.errors import UnknownNameError
from groundglass.evaluation.as_used import (
    Evaluation,
    find,
    find_cases,
    found_cases,
    structure_results,
)
from groundglass.evaluation.inf_net import (
    InfNetEvaluation,
    SweptSlices,
    sweep_cases,
    swept_cases,
    swept_result,
)
from groundglass.evaluation.result import CaseMetrics, Progress
from groundglass.evaluation.split_loss import split_loss
from groundglass.systems import Segmenter, load_system
from groundglass.systems.system import LesionMapper, lung_finder


@dataclass(frozen=True, slots=True)
class Evaluated:
    """An evaluation with what it was made from.

    Attributes:
        evaluation: What is stored.
        rows: Metrics of each slice and structure.
        swept: Counts at each threshold by structure; empty where the protocol has no thresholds.
        find: Looks for lesions on a slice once more, as the protocol does, true inside.
    """

    evaluation: Evaluation | InfNetEvaluation
    rows: list[CaseMetrics]
    swept: SweptSlices
    find: Callable[[Case], NDArray[np.bool_]]


def evaluate(  # noqa: PLR0913 - one argument for each choice of the user
    system: str,
    cohort: Cohort,
    split: Split,
    *,
    name: str,
    protocol: str = "as-used",
    device: str = "cpu",
    progress: Progress | None = None,
) -> Evaluated:
    """Measure a system on every slice of a split.

    Args:
        system: Name of a system or folder of a run.
        cohort: The cohort.
        split: Which part of it.
        name: Name of the cohort in the table.
        protocol: A name in ``PROTOCOLS``: ``as-used`` finds lungs and looks for lesions inside
            them; ``inf-net`` cuts the probability of lesion on whole slices at 256 thresholds.
        device: Where the network runs.
        progress: Told how far it is.

    Raises:
        CohortError: If the split is empty.
        NotMeasurableError: If the system does not give what the protocol needs.
        UnknownNameError: If there is no such system or protocol.
    """
    if protocol not in PROTOCOLS:
        raise UnknownNameError.of("protocol", protocol, PROTOCOLS)
    segmenter = load_system(system, device)
    cases = cohort.split(split)
    facts = {
        **_facts(segmenter, Path(system)),
        "cohort": name,
        "split": split,
        "cases": len(cases),
        "patients": len({case.patient for case in cases}),
        "loss": split_loss(Path(system), cases, device),
    }
    return PROTOCOLS[protocol](segmenter, cases, facts, progress)


def _as_used(
    segmenter: Segmenter, cases: Sequence[Case], facts: dict[str, Any], progress: Progress | None
) -> Evaluated:
    found = find_cases(segmenter, cases, progress)
    evaluation = Evaluation(**facts, structures=structure_results(found))
    finder = lung_finder(segmenter, segmenter.device)
    return Evaluated(
        evaluation, found_cases(found), {}, lambda case: find(finder, segmenter, case)[1] > 0
    )


def _inf_net(
    segmenter: Segmenter, cases: Sequence[Case], facts: dict[str, Any], progress: Progress | None
) -> Evaluated:
    swept = sweep_cases(segmenter, cases, progress)
    structures = {name: swept_result(slices) for name, slices in swept.items()}
    evaluation = InfNetEvaluation(**facts, structures=structures)
    assert isinstance(segmenter, LesionMapper)
    probability = segmenter.lesion_probability
    return Evaluated(
        evaluation, swept_cases(swept), swept, lambda case: probability(case.read_image()) >= 0.5
    )


_Protocol = Callable[
    [Segmenter, Sequence[Case], dict[str, Any], Progress | None],
    Evaluated,
]

PROTOCOLS: dict[str, _Protocol] = {"as-used": _as_used, "inf-net": _inf_net}
"""How a system is measured on slices, by the name that ``--protocol`` takes."""


def _facts(segmenter: Segmenter, run: Path) -> dict[str, Any]:
    """What the card and the run say about where the weights come from."""
    weights = segmenter.card.weights
    config, throughput = run / "config.yaml", run / "throughput.json"
    return {
        "system": segmenter.card.name,
        "weights_sha256": weights.sha256 if weights else "",
        "config": weights.config if weights else "",
        "configuration": configuration_digest(config) if config.is_file() else "",
        "seed": weights.seed if weights else None,
        "throughput": json.loads(throughput.read_text()) if throughput.is_file() else None,
    }


def configuration_digest(config: Path) -> str:
    """Short hash of a run's settings without its seed; of files named in them, the name alone."""
    settings = cast("dict[str, Any]", yaml.safe_load(config.read_text(encoding="utf-8")))
    settings.pop("seed", None)
    for key, value in settings.items():
        if isinstance(value, str):
            settings[key] = Path(value).name
    text = yaml.safe_dump(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


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

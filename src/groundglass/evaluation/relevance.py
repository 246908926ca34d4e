"""The relevance of slices in a whole scan's class against a reader's label of each slice."""

from pathlib import Path

import numpy as np

from groundglass.analyze import classify
from groundglass.evaluation.result import Result
from groundglass.evaluation.slice_labels import labels_of, roc_auc


class RelevanceEvaluation(Result):
    """A series' class, and how well its slice relevance agrees with a reader.

    Attributes:
        system: Name of the system.
        weights_sha256: Checksum of its weights.
        trained_on: What it learned from, in words.
        series: Name of the series.
        diagnosis: What the reader said of the whole scan.
        probabilities: What the system says of the whole scan.
        slices: Number of slices.
        infected_slices: Slices that the reader called infected.
        auc: Area under the curve of relevance against the reader's label; ``None`` where all slices
            carry one label, or the system gives no relevance.
        lung_area_auc: The same of the area of the lungs on each slice: what a relevance reaches
            that knows of anatomy alone.
        seconds: Time of reading, lungs and class.
    """

    system: str
    weights_sha256: str
    trained_on: str
    series: str
    diagnosis: str
    probabilities: dict[str, float]
    slices: int
    infected_slices: int
    auc: float | None
    lung_area_auc: float | None
    seconds: float


def evaluate_relevance(
    scan: Path, labels: Path, system: str, device: str = "cpu"
) -> RelevanceEvaluation:
    """Classify a series and compare how much each slice weighed with the reader's label.

    Args:
        scan: Folder of the series; its name stands in the ``volume`` column of the labels.
        labels: CSV with ``volume``, ``diagnosis``, ``slice_location`` (mm) and ``infected`` (0, 1).
        system: Name of a system or folder of a run.
        device: Where the network runs.

    Raises:
        CohortError: If the labels do not fit the slices.
        UnknownNameError: If the system does not classify.
    """
    answer = classify(scan, system=system, device=device)
    said = answer.classification
    assert said is not None
    areas = np.array([np.count_nonzero(lung) for lung in answer.lungs.slices])
    rows = labels_of(labels, scan.name, len(areas))
    infected = np.array([row["infected"] == "1" for row in rows])
    facts = answer.provenance
    return RelevanceEvaluation(
        system=facts.system,
        weights_sha256=facts.weights_sha256,
        trained_on=facts.trained_on,
        series=scan.name,
        diagnosis=rows[0]["diagnosis"],
        probabilities={name: round(p, 4) for name, p in said.probabilities.items()},
        slices=len(areas),
        infected_slices=int(infected.sum()),
        auc=None if said.relevance is None else roc_auc(said.relevance, infected),
        lung_area_auc=roc_auc(areas, infected),
        seconds=round(sum(facts.seconds.values()), 1),
    )

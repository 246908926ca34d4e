"""Whole series against their class, and the relevance of slices against a reader's labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from groundglass.classification import Classification
from groundglass.data.cohort import Case
from groundglass.errors import CohortError, NotMeasurableError
from groundglass.evaluation.result import (
    CaseMetrics,
    Estimate,
    Measurement,
    PatientBootstrap,
    Progress,
    weighted_mean,
)
from groundglass.evaluation.slice_labels import labels_of, read_labels, roc_auc
from groundglass.lungs import find_lungs
from groundglass.read import read
from groundglass.scan import CTScan
from groundglass.systems import Segmenter
from groundglass.systems.system import Classifier, lung_finder

Level = dict[str, Estimate]

LABELS = "labels.csv"
"""Where the labels of slices stand: beside the folders of the series, as covid-ct-md has them."""


class VolumesEvaluation(Measurement):
    """A classifier over whole series.

    Attributes:
        protocol: Tells it apart from other protocols.
        levels: Metrics of the ``volume``: ``auc``, ``accuracy``, ``precision``, ``sensitivity``,
            ``specificity``, ``f1``, ``calibration_error``; and of the ``slice``, over series with
            and without lesion on labeled slices: ``auc`` of the relevance, its mean over series,
            and the others with a slice taken for infected where it weighs more than one over the
            number of slices that show lung. All classes but the one that the system has for no
            disease count as disease.
        series_auc: AUC of the relevance of each series with labeled slices of both kinds.
    """

    protocol: Literal["volumes"] = "volumes"
    levels: dict[str, Level]
    series_auc: dict[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class JudgedVolume:
    """A series with what a system said of it.

    Attributes:
        case: Name of the case.
        patient: Its patient.
        diseased: Whether its label is not the system's class without disease.
        probability: Probability of disease, 0 to 1.
        relevance: (slice,) how much each slice weighed; ``None`` where the system does not say.
        infected: (slice,) the reader's label; ``None`` where there are none.
    """

    case: str
    patient: str
    diseased: bool
    probability: float
    relevance: NDArray[np.float32] | None
    infected: NDArray[np.bool_] | None

    @property
    def slice_auc(self) -> float | None:
        """AUC of the relevance; ``None`` without labels of both kinds or without relevance."""
        if self.relevance is None or self.infected is None:
            return None
        return roc_auc(self.relevance, self.infected)


def judge_volumes(
    system: Segmenter, cases: Sequence[Case], progress: Progress | None = None
) -> list[JudgedVolume]:
    """What a classifier says of each series.

    Lungs of volumes are found by density alone, as for training; ``groundglass classify`` has a
    network complete dense lungs as well.

    Raises:
        NotMeasurableError: If the system does not classify, or has no class for no disease.
        CohortError: If a case is no series, its label is no class of the system, or labels of its
            slices do not fit.
    """
    if not isinstance(system, Classifier):
        raise NotMeasurableError(
            f"system '{system.card.name}', which does not classify",
            "one that does; 'groundglass systems' lists them",
        )
    judged = []
    for done, case in enumerate(cases, start=1):
        if not case.is_series:
            raise CohortError(
                f"found the picture '{case.case}', expected the folder of a series; take a cohort "
                "of volumes"
            )
        scan = read(case.image)
        if isinstance(scan, CTScan):
            lungs, _ = find_lungs(scan)
        else:
            lungs = lung_finder(None, system.device).find_lungs(scan)
        said = system.classify(scan, lungs)
        judged.append(_judged(case, said, len(scan.slices)))
        if progress is not None:
            progress(done, len(cases))
    return judged


def _judged(case: Case, said: Classification, slices: int) -> JudgedVolume:
    classes = list(said.probabilities)
    if case.label not in classes:
        raise CohortError(
            f"found label '{case.label}' of case '{case.case}', expected one of "
            f"{', '.join(classes)}; take a cohort with the classes of the system"
        )
    if said.healthy_class is None:
        raise NotMeasurableError(
            f"system '{said.system}', none of whose classes ({', '.join(classes)}) stands for no "
            "disease",
            "one that has such a class; measure it with --protocol classes",
        )
    return JudgedVolume(
        case=case.case,
        patient=case.patient,
        diseased=case.label != said.healthy_class,
        probability=1.0 - said.probabilities[said.healthy_class],
        relevance=said.relevance,
        infected=_infected(case, slices),
    )


def _infected(case: Case, slices: int) -> NDArray[np.bool_] | None:
    """The reader's labels, where a table beside the series has them."""
    table: Path = case.image.parent / LABELS
    if not table.is_file() or not read_labels(table, case.image.name):
        return None
    rows = labels_of(table, case.image.name, slices)
    return np.array([row["infected"] == "1" for row in rows])


def levels_of(judged: Sequence[JudgedVolume]) -> dict[str, Level]:
    """Metrics of volumes and, where there are labels, of slices, with intervals over patients."""
    bootstrap = PatientBootstrap([one.patient for one in judged])
    diseased = np.array([one.diseased for one in judged])
    probability = np.array([one.probability for one in judged])
    volume = _confusion(bootstrap, _counts_of_volumes(diseased, probability >= 0.5))
    if 0 < diseased.sum() < len(diseased):
        volume["auc"] = bootstrap.estimate(lambda w: weighted_auc(probability, diseased, w))
    volume["calibration_error"] = bootstrap.estimate(
        lambda w: calibration_error(probability, diseased, w)
    )
    levels = {"volume": volume}
    labeled = [one for one in judged if one.slice_auc is not None]
    if labeled:
        own = PatientBootstrap([one.patient for one in labeled])
        counts = np.stack([_counts_of_slices(one) for one in labeled])
        aucs = [one.slice_auc or 0.0 for one in labeled]
        levels["slice"] = {**_confusion(own, counts), "auc": own.mean(aucs)}
    return levels


def series_aucs(judged: Sequence[JudgedVolume]) -> dict[str, float]:
    """AUC of the relevance of each series that has one."""
    return {one.case: auc for one in judged if (auc := one.slice_auc) is not None}


def judged_cases(judged: Sequence[JudgedVolume]) -> list[CaseMetrics]:
    """A row for each series."""
    nan = float("nan")
    rows = []
    for one in judged:
        auc = one.slice_auc
        metrics = {
            "diseased": float(one.diseased),
            "probability": one.probability,
            "slice_auc": nan if auc is None else auc,
        }
        rows.append(CaseMetrics(one.case, one.patient, "volume", metrics))
    return rows


def weighted_auc(
    values: NDArray[np.float64], positive: NDArray[np.bool_], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Area under the ROC curve for each set of weights, ties counted half.

    Args:
        values: (case,) larger for more disease.
        positive: (case,).
        weights: (resample, case).

    Returns:
        (resample,); NaN where one class weighs nothing.
    """
    high, low = values[positive][:, None], values[~positive][None, :]
    won = (high > low) + 0.5 * (high == low)
    ours, theirs = weights[:, positive], weights[:, ~positive]
    total = ours.sum(1) * theirs.sum(1)
    sums = ((ours @ won) * theirs).sum(1)
    aucs: NDArray[np.float64] = np.full(len(weights), np.nan)
    np.divide(sums, total, out=aucs, where=total > 0)
    return aucs


def calibration_error(
    probability: NDArray[np.float64],
    diseased: NDArray[np.bool_],
    weights: NDArray[np.float64],
    bins: int = 5,
) -> NDArray[np.float64]:
    """Mean distance of stated probability and share of disease, over bins of probability.

    Args:
        probability: (case,) of disease.
        diseased: (case,).
        weights: (resample, case).
        bins: Number of equal bins from 0 to 1.
    """
    place = np.minimum((probability * bins).astype(int), bins - 1)
    gaps = np.zeros(len(weights))
    for number in range(bins):
        own = place == number
        difference = probability[own] - diseased[own]
        gaps += np.abs(weights[:, own] @ difference)
    return np.asarray(gaps / weights.sum(1))


def _counts_of_volumes(diseased: NDArray[np.bool_], said: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(case, 4): true and false positive, false and true negative."""
    pairs = (said & diseased, said & ~diseased, ~said & diseased, ~said & ~diseased)
    return np.stack(pairs, 1).astype(np.float64)


def _counts_of_slices(one: JudgedVolume) -> NDArray[np.float64]:
    assert one.relevance is not None
    assert one.infected is not None
    shown = one.relevance > 0
    said = one.relevance > 1 / max(1, int(shown.sum()))
    return np.asarray(_counts_of_volumes(one.infected, said).sum(0))


def _confusion(bootstrap: PatientBootstrap, counts: NDArray[np.float64]) -> Level:
    """Metrics of (case, 4) counts, pooled; what is defined nowhere is left out."""

    def share(over: Sequence[int], under: Sequence[int]) -> Estimate | None:
        def measure(weights: NDArray[np.float64]) -> NDArray[np.float64]:
            pooled = weighted_mean(weights, counts)
            top, bottom = pooled[:, list(over)].sum(1), pooled[:, list(under)].sum(1)
            shares: NDArray[np.float64] = np.full(len(weights), np.nan)
            np.divide(top, bottom, out=shares, where=bottom > 0)
            return shares

        if not counts[:, list(under)].any():
            return None
        return bootstrap.estimate(measure)

    found = {
        "accuracy": share((0, 3), (0, 1, 2, 3)),
        "precision": share((0,), (0, 1)),
        "sensitivity": share((0,), (0, 2)),
        "specificity": share((3,), (1, 3)),
        "f1": share((0, 0), (0, 0, 1, 2)),
    }
    return {name: estimate for name, estimate in found.items() if estimate is not None}

"""A classifier over single pictures whose class, or whose manifestations, are known."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from groundglass.data.cohort import Case
from groundglass.errors import CohortError, NotMeasurableError
from groundglass.evaluation.result import (
    CaseMetrics,
    Estimate,
    Measurement,
    PatientBootstrap,
    Progress,
)
from groundglass.metrics.classification import area_under_curve
from groundglass.systems import Segmenter

OVERALL = "overall"
"""Name of the line that all classes share."""

_METRICS = ("accuracy", "sensitivity", "specificity", "precision", "f1", "mcc")


@dataclass(frozen=True, slots=True, eq=False)
class JudgedPicture:
    """A picture with what a system said of it.

    Attributes:
        case: Name of the case.
        patient: Its patient.
        classes: Names of the classes.
        exclusive: Whether exactly one applies.
        probability: (class,) probabilities.
        said: (class,) what was said to be there.
        true: (class,) what is there.
    """

    case: str
    patient: str
    classes: tuple[str, ...]
    exclusive: bool
    probability: NDArray[np.float64]
    said: NDArray[np.bool_]
    true: NDArray[np.bool_]


@runtime_checkable
class PictureJudge(Protocol):
    """A system that classifies single pictures of a cohort, and knows what its classes mean."""

    def judge(self, case: Case) -> tuple[dict[str, float], dict[str, bool], bool] | None:
        """Probabilities by class, what is said to be there, and whether one class excludes others.

        ``None`` for a case that is not of the system's kind.
        """
        ...

    def truth(self, case: Case) -> dict[str, bool] | None:
        """Which classes apply to a case; ``None`` where that is not known."""
        ...


class ClassesEvaluation(Measurement):
    """A classifier over single pictures.

    Attributes:
        protocol: Tells it apart from other protocols.
        classes: Metrics by class: ``accuracy``, ``sensitivity``, ``specificity``, ``precision``,
            ``f1``, ``mcc`` and ``auc``; ``overall`` has the ``accuracy`` of whole answers (of
            labels, where several may apply) and, of classes that exclude each other,
            ``adjusted_f1``, F1 of each by its share of the cases.
        confusion: (true, said) number of pictures; for classes that do not exclude each other a
            2 x 2 table for each, (there, said).
    """

    protocol: Literal["classes"] = "classes"
    classes: dict[str, dict[str, Estimate]]
    confusion: dict[str, list[list[int]]]


def judge_pictures(
    system: Segmenter, cases: Sequence[Case], progress: Progress | None = None
) -> list[JudgedPicture]:
    """What a classifier says of each picture whose class is known.

    Raises:
        NotMeasurableError: If the system does not classify pictures.
        CohortError: If no case has a class that the system knows.
    """
    if not isinstance(system, PictureJudge) or "classify" not in system.card.answers:
        raise NotMeasurableError(
            f"weights of '{system.card.name}', which do not classify pictures",
            "weights that do; 'groundglass systems' lists what each system can",
        )
    judged = []
    for done, case in enumerate(cases, start=1):
        true = system.truth(case)
        answer = None if true is None else system.judge(case)
        if true is not None and answer is not None:
            chances, said, exclusive = answer
            names = tuple(chances)
            judged.append(
                JudgedPicture(
                    case.case,
                    case.patient,
                    names,
                    exclusive,
                    np.array([chances[name] for name in names]),
                    np.array([said[name] for name in names]),
                    np.array([true[name] for name in names]),
                )
            )
        if progress is not None:
            progress(done, len(cases))
    if not judged:
        raise CohortError(
            f"found none of {len(cases)} cases with a class that the weights know, expected some; "
            "check labels and modality of the table"
        )
    return judged


def sum_up_classes(
    judged: Sequence[JudgedPicture],
) -> tuple[dict[str, dict[str, Estimate]], dict[str, list[list[int]]]]:
    """Metrics by class with intervals over patients, and the confusion."""
    bootstrap = PatientBootstrap([one.patient for one in judged])
    said = np.stack([one.said for one in judged])
    true = np.stack([one.true for one in judged])
    chances = np.stack([one.probability for one in judged])
    first = judged[0]
    classes: dict[str, dict[str, Estimate]] = {}
    for k, name in enumerate(first.classes):
        classes[name] = _estimates(bootstrap, chances[:, k], said[:, k], true[:, k])
    right = (said == true).all(1) if first.exclusive else (said == true).mean(1)
    classes[OVERALL] = {"accuracy": bootstrap.mean(list(map(float, right)))}
    if first.exclusive:
        classes[OVERALL]["adjusted_f1"] = bootstrap.estimate(lambda w: _adjusted_f1(w, said, true))
    return classes, _confusion(first, said, true)


def _estimates(
    bootstrap: PatientBootstrap,
    chances: NDArray[np.float64],
    said: NDArray[np.bool_],
    true: NDArray[np.bool_],
) -> dict[str, Estimate]:
    """Metrics of one class, as far as they are defined."""

    def rate(metric: str) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
        return lambda weights: _rates(weights, said, true)[metric]

    whole = np.ones((1, len(true)))
    found = {
        metric: bootstrap.estimate(rate(metric))
        for metric in _METRICS
        if not np.isnan(rate(metric)(whole)[0])
    }
    if 0 < true.sum() < len(true):
        found["auc"] = bootstrap.estimate(lambda weights: _areas(weights, chances, true))
    return found


def judged_pictures(judged: Sequence[JudgedPicture]) -> list[CaseMetrics]:
    """A row for each picture and class."""
    return [
        CaseMetrics(
            one.case,
            one.patient,
            name,
            {"probability": float(p), "said": float(s), "true": float(t)},
        )
        for one in judged
        for name, p, s, t in zip(one.classes, one.probability, one.said, one.true, strict=True)
    ]


def _rates(
    weights: NDArray[np.float64], said: NDArray[np.bool_], true: NDArray[np.bool_]
) -> dict[str, NDArray[np.float64]]:
    """Each metric for each resample."""
    tp, fp = weights @ (said & true), weights @ (said & ~true)
    fn, tn = weights @ (~said & true), weights @ (~said & ~true)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "accuracy": (tp + tn) / (tp + tn + fp + fn),
            "sensitivity": tp / (tp + fn),
            "specificity": tn / (tn + fp),
            "precision": tp / (tp + fp),
            "f1": 2 * tp / (2 * tp + fp + fn),
            "mcc": (tp * tn - fp * fn) / np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)),
        }


def _adjusted_f1(
    weights: NDArray[np.float64], said: NDArray[np.bool_], true: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """F1 of each class by its share of the cases (Ter-Sarkisov 2022, equation 3)."""
    pairs = zip(said.T, true.T, strict=True)
    f1 = np.stack([np.nan_to_num(_rates(weights, *pair)["f1"]) for pair in pairs], 1)
    shares: NDArray[np.float64] = (weights @ true) / weights.sum(1, keepdims=True)
    adjusted: NDArray[np.float64] = (f1 * shares).sum(1)
    return adjusted


def _areas(
    weights: NDArray[np.float64], chances: NDArray[np.float64], true: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Area under the ROC curve for each resample, in which cases stand several times."""
    areas = []
    for row in weights.astype(int):
        repeated = np.repeat(np.arange(len(true)), row)
        areas.append(area_under_curve(chances[repeated], true[repeated]))
    return np.array(areas)


def _confusion(
    first: JudgedPicture, said: NDArray[np.bool_], true: NDArray[np.bool_]
) -> dict[str, list[list[int]]]:
    if first.exclusive:
        table = np.zeros((len(first.classes), len(first.classes)), int)
        np.add.at(table, (true.argmax(1), said.argmax(1)), 1)
        return {OVERALL: table.tolist()}
    tables = {}
    for k, name in enumerate(first.classes):
        table = np.zeros((2, 2), int)
        np.add.at(table, (true[:, k].astype(int), said[:, k].astype(int)), 1)
        tables[name] = table.tolist()
    return tables

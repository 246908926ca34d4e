"""Inf-Net's protocol: the probability of lesion on whole slices, cut at 256 thresholds.

The map is compared on the picture's own grid. It is not stretched to 0 to 1 on each slice, as the
released code does: that shows a lesion on every healthy slice. Fan et al., IEEE TMI 2020,
doi:10.1109/TMI.2020.2996645, section IV.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from groundglass.data.cohort import Case
from groundglass.errors import NotMeasurableError
from groundglass.evaluation.result import (
    CaseMetrics,
    Estimate,
    Measurement,
    PatientBootstrap,
    Progress,
    Result,
    weighted_mean,
)
from groundglass.labels import OPACITIES, Lesion
from groundglass.metrics.segmentation import Overlap
from groundglass.metrics.structure import structure_measure
from groundglass.metrics.threshold_sweep import (
    ThresholdSweep,
    adaptive_threshold,
    mean_absolute_error,
)
from groundglass.systems import Segmenter
from groundglass.systems.system import KindMapper, LesionMapper

KINDS = {"ground_glass": Lesion.GROUND_GLASS, "consolidation": Lesion.CONSOLIDATION}


class SweptResult(Result):
    """How well one structure was found.

    Dice and sensitivity are means over the slices that show the structure, all else over all
    slices.

    Attributes:
        summary: ``mean_dice``, ``mean_sensitivity``, ``mean_specificity`` and ``mean_e_measure``
            are means over slices and thresholds, ``max_dice`` is the highest point of the curve
            of Dice over threshold, ``adaptive_dice`` has a threshold for each slice, ``s_measure``
            and ``mae`` judge the map uncut. ``dice`` is the mean over slices of Dice at 0.5 (of
            the most probable kind, for kinds) and ``pooled_dice`` that of all pixels together.
            ``released_mean_dice`` and ``released_mean_specificity`` count 0 wherever no pixel is
            rightly found, as the released code does.
        slices: Number of slices.
        shown: Number of slices that show the structure.
    """

    summary: dict[str, Estimate]
    slices: int
    shown: int


class InfNetEvaluation(Measurement):
    """A system over one split by Inf-Net's protocol.

    Attributes:
        protocol: Tells it apart from other protocols.
        structures: Results by structure: ``lesion``, ``ground_glass``, ``consolidation``.
    """

    protocol: Literal["inf-net"] = "inf-net"
    structures: dict[str, SweptResult]


@dataclass(frozen=True, slots=True, eq=False)
class SweptSlice:
    """One structure on one slice.

    Attributes:
        case: Name of the slice.
        patient: Its patient.
        sweep: Counts at each threshold.
        overlap: Counts of the mask at 0.5, or of the most probable kind.
        adaptive_dice: Dice at twice the mean of the map.
        s_measure: Structure measure.
        mae: Mean absolute error.
    """

    case: str
    patient: str
    sweep: ThresholdSweep
    overlap: Overlap
    adaptive_dice: float
    s_measure: float
    mae: float


SweptSlices = dict[str, list[SweptSlice]]


def sweep_cases(
    segmenter: Segmenter, cases: Sequence[Case], progress: Progress | None = None
) -> list[dict[str, SweptSlice]]:
    """Every slice whose lesions are known, cut at every threshold: its structures by name.

    Raises:
        NotMeasurableError: If the system gives no probabilities, or no lesion is known.
    """
    if not isinstance(segmenter, LesionMapper):
        raise NotMeasurableError(
            f"system '{segmenter.card.name}' without lesion_probability",
            "one that gives probabilities; measure it with --protocol as-used",
        )
    swept = []
    for done, case in enumerate(cases):
        one = _sweep_case(segmenter, case)
        if one:
            swept.append(one)
        if progress is not None:
            progress(done + 1, len(cases))
    if not swept:
        raise NotMeasurableError("no case with known lesions", "some; add their masks to the table")
    return swept


def by_structure(swept: Sequence[dict[str, SweptSlice]]) -> SweptSlices:
    """The slices of each structure."""
    structures: SweptSlices = defaultdict(list)
    for one in swept:
        for structure, swept_slice in one.items():
            structures[structure].append(swept_slice)
    return dict(structures)


def _sweep_case(segmenter: LesionMapper, case: Case) -> dict[str, SweptSlice]:
    lesions = case.read_lesions()
    if lesions is None:
        return {}
    pixels = case.read_image()
    probability = segmenter.lesion_probability(pixels)
    true = np.isin(lesions, OPACITIES)
    swept = {"lesion": _sweep(case, probability, true, probability >= 0.5)}
    kinds_known = case.lesions != "none" and not (lesions == Lesion.UNSPECIFIED).any()
    kinds = segmenter.kind_probabilities(pixels) if isinstance(segmenter, KindMapper) else None
    if kinds is None or not kinds_known:
        return swept
    chosen = most_probable_kind(kinds)
    for (structure, kind), mapped in zip(KINDS.items(), kinds, strict=True):
        swept[structure] = _sweep(case, mapped, lesions == kind, chosen == kind)
    return swept


def most_probable_kind(kinds: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Numbers of ``Lesion`` where a kind is more probable than the other and than background.

    Args:
        kinds: (2, row, column), ground-glass opacity and consolidation; what is left to 1 is
            background.
    """
    background = np.clip(1 - kinds.sum(0, keepdims=True), 0, 1)
    best = np.concatenate([background, kinds]).argmax(0)
    numbers: NDArray[np.uint8] = np.array([0, *KINDS.values()], np.uint8)[best]
    return numbers


def _sweep(
    case: Case,
    probability: NDArray[np.float32],
    true: NDArray[np.bool_],
    found: NDArray[np.bool_],
) -> SweptSlice:
    adaptive = probability >= adaptive_threshold(probability)
    return SweptSlice(
        case.case,
        case.patient,
        ThresholdSweep.of(probability, true),
        Overlap.of(found, true),
        Overlap.of(adaptive, true).dice,
        structure_measure(probability, true),
        mean_absolute_error(probability, true),
    )


def swept_result(slices: Sequence[SweptSlice]) -> SweptResult:
    """The slices of one structure, averaged."""
    bootstrap = PatientBootstrap([one.patient for one in slices])
    shown = np.array([one.sweep.true > 0 for one in slices])
    summary: dict[str, Estimate] = {}
    if shown.any():
        dice = np.stack([one.sweep.dice for one in slices])

        def highest(weights: NDArray[np.float64]) -> NDArray[np.float64]:
            curves: NDArray[np.float64] = weighted_mean(weights[:, shown], dice[shown]).max(1)
            return curves

        summary = {
            name: bootstrap.mean(np.where(shown, [measure(one) for one in slices], np.nan).tolist())
            for name, measure in _OF_SHOWN.items()
        }
        summary["max_dice"] = bootstrap.estimate(highest)
    for name, measure in _OF_ALL.items():
        summary[name] = bootstrap.mean([measure(one) for one in slices])
    summary["pooled_dice"] = bootstrap.estimate(_pooled_dice(slices))
    return SweptResult(summary=summary, slices=len(slices), shown=int(shown.sum()))


def _pooled_dice(
    slices: Sequence[SweptSlice],
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    both = np.array([one.overlap.both for one in slices], np.float64)
    either = np.array([2 * o.both + o.predicted_only + o.true_only for o in _overlaps(slices)])

    def pooled(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        whole = weights @ either
        dice: NDArray[np.float64] = np.ones(len(whole))
        np.divide(2 * (weights @ both), whole, out=dice, where=whole > 0)
        return dice

    return pooled


def _overlaps(slices: Sequence[SweptSlice]) -> list[Overlap]:
    return [one.overlap for one in slices]


def _released(one: SweptSlice, curve: NDArray[np.float64]) -> float:
    return float(np.where(one.sweep.both > 0, curve, 0.0).mean())


_OF_SHOWN: dict[str, Callable[[SweptSlice], float]] = {
    "mean_dice": lambda one: float(one.sweep.dice.mean()),
    "adaptive_dice": lambda one: one.adaptive_dice,
    "mean_sensitivity": lambda one: float(one.sweep.sensitivity.mean()),
    "dice": lambda one: one.overlap.dice,
}
_OF_ALL: dict[str, Callable[[SweptSlice], float]] = {
    "mean_specificity": lambda one: float(one.sweep.specificity.mean()),
    "mean_e_measure": lambda one: float(one.sweep.e_measure.mean()),
    "s_measure": lambda one: one.s_measure,
    "mae": lambda one: one.mae,
    "released_mean_dice": lambda one: _released(one, one.sweep.dice),
    "released_mean_specificity": lambda one: _released(one, one.sweep.specificity),
}


def swept_cases(swept: SweptSlices) -> list[CaseMetrics]:
    """One row for each slice and structure."""
    measures = {**_OF_SHOWN, **_OF_ALL}
    return [
        CaseMetrics(
            one.case, one.patient, structure, {name: of(one) for name, of in measures.items()}
        )
        for structure, slices in swept.items()
        for one in slices
    ]

"""Liu's protocol: lesions counted one by one, the tiny ones apart, on whole slices.

Liu et al., Methods 2021, doi:10.1016/j.ymeth.2021.07.001, section 3.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from groundglass.data.cohort import Case
from groundglass.data.stacks import find_neighbors
from groundglass.errors import NotMeasurableError
from groundglass.evaluation.result import (
    CaseMetrics,
    Estimate,
    Measurement,
    PatientBootstrap,
    Progress,
    weighted_mean,
)
from groundglass.labels import is_opacity
from groundglass.metrics.instances import Instance, TrueLesion, as_instances, judge
from groundglass.metrics.segmentation import Overlap
from groundglass.systems import Segmenter
from groundglass.systems.system import LesionMapper, TripleDetector

LEAST_SCORE = 0.5
"""Instances less sure than this do not count; but all that a map of lesion shows do."""

FALSE_PER_SLICE = (1, 2, 4)
"""False instances a slice at which systems are compared, each at the score that lets so many pass.

Systems differ in how sure they say they are; at one score one finds more and errs more. A system
that never makes so many has no such score.
"""

SMALLEST_PX = 4
"""Regions of fewer pixels are specks: of the truth, not asked for; of a system, not counted."""


class TinyLesionsEvaluation(Measurement):
    """A system over one split by Liu's protocol.

    Attributes:
        protocol: Tells it apart from other protocols.
        regions: Number of true lesions: connected regions of single slices.
        tiny_regions: How many of them are below 0.059 % of a slice of 512 x 512.
        summary: ``dice``, the mean over slices that show lesion, ``patient_dice``, the mean over
            patients, and ``pooled_dice``, of all pixels; ``accuracy``, the share of the pixels of
            lesions that are found (the paper leaves background out); ``sensitivity`` and
            ``tiny_sensitivity``, the share of lesions, and of tiny ones, whose mask an instance
            overlaps by more than half of their union, and ``box_sensitivity`` and
            ``tiny_box_sensitivity``, the same of boxes; ``false_per_slice``, instances that overlap
            no lesion so; all these at a score of 0.5, or of all that a map of lesion shows.
            ``sensitivity_at_2`` and ``tiny_sensitivity_at_2``, likewise for 1 and 4, with instances
            of any score, down to that from which on at most so many of a slice are false; left out
            where there are never so many. Several instances on one lesion are not false.
    """

    protocol: Literal["tiny-lesions"] = "tiny-lesions"
    regions: int
    tiny_regions: int
    summary: dict[str, Estimate]


@dataclass(frozen=True, slots=True)
class CountedSlice:
    """A slice with what became of its lesions.

    Attributes:
        case: Name of the slice.
        patient: Its patient.
        overlap: Counts of pixels.
        lesions: Its true lesions.
        false: Scores of the instances that are none.
        least_score: Instances less sure than this do not count.
    """

    case: str
    patient: str
    overlap: Overlap
    lesions: tuple[TrueLesion, ...]
    false: tuple[float, ...]
    least_score: float = LEAST_SCORE

    @property
    def surely_false(self) -> int:
        """Instances that are no lesion and count."""
        return sum(score >= self.least_score for score in self.false)

    def found(self, *, by_box: bool = False, only_tiny: bool = False) -> int:
        """Lesions that an instance which counts overlaps enough."""
        asked = [lesion for lesion in self.lesions if lesion.tiny or not only_tiny]
        scores = [lesion.box_score if by_box else lesion.mask_score for lesion in asked]
        return sum(score >= self.least_score for score in scores)


def count_lesions(
    system: Segmenter, cases: Sequence[Case], progress: Progress | None = None
) -> list[CountedSlice]:
    """Every slice whose lesions are known.

    A system that looks at three slices gets the neighbors; of one that maps probabilities,
    connected lesions with the boxes around them are the instances.

    Raises:
        NotMeasurableError: If the system gives no probabilities, or no lesion is known.
    """
    find, least_score = _finder(system, cases)
    counted = []
    for index, case in enumerate(cases):
        lesions = case.read_lesions()
        if lesions is not None:
            true = is_opacity(lesions)
            found = [one for one in find(index) if np.count_nonzero(one.mask) >= SMALLEST_PX]
            sure = [one.mask for one in found if one.score >= least_score]
            overlap = Overlap.of(np.logical_or.reduce(sure or [np.zeros_like(true)]), true)
            judged, false = judge(found, true, SMALLEST_PX)
            counted.append(
                CountedSlice(
                    case.case, case.patient, overlap, tuple(judged), tuple(false), least_score
                )
            )
        if progress is not None:
            progress(index + 1, len(cases))
    if not any(one.lesions for one in counted):
        raise NotMeasurableError("no slice that shows a lesion", "a cohort with lesion masks")
    return counted


def _finder(
    system: Segmenter, cases: Sequence[Case]
) -> tuple[Callable[[int], list[Instance]], float]:
    """What finds the instances of a slice, and the score from which on they count.

    The score of a region of a map is its mean probability, above the threshold of lesion at least:
    each is lesion in use, and counts here, where that is below one half as well.
    """
    if isinstance(system, TripleDetector):
        neighbors = find_neighbors(cases)

        def between_neighbors(index: int) -> list[Instance]:
            before, after = neighbors[index]
            pictures = [
                None if k is None else cases[k].read_image() for k in (before, index, after)
            ]
            return system.find_between(pictures)

        return between_neighbors, LEAST_SCORE
    if isinstance(system, LesionMapper):
        least = system.card.lesion_threshold
        return (
            lambda index: as_instances(system.lesion_probability(cases[index].read_image()), least),
            min(least, LEAST_SCORE),
        )
    raise NotMeasurableError(
        f"system '{system.card.name}' without lesion_probability",
        "one that gives probabilities; measure it with --protocol as-used",
    )


def sum_up_lesions(counted: Sequence[CountedSlice]) -> tuple[int, int, dict[str, Estimate]]:
    """Regions, tiny regions and summary of :class:`TinyLesionsEvaluation`."""
    bootstrap = PatientBootstrap([one.patient for one in counted])
    dice = [one.overlap.dice if one.lesions else float("nan") for one in counted]
    summary = {
        "dice": bootstrap.mean(dice),
        "patient_dice": bootstrap.estimate(_patient_dice(counted)),
        "false_per_slice": bootstrap.mean([float(one.surely_false) for one in counted]),
    }
    for name, (part, whole) in (_SHARES | _free_response(counted)).items():
        parts, wholes = (
            np.array([count(one) for one in counted], float) for count in (part, whole)
        )
        if wholes.any():
            summary[name] = bootstrap.estimate(_share(parts, wholes))
    regions = [lesion for one in counted for lesion in one.lesions]
    return len(regions), sum(lesion.tiny for lesion in regions), summary


def _patient_dice(
    counted: Sequence[CountedSlice],
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Mean over patients of the Dice of all pixels of each; a patient's slices weigh alike."""
    of_patient: dict[str, list[int]] = {}
    for index, one in enumerate(counted):
        of_patient.setdefault(one.patient, []).append(index)
    first = [indices[0] for indices in of_patient.values()]
    dice = [
        sum((counted[index].overlap for index in indices), Overlap()).dice
        for indices in of_patient.values()
    ]
    return lambda weights: weighted_mean(weights[:, first], np.array(dice))


def _share(
    parts: NDArray[np.float64], wholes: NDArray[np.float64]
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    def share(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        total = weights @ wholes
        shares: NDArray[np.float64] = np.full(len(total), np.nan)
        np.divide(weights @ parts, total, out=shares, where=total > 0)
        return shares

    return share


_Count = Callable[[CountedSlice], int]


def _count(of: Callable[[TrueLesion], bool]) -> _Count:
    return lambda one: sum(map(of, one.lesions))


_ANY, _TINY = _count(lambda _: True), _count(lambda lesion: lesion.tiny)


def _free_response(counted: Sequence[CountedSlice]) -> dict[str, tuple[_Count, _Count]]:
    """Lesions found, and tiny ones, where so many instances of a slice may be false."""
    false = sorted((score for one in counted for score in one.false), reverse=True)
    shares = {}
    for rate in FALSE_PER_SLICE:
        allowed = rate * len(counted)
        if len(false) > allowed:
            beyond = false[allowed]
            shares[f"sensitivity_at_{rate}"] = (_surer_than(beyond), _ANY)
            shares[f"tiny_sensitivity_at_{rate}"] = (_surer_than(beyond, only_tiny=True), _TINY)
    return shares


def _surer_than(score: float, *, only_tiny: bool = False) -> _Count:
    return _count(lambda lesion: lesion.mask_score > score and (lesion.tiny or not only_tiny))


_SHARES: dict[str, tuple[_Count, _Count]] = {
    "pooled_dice": (
        lambda one: 2 * one.overlap.both,
        lambda one: 2 * one.overlap.both + one.overlap.predicted_only + one.overlap.true_only,
    ),
    "accuracy": (
        lambda one: one.overlap.both,
        lambda one: one.overlap.both + one.overlap.true_only,
    ),
    "sensitivity": (lambda one: one.found(), _ANY),
    "tiny_sensitivity": (lambda one: one.found(only_tiny=True), _TINY),
    "box_sensitivity": (lambda one: one.found(by_box=True), _ANY),
    "tiny_box_sensitivity": (lambda one: one.found(by_box=True, only_tiny=True), _TINY),
}
"""Shares of the summary: what is counted, and out of how many."""


def lesion_rows(counted: Sequence[CountedSlice]) -> list[CaseMetrics]:
    """Dice, lesions and what was found of them on each slice."""
    return [
        CaseMetrics(
            one.case,
            one.patient,
            "lesion",
            {
                "dice": one.overlap.dice,
                "lesions": float(len(one.lesions)),
                "found": float(one.found()),
                "false": float(one.surely_false),
            },
        )
        for one in counted
    ]

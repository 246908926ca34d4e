"""The named protocols: how a system is looked at on slices, and how these are summed up."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundglass.data.cohort import Case, ct_slices
from groundglass.errors import NotMeasurableError
from groundglass.evaluation.as_used import (
    Evaluation,
    find,
    find_cases,
    found_cases,
    structure_results,
)
from groundglass.evaluation.classes import (
    ClassesEvaluation,
    judge_pictures,
    judged_pictures,
    sum_up_classes,
)
from groundglass.evaluation.inf_net import (
    InfNetEvaluation,
    SweptSlices,
    by_structure,
    sweep_cases,
    swept_cases,
    swept_result,
)
from groundglass.evaluation.instances import (
    InstancesEvaluation,
    average_precision,
    instance_rows,
    judge_instances,
)
from groundglass.evaluation.result import CaseMetrics, Progress
from groundglass.evaluation.tiny_lesions import (
    TinyLesionsEvaluation,
    count_lesions,
    lesion_rows,
    sum_up_lesions,
)
from groundglass.evaluation.volumes import (
    VolumesEvaluation,
    judge_volumes,
    judged_cases,
    levels_of,
    series_aucs,
)
from groundglass.labels import is_opacity
from groundglass.systems import Segmenter
from groundglass.systems.system import LesionMapper, lung_finder

Found = NDArray[np.bool_]
"""Lesions on one slice, (row, column)."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A split summed up.

    Attributes:
        evaluation: What is stored.
        rows: Metrics of each slice and structure.
        swept: Counts at each threshold by structure; empty where the protocol has no thresholds.
    """

    evaluation: (
        Evaluation
        | InfNetEvaluation
        | VolumesEvaluation
        | ClassesEvaluation
        | InstancesEvaluation
        | TinyLesionsEvaluation
    )
    rows: list[CaseMetrics]
    swept: SweptSlices


@dataclass(frozen=True, slots=True)
class Protocol:
    """A way to measure a system.

    Attributes:
        look: Takes a system over cases to one entry for each; entries of several systems, such as
            those of the folds of a cross-validation, may be put together.
        sum_up: Takes the fields of ``Measurement`` and the entries to what they come to.
        finder: Takes a system to what finds lesions on a single case as the protocol does, for
            pictures; an error where there is nothing to draw.
        of_slices: Whether it looks at CT slices alone.
    """

    look: Callable[[Segmenter, Sequence[Case], Progress | None], list[Any]]
    sum_up: Callable[[dict[str, Any], list[Any]], Measured]
    finder: Callable[[Segmenter], Callable[[Case], Found]]
    of_slices: bool = True

    def take(self, cases: Sequence[Case]) -> list[Case]:
        """The cases that it looks at; without radiographs and series, if at slices alone.

        Raises:
            CohortError: If that leaves none.
        """
        return ct_slices(cases) if self.of_slices else list(cases)


def _sum_up_as_used(facts: dict[str, Any], entries: list[Any]) -> Measured:
    evaluation = Evaluation(**facts, structures=structure_results(entries))
    return Measured(evaluation, found_cases(entries), {})


def _find_as_used(segmenter: Segmenter) -> Callable[[Case], Found]:
    finder = lung_finder(segmenter, segmenter.device)
    return lambda case: is_opacity(find(finder, segmenter, case)[1])


def _sum_up_inf_net(facts: dict[str, Any], entries: list[Any]) -> Measured:
    swept = by_structure(entries)
    structures = {name: swept_result(slices) for name, slices in swept.items()}
    evaluation = InfNetEvaluation(**facts, structures=structures)
    return Measured(evaluation, swept_cases(swept), swept)


def _find_inf_net(segmenter: Segmenter) -> Callable[[Case], Found]:
    if not isinstance(segmenter, LesionMapper):
        raise NotMeasurableError(
            f"system '{segmenter.card.name}' without lesion_probability",
            "one that gives probabilities; measure it with --protocol as-used",
        )
    probability = segmenter.lesion_probability
    return lambda case: probability(case.read_image()) >= 0.5


def _sum_up_volumes(facts: dict[str, Any], entries: list[Any]) -> Measured:
    evaluation = VolumesEvaluation(
        **facts, levels=levels_of(entries), series_auc=series_aucs(entries)
    )
    return Measured(evaluation, judged_cases(entries), {})


def _sum_up_classes(facts: dict[str, Any], entries: list[Any]) -> Measured:
    classes, confusion = sum_up_classes(entries)
    evaluation = ClassesEvaluation(
        **_judged_alone(facts, entries), classes=classes, confusion=confusion
    )
    return Measured(evaluation, judged_pictures(entries), {})


def _judged_alone(facts: dict[str, Any], entries: list[Any]) -> dict[str, Any]:
    """Fields of ``Measurement`` that count the cases which were judged, and no others."""
    patients = {one.patient for one in entries}
    return {**facts, "cases": len(entries), "patients": len(patients)}


def _find_nothing(segmenter: Segmenter) -> Callable[[Case], Found]:
    raise NotMeasurableError(
        f"answers of '{segmenter.card.name}', in which there are no lesions to draw",
        "a system that segments; leave --pictures out",
    )


def _find_no_dice(segmenter: Segmenter) -> Callable[[Case], Found]:
    raise NotMeasurableError(
        f"instances of '{segmenter.card.name}', which have no Dice to draw",
        "a protocol that has, such as as-used; leave --pictures out",
    )


def _sum_up_instances(facts: dict[str, Any], entries: list[Any]) -> Measured:
    evaluation = InstancesEvaluation(
        **_judged_alone(facts, entries),
        instances=sum(len(one.true) for one in entries),
        structures=average_precision(entries),
    )
    return Measured(evaluation, instance_rows(entries), {})


def _sum_up_lesions(facts: dict[str, Any], entries: list[Any]) -> Measured:
    regions, tiny, summary = sum_up_lesions(entries)
    evaluation = TinyLesionsEvaluation(**facts, regions=regions, tiny_regions=tiny, summary=summary)
    return Measured(evaluation, lesion_rows(entries), {})


PROTOCOLS = {
    "as-used": Protocol(find_cases, _sum_up_as_used, _find_as_used),
    "instances": Protocol(judge_instances, _sum_up_instances, _find_no_dice),
    "tiny-lesions": Protocol(count_lesions, _sum_up_lesions, _find_as_used),
    "inf-net": Protocol(sweep_cases, _sum_up_inf_net, _find_inf_net),
    "classes": Protocol(judge_pictures, _sum_up_classes, _find_nothing, of_slices=False),
    "volumes": Protocol(judge_volumes, _sum_up_volumes, _find_nothing, of_slices=False),
}
"""Protocols by the name that ``--protocol`` takes."""

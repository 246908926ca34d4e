"""A system as it is used: each slice a lone picture, lungs found, lesions looked for inside."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import nan
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from groundglass.data.cohort import Case
from groundglass.errors import NotMeasurableError
from groundglass.evaluation.result import (
    CaseMetrics,
    Measurement,
    Progress,
    Result,
    Summary,
    summarize,
)
from groundglass.labels import Lesion, is_opacity
from groundglass.metrics.segmentation import Overlap
from groundglass.scan import CTSlices, Source
from groundglass.systems.system import LungFinder, Segmenter, lung_finder

OVERLAP_METRICS = ("dice", "iou", "sensitivity", "specificity", "precision", "mcc")


class StructureResult(Result):
    """How well one structure was found.

    Attributes:
        summary: Metrics over patients: ``dice``, ``iou``, ``sensitivity``, ``specificity``,
            ``precision`` and ``mcc`` from voxels pooled per patient; ``dice_per_slice`` the mean
            over a patient's slices; ``volume_error`` predicted less true volume as a share of the
            true; ``opacity_error``, of lesions where the true lungs are known, how far the
            percentage of opacity is off, in percentage points. ``sensitivity`` and
            ``volume_error`` are over patients that have the structure, ``precision`` over those
            with something found.
        patients: The Dice of each patient, voxels pooled.
        slices: Number of slices with known truth.
    """

    summary: dict[str, Summary]
    patients: dict[str, float]
    slices: int


class Evaluation(Measurement):
    """A system over one split, as it is used.

    Attributes:
        protocol: Tells it apart from other protocols.
        structures: Results by structure: ``lungs``, ``lesion``, ``ground_glass``,
            ``consolidation``.
    """

    protocol: Literal["as-used"] = "as-used"
    structures: dict[str, StructureResult]


@dataclass(frozen=True, slots=True)
class Opacity:
    """Pixels behind a percentage of opacity, found and true; those of slices add up.

    Attributes:
        found_lesion: Lesion inside the lungs, both as found.
        found_lung: Lung as found.
        true_lesion: Lesion inside the lungs, both true.
        true_lung: True lung.
    """

    found_lesion: int = 0
    found_lung: int = 0
    true_lesion: int = 0
    true_lung: int = 0

    def __add__(self, other: "Opacity") -> "Opacity":
        """Pixels of both together."""
        return Opacity(
            self.found_lesion + other.found_lesion,
            self.found_lung + other.found_lung,
            self.true_lesion + other.true_lesion,
            self.true_lung + other.true_lung,
        )

    @property
    def error(self) -> float:
        """Distance of the percentages in percentage points; NaN where there is no true lung.

        Where no lung was found the percentage found counts as 0.
        """
        if not self.true_lung:
            return float("nan")
        found = self.found_lesion / self.found_lung if self.found_lung else 0.0
        return 100 * abs(found - self.true_lesion / self.true_lung)


@dataclass(frozen=True, slots=True)
class FoundSlice:
    """What was found on one slice, beside the truth.

    Attributes:
        case: Name of the slice.
        patient: Its patient.
        overlaps: Counts of each structure whose truth is known.
        opacity: Pixels behind the percentage of opacity; ``None`` where it is not known.
    """

    case: str
    patient: str
    overlaps: dict[str, Overlap]
    opacity: Opacity | None


def find_cases(
    segmenter: Segmenter, cases: Sequence[Case], progress: Progress | None = None
) -> list[FoundSlice]:
    """Find lungs and lesions on every slice and compare them with the truth.

    Each slice is given as a lone picture, as ``groundglass segment`` would read it; lesions are
    looked for in the lungs that were found, not in the true ones.

    Raises:
        NotMeasurableError: If neither lungs nor lesions of any slice are known.
    """
    finder = lung_finder(segmenter, segmenter.device)
    found = []
    for done, case in enumerate(cases):
        lungs, lesions = find(finder, segmenter, case)
        overlaps = case_overlaps(case, lungs, lesions)
        found.append(
            FoundSlice(case.case, case.patient, overlaps, case_opacity(case, lungs, lesions))
        )
        if progress is not None:
            progress(done + 1, len(cases))
    if not any(one.overlaps for one in found):
        raise NotMeasurableError("no slice whose lungs or lesions are known", "a cohort with masks")
    return found


def find(
    finder: LungFinder, segmenter: Segmenter, case: Case
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Lungs and lesions found on a slice, numbers of ``Lung`` and of ``Lesion``."""
    picture = CTSlices((case.case,), (case.read_image(),), Source(case.case, "cohort"))
    lungs = finder.find_lungs(picture)
    lesions = segmenter.segment(picture, lungs)
    return lungs.slices[0], lesions.slices[0]


def case_overlaps(
    case: Case, lungs: NDArray[np.uint8], lesions: NDArray[np.uint8]
) -> dict[str, Overlap]:
    """Overlaps of each structure whose truth is known; a lesion is opacified lung, of any kind.

    Args:
        case: The slice with its truth.
        lungs: Found lungs, numbers of ``Lung``.
        lesions: Found lesions, numbers of ``Lesion``.
    """
    overlaps = {}
    true_lungs, true_lesions = case.read_lungs(), case.read_lesions()
    if true_lungs is not None:
        overlaps["lungs"] = Overlap.of(lungs > 0, true_lungs > 0)
    if true_lesions is not None:
        overlaps["lesion"] = Overlap.of(is_opacity(lesions), is_opacity(true_lesions))
        if not (true_lesions == Lesion.UNSPECIFIED).any() and case.lesions != "none":
            for structure, kind in _KINDS.items():
                overlaps[structure] = Overlap.of(lesions == kind, true_lesions == kind)
    return overlaps


_KINDS = {"ground_glass": Lesion.GROUND_GLASS, "consolidation": Lesion.CONSOLIDATION}


def case_opacity(
    case: Case, lungs: NDArray[np.uint8], lesions: NDArray[np.uint8]
) -> Opacity | None:
    """Pixels behind the percentage of opacity; ``None`` where lungs or lesions are not known."""
    true_lungs, true_lesions = case.read_lungs(), case.read_lesions()
    if true_lungs is None or true_lesions is None:
        return None
    return Opacity(
        int(np.count_nonzero(is_opacity(lesions) & (lungs > 0))),
        int(np.count_nonzero(lungs)),
        int(np.count_nonzero(is_opacity(true_lesions) & (true_lungs > 0))),
        int(np.count_nonzero(true_lungs)),
    )


@dataclass
class _Structure:
    pooled: dict[str, Overlap] = field(default_factory=lambda: defaultdict(Overlap))
    slices: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    opacity: dict[str, Opacity] = field(default_factory=lambda: defaultdict(Opacity))


def structure_results(found: Sequence[FoundSlice]) -> dict[str, StructureResult]:
    """Results by structure, voxels pooled per patient."""
    structures: dict[str, _Structure] = defaultdict(_Structure)
    for one in found:
        for name, overlap in one.overlaps.items():
            structures[name].pooled[one.patient] += overlap
            structures[name].slices[one.patient].append(overlap.dice)
        if one.opacity is not None:
            structures["lesion"].opacity[one.patient] += one.opacity
    return {name: _result(structure) for name, structure in structures.items()}


def _result(structure: _Structure) -> StructureResult:
    patients = sorted(structure.pooled)
    pooled = [structure.pooled[patient] for patient in patients]
    values = {
        **{metric: [_metric(overlap, metric) for overlap in pooled] for metric in OVERLAP_METRICS},
        "dice_per_slice": [float(np.mean(structure.slices[patient])) for patient in patients],
        "volume_error": [overlap.volume_error for overlap in pooled],
        "opacity_error": [opacity.error for _, opacity in sorted(structure.opacity.items())],
    }
    defined = {metric: [v for v in found if not np.isnan(v)] for metric, found in values.items()}
    return StructureResult(
        summary={metric: summarize(numbers) for metric, numbers in defined.items() if numbers},
        patients={p: round(o.dice, 4) for p, o in zip(patients, pooled, strict=True)},
        slices=sum(len(numbers) for numbers in structure.slices.values()),
    )


def _metric(overlap: Overlap, name: str) -> float:
    """A metric by name; NaN where it would be a share of nothing."""
    whole = {
        "sensitivity": overlap.both + overlap.true_only,
        "precision": overlap.both + overlap.predicted_only,
    }
    return float(getattr(overlap, name)) if whole.get(name, 1) else nan


def found_cases(found: Sequence[FoundSlice]) -> list[CaseMetrics]:
    """One row for each slice and structure."""
    rows = []
    for one in found:
        for structure, overlap in one.overlaps.items():
            metrics = {name: _metric(overlap, name) for name in OVERLAP_METRICS}
            metrics["volume_error"] = overlap.volume_error
            if structure == "lesion" and one.opacity is not None:
                metrics["opacity_error"] = one.opacity.error
            rows.append(CaseMetrics(one.case, one.patient, structure, metrics))
    return rows

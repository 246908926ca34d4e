"""A system over a split of a cohort, through the same path that a user's pictures take."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from groundglass.data.cohort import Case, Cohort, Split
from groundglass.labels import Lesion
from groundglass.metrics.segmentation import Overlap
from groundglass.scan import CTSlices, Source
from groundglass.systems import load_system
from groundglass.systems.system import LungFinder, Segmenter, lung_finder

Progress = Callable[[int, int], None]
"""Called with the number of finished and of all cases."""

RESAMPLES = 2000
"""Bootstrap resamples of patients behind every confidence interval."""


class _Result(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Summary(_Result):
    """One metric over patients.

    Attributes:
        mean: Mean over patients.
        low: Lower end of the 95 % bootstrap interval, patients resampled.
        high: Upper end.
        spread: Standard deviation over patients.
    """

    mean: float
    low: float
    high: float
    spread: float


class StructureResult(_Result):
    """How well one structure was found.

    Attributes:
        summary: Metrics over patients: ``dice``, ``iou``, ``sensitivity``, ``specificity``,
            ``precision`` from voxels pooled per patient; ``dice_per_slice`` the mean over a
            patient's slices.
        patients: The Dice of each patient, voxels pooled.
        slices: Number of slices with known truth.
    """

    summary: dict[str, Summary]
    patients: dict[str, float]
    slices: int


class Evaluation(_Result):
    """A system over one split.

    Attributes:
        system: Name of the system.
        weights_sha256: Checksum of its weights.
        cohort: Name of the cohort.
        split: The split.
        cases: Number of slices.
        patients: Number of patients.
        structures: Results by structure: ``lungs``, ``lesion``, ``ground_glass``,
            ``consolidation``.
    """

    system: str
    weights_sha256: str
    cohort: str
    split: str
    cases: int
    patients: int
    structures: dict[str, StructureResult]


@dataclass
class _Structure:
    pooled: dict[str, Overlap] = field(default_factory=lambda: defaultdict(Overlap))
    slices: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, patient: str, overlap: Overlap) -> None:
        self.pooled[patient] += overlap
        self.slices[patient].append(overlap.dice)


def evaluate(
    system: str,
    cohort: Cohort,
    split: Split,
    *,
    name: str,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Evaluation:
    """Find lungs and lesions on every slice of a split and compare them with the truth.

    Each slice is given as a lone picture, as ``groundglass segment`` would read it; lesions are
    looked for in the lungs that were found, not in the true ones.

    Args:
        system: Name of a system or folder of a run.
        cohort: The cohort.
        split: Which part of it.
        name: Name of the cohort in the table.
        device: Where the network runs.
        progress: Told how far it is.

    Raises:
        CohortError: If the split is empty.
        UnknownNameError: If there is no such system.
    """
    segmenter = load_system(system, device)
    finder = lung_finder(segmenter, device)
    cases = cohort.split(split)
    structures: dict[str, _Structure] = defaultdict(_Structure)
    for done, case in enumerate(cases):
        lungs, lesions = _find(finder, segmenter, case)
        for structure, overlap in case_overlaps(case, lungs, lesions).items():
            structures[structure].add(case.patient, overlap)
        if progress is not None:
            progress(done + 1, len(cases))
    weights = segmenter.card.weights
    return Evaluation(
        system=segmenter.card.name,
        weights_sha256=weights.sha256 if weights else "",
        cohort=name,
        split=split,
        cases=len(cases),
        patients=len({case.patient for case in cases}),
        structures={key: _result(value) for key, value in structures.items()},
    )


def _find(
    finder: LungFinder, segmenter: Segmenter, case: Case
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    picture = CTSlices((case.case,), (case.read_image(),), Source(case.case, "cohort"))
    lungs = finder.find_lungs(picture)
    lesions = segmenter.segment(picture, lungs)
    return lungs.slices[0], lesions.slices[0]


def case_overlaps(
    case: Case, lungs: NDArray[np.uint8], lesions: NDArray[np.uint8]
) -> dict[str, Overlap]:
    """Overlaps of each structure whose truth is known.

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
        overlaps["lesion"] = Overlap.of(lesions > 0, true_lesions > 0)
        if not (true_lesions == Lesion.UNSPECIFIED).any() and case.lesions != "none":
            for structure, kind in _KINDS.items():
                overlaps[structure] = Overlap.of(lesions == kind, true_lesions == kind)
    return overlaps


_KINDS = {"ground_glass": Lesion.GROUND_GLASS, "consolidation": Lesion.CONSOLIDATION}


def _result(structure: _Structure) -> StructureResult:
    patients = sorted(structure.pooled)
    pooled = [structure.pooled[patient] for patient in patients]
    values: Mapping[str, Iterable[float]] = {
        **{
            metric: [float(getattr(overlap, metric)) for overlap in pooled]
            for metric in ("dice", "iou", "sensitivity", "specificity", "precision")
        },
        "dice_per_slice": [float(np.mean(structure.slices[patient])) for patient in patients],
    }
    return StructureResult(
        summary={metric: summarize(list(numbers)) for metric, numbers in values.items()},
        patients={p: round(o.dice, 4) for p, o in zip(patients, pooled, strict=True)},
        slices=sum(len(numbers) for numbers in structure.slices.values()),
    )


def summarize(values: Sequence[float], seed: int = 0) -> Summary:
    """Mean over patients with a 95 % bootstrap interval.

    Args:
        values: One number per patient.
        seed: Seed of the resampling.
    """
    numbers = np.asarray(values, np.float64)
    random = np.random.default_rng(seed)
    means = random.choice(numbers, (RESAMPLES, numbers.size)).mean(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Summary(
        mean=round(float(numbers.mean()), 4),
        low=round(float(low), 4),
        high=round(float(high), 4),
        spread=round(float(numbers.std(ddof=1)) if numbers.size > 1 else 0.0, 4),
    )

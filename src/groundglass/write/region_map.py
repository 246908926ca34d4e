"""Lobes and regions on the page: where they were laid, and how much of each is opacified."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.findings import Findings
from groundglass.labels import OPACITIES, Label, Lobe, Lung, Region
from groundglass.mask import Mask
from groundglass.report import Report
from groundglass.score import Score
from groundglass.write import figures
from groundglass.write.figures import Picture, Plane
from groundglass.write.wording import quantity

LOBE_SCORES = (
    "total_severity_score",
    "ct_score_by_lobe",
    "lung_severity_score",
    "lung_high_opacity_score",
)
REGION_SCORE = "ct_severity_score"
GIVEN_LOBES = "given lobes"


@dataclass(frozen=True, slots=True)
class MapFigure:
    """One cut with its lobes."""

    picture: Picture
    caption: str


@dataclass(frozen=True, slots=True)
class PartRow:
    """A lobe or a region with its opacified share as the page shows it."""

    title: str
    color: str
    percent: str


@dataclass(frozen=True, slots=True)
class RegionMap:
    """What the page shows of lobes and regions.

    Attributes:
        source: Where the lobes come from.
        estimated: Whether they are estimated.
        figures: A coronal slice, and a sagittal one through each lung.
        lobes: The lobes that the scan shows.
        segments: Regions of the right and the left lung side by side.
        lobe_scores: Scores with lobes as parts.
        region_score: CT-SS.
    """

    source: str
    estimated: bool
    figures: tuple[MapFigure, ...]
    lobes: tuple[PartRow, ...]
    segments: tuple[tuple[PartRow | None, PartRow | None], ...]
    lobe_scores: tuple[Score, ...]
    region_score: Score | None

    @property
    def titles(self) -> list[str]:
        """Titles of all lobes and regions."""
        return [label.title for labels in (Lobe, Region) for label in labels]


def region_map(report: Report) -> RegionMap | None:
    """The map of a report, or ``None`` where lobes and regions are not known."""
    findings = report.findings
    if findings.lobes is None or findings.regions is None:
        return None
    source = report.provenance.regions_source
    lobes = _rows(findings, findings.lobes)
    regions = _rows(findings, findings.regions)
    scores = tuple(s for name in LOBE_SCORES if (s := report.score(name)))
    return RegionMap(
        source=source or "not stated",
        estimated=not source.startswith(GIVEN_LOBES),
        figures=tuple(_figures(findings, findings.lobes)),
        lobes=tuple(lobes[lobe] for lobe in Lobe if lobe in lobes),
        segments=tuple((regions.get(n), regions.get(n + 10)) for n in range(1, 11)),
        lobe_scores=scores,
        region_score=report.score(REGION_SCORE),
    )


def _rows(findings: Findings, parts: Mask) -> dict[int, PartRow]:
    """For each lobe or region that has a voxel, its row."""
    size = int(max(parts.labels)) + 1
    voxels, opacified = np.zeros((2, size), np.int64)
    for lungs, numbers, opacity in zip(
        findings.lungs.slices, parts.slices, findings.lesions.where(*OPACITIES), strict=True
    ):
        inside = lungs > 0
        voxels += np.bincount(numbers[inside], minlength=size)
        opacified += np.bincount(numbers[inside & opacity], minlength=size)
    return {int(p): _row(p, voxels[p], opacified[p]) for p in parts.labels if voxels[p]}


def _row(part: Label, voxels: np.int64, opacified: np.int64) -> PartRow:
    return PartRow(part.title, part.color, quantity(float(100.0 * opacified / voxels), "%"))


def _figures(findings: Findings, lobes: Mask) -> Iterator[MapFigure]:
    box = figures.lung_box(findings)
    row = _row_with_most_lung(findings.lungs)
    yield _figure(
        figures.coronal(findings, row, box),
        lobes.array[box[0], row, box[2]],
        f"Coronal slice {row + 1} of {lobes.array.shape[1]}",
    )
    for lung in Lung:
        if not any((s == int(lung)).any() for s in findings.lungs.slices):
            continue
        column = figures.sagittal_column(findings, lung)
        yield _figure(
            figures.sagittal(findings, column, box),
            lobes.array[box[0], box[1], column],
            f"Sagittal slice {column + 1} of {lobes.array.shape[2]}, {lung.title}",
        )


def _row_with_most_lung(lungs: Mask) -> int:
    """Through the middle of the lungs, where a coronal slice crosses most lobes."""
    return int(np.argmax(sum(np.count_nonzero(s, axis=1) for s in lungs.slices)))


def _figure(plane: Plane, lobes: NDArray[np.uint8], caption: str) -> MapFigure:
    return MapFigure(figures.lobes_overlaid(plane, lobes, f"{caption}, lobes in color"), caption)

"""The patient's own fissure, where the scan shows it clearly.

Around a mean fissure the lung is unfolded: one axis runs through the fissure, the others along it.
Seen like this a fissure is a thin bright sheet that lies nearly level, while vessels are dots and
short lines. The smooth surface that follows most of such sheet is sought twice, each time in one
half of the lung divided like a chessboard. A fissure gives the same surface twice; noise and
vessels give two different ones, and then the mean fissure stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from groundglass.lungs.fissures import Surface, surface_terms
from groundglass.lungs.lung_frame import LungFrame

Floats = NDArray[np.float32]

REACH = 0.24
"""How far from the mean fissure it is sought, as a share of the height of the lung."""

STEP_MM = 1.6
"""Distance of the points along the fissure."""

CLIP_HU = (-950.0, -700.0)
"""What is brighter is a vessel and no fissure; it must not outshine one."""

SMOOTH = (2.0, 2.0, 0.7)
"""Width of the smoothing in points: twice along the fissure, and through it in mm."""

SIDE_MM = 4
"""At this distance to both sides of a fissure lies darker lung."""

MOST_HU = 20.0
"""More contrast than this does not make a fissure more likely."""

LEAST_HU = 5.0
"""Contrast that the surface of one half must follow, in the mean, in the other half."""

LEAST_LEVEL_HU = 8.0
"""The same for a horizontal fissure: noise and vessels make level sheets along the slices too."""

AGREE_MM = 2.0
"""So near to each other must the surfaces of the two halves lie, in the median."""

SQUARE = 6
"""Side of a square of the chessboard, in points."""

LEAST_POINTS = 500

SPREAD = np.array([0.12, 0.28, 0.4, 0.2, 0.3, 0.24])
"""How much the terms of a surface differ between people, as the search begins."""

UNUSUAL = np.array([0.12, 0.35, 0.8, 0.25, 0.6, 0.6])
"""A term that differs from the mean by so much costs ``PENALTY_HU``."""

PENALTY_HU = 0.3

BLUR_MM = (5.0, 4.0, 3.0, 2.0, 1.5, 1.0)
"""The search runs from a blurred sheet to a sharp one."""

FIRST_TRIES, STARTS, TRIES, KEPT, POLISH = 2400, 4, 120, 12, 5


@dataclass(frozen=True, slots=True)
class Sheet:
    """A lung unfolded around a mean fissure.

    Attributes:
        terms: What each term of a surface adds at each point, shape (point, 6).
        contrast: Contrast to what lies on both sides in HU, shape (point, offset).
        inside: Where there is lung, the same shape.
        offsets: Distance below the mean fissure, as a share of the height of the lung.
        squares: 0 or 1 for each point: its square of the chessboard.
    """

    terms: Floats
    contrast: Floats
    inside: NDArray[np.bool_]
    offsets: Floats
    squares: NDArray[np.int64]

    def of(self, chosen: NDArray[np.bool_] | slice) -> "Sheet":
        """Some of its points."""
        return Sheet(
            self.terms[chosen],
            self.contrast[chosen],
            self.inside[chosen],
            self.offsets,
            self.squares[chosen],
        )

    def blurred(self, millimeters: float) -> "Sheet":
        """With the contrast spread through the fissure; offsets are 1 mm apart."""
        contrast = ndimage.gaussian_filter1d(self.contrast, millimeters, axis=1)
        return Sheet(self.terms, contrast, self.inside, self.offsets, self.squares)

    def positions(self, change: NDArray[np.float64]) -> NDArray[np.int64]:
        """Number of the offset where a changed surface crosses each point."""
        step = self.offsets[1] - self.offsets[0]
        offsets = self.terms @ change.astype(np.float32)
        positions: NDArray[np.int64] = np.rint((offsets - self.offsets[0]) / step).astype(np.int64)
        return positions


def seen_fissure(
    voxels_hu: NDArray[np.int16],
    lungs: NDArray[np.uint8],
    frame: LungFrame,
    spacing_mm: tuple[float, float, float],
    mean: Surface,
    floor: Surface | None = None,
) -> Surface | None:
    """The fissure as the scan shows it, or ``None`` where it does not show it clearly.

    Args:
        voxels_hu: Hounsfield units, shape (slice, row, column).
        lungs: Label set ``Lung``, the same shape.
        frame: The frame of the lung.
        spacing_mm: Distance of neighboring voxels along slice, row and column.
        mean: The mean course of this fissure.
        floor: For a horizontal fissure, the oblique one, below which it is not.
    """
    sheet = _unfold(voxels_hu, lungs, frame, spacing_mm, mean, floor)
    if len(sheet.terms) < LEAST_POINTS:
        return None
    halves = [sheet.of(sheet.squares == number) for number in (0, 1)]
    sharp = [half.blurred(BLUR_MM[-1]) for half in halves]
    least_hu = LEAST_HU if floor is None else LEAST_LEVEL_HU
    found: list[NDArray[np.float64]] = []
    for number, other in ((0, 1), (1, 0)):
        found.append(_search(halves[number], seed=number))
        if _followed(sharp[other], found[number]) < least_hu:
            return None
    height_mm = frame.lengths[0] * spacing_mm[0]
    apart = np.abs(_crossed(sheet, found[0]).terms @ (found[0] - found[1]))
    if float(np.median(apart)) * height_mm > AGREE_MM:
        return None
    return mean.changed((found[0] + found[1]) / 2)


def _unfold(
    voxels_hu: NDArray[np.int16],
    lungs: NDArray[np.uint8],
    frame: LungFrame,
    spacing_mm: tuple[float, float, float],
    mean: Surface,
    floor: Surface | None,
) -> Sheet:
    rows, columns = (
        np.arange(part.start, part.stop, max(1, round(STEP_MM / mm)))
        for part, mm in zip(frame.box[1:], spacing_mm[1:], strict=True)
    )
    _, depths, breadths = frame.coordinates(frame.box[0].start)
    depth, breadth = depths[rows - rows[0]], breadths[:, columns - columns[0]]
    step = 1.0 / (frame.lengths[0] * spacing_mm[0])
    offsets = np.arange(-REACH, REACH, step).astype(np.float32)
    heights = mean.at(depth, breadth)[..., None] + offsets
    at = np.broadcast_arrays(
        heights * frame.lengths[0] + frame.starts[0] - 0.5,
        rows[:, None, None],
        columns[None, :, None],
    )
    values = ndimage.map_coordinates(voxels_hu, at, output=np.float32, order=1, mode="nearest")
    own = (lungs == int(frame.lung)).view(np.uint8)
    inside = ndimage.map_coordinates(own, at, order=0, mode="constant") > 0
    if floor is not None:
        inside &= heights < floor.at(depth, breadth)[..., None]
    inside = ndimage.binary_erosion(inside, iterations=2)
    squares = np.add.outer(np.arange(len(rows)) // SQUARE, np.arange(len(columns)) // SQUARE) % 2
    kept = inside.any(axis=2)
    terms = surface_terms(depth, breadth)
    return Sheet(
        terms[kept],
        _contrast(values, inside)[kept],
        inside[kept],
        offsets,
        squares[kept],
    )


def _contrast(values_hu: Floats, inside: NDArray[np.bool_]) -> Floats:
    """How much brighter each point is than what lies ``SIDE_MM`` above and below it."""
    weights = ndimage.gaussian_filter(inside.astype(np.float32), SMOOTH)
    smooth = ndimage.gaussian_filter(np.clip(values_hu, *CLIP_HU) * inside, SMOOTH)
    smooth /= np.maximum(weights, 1e-3)
    contrast = np.zeros_like(smooth)
    sides = np.maximum(smooth[..., : -2 * SIDE_MM], smooth[..., 2 * SIDE_MM :])
    contrast[..., SIDE_MM:-SIDE_MM] = smooth[..., SIDE_MM:-SIDE_MM] - sides
    clipped: Floats = np.clip(contrast * inside, 0.0, MOST_HU)
    return clipped


def _search(sheet: Sheet, seed: int) -> NDArray[np.float64]:
    """The change of the six terms whose surface follows most of the sheet.

    Many surfaces are drawn; from each of the best, new ones are drawn around it and the best of
    these kept, again and again (cross-entropy search).
    """
    rng = np.random.default_rng(seed)
    coarse = sheet.of(slice(None, None, 8)).blurred(BLUR_MM[0])
    drawn = SPREAD * rng.normal(size=(FIRST_TRIES, len(SPREAD)))
    starts = _apart(drawn[np.argsort(-_worth(coarse, drawn))])
    stages = [sheet.of(slice(turn % 4, None, 4)).blurred(mm) for turn, mm in enumerate(BLUR_MM)]
    found = np.array([_climb(stages, start, 0.4 * SPREAD, rng) for start in starts])
    sharp = sheet.of(slice(None, None, 2)).blurred(BLUR_MM[-1])
    best: NDArray[np.float64] = found[np.argmax(_worth(sharp, found))]
    return _climb([sharp] * POLISH, best, 0.1 * SPREAD, rng)


def _apart(ranked: NDArray[np.float64]) -> NDArray[np.float64]:
    """The best few that do not lie close together."""
    chosen = ranked[:1]
    for change in ranked[1:]:
        if len(chosen) == STARTS:
            break
        if np.all(np.abs((chosen - change) / SPREAD).max(axis=1) > 1.0):
            chosen = np.vstack([chosen, change])
    return chosen


def _climb(
    stages: Sequence[Sheet],
    start: NDArray[np.float64],
    spread: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    middle = start
    for stage in stages:
        drawn = middle + spread * rng.normal(size=(TRIES, len(SPREAD)))
        best = drawn[np.argsort(-_worth(stage, drawn))[:KEPT]]
        middle, spread = best.mean(axis=0), np.maximum(best.std(axis=0), 0.01 * UNUSUAL)
    return middle


def _worth(sheet: Sheet, changes: NDArray[np.float64]) -> NDArray[np.float64]:
    followed = np.array([_followed(sheet, change) for change in changes])
    worth: NDArray[np.float64] = followed - PENALTY_HU * ((changes / UNUSUAL) ** 2).sum(axis=1)
    return worth


def _followed(sheet: Sheet, change: NDArray[np.float64]) -> float:
    """Mean contrast in HU along a surface; one that leaves the lung gains nothing by it."""
    positions = sheet.positions(change)
    reached = (positions >= 0) & (positions < len(sheet.offsets))
    positions = np.clip(positions, 0, len(sheet.offsets) - 1)
    points = np.arange(len(positions))
    inside = sheet.inside[points, positions] & reached
    return float((sheet.contrast[points, positions] * inside).sum()) / max(
        0.25 * len(points), int(inside.sum())
    )


def _crossed(sheet: Sheet, change: NDArray[np.float64]) -> Sheet:
    """The points where the surface runs through the lung."""
    positions = np.clip(sheet.positions(change), 0, len(sheet.offsets) - 1)
    return sheet.of(sheet.inside[np.arange(len(positions)), positions])

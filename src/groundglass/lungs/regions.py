"""The five lobes and the 20 regions of CT-SS, from the shape of the lungs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.errors import NotMeasurableError
from groundglass.labels import Lobe, Lung, Region
from groundglass.lungs.fissure_evidence import seen_fissure
from groundglass.lungs.fissures import HORIZONTAL, MEAN_FISSURES, OBLIQUE, Surface
from groundglass.lungs.lobe_conventions import LOBES_OF
from groundglass.lungs.lung_frame import LungFrame
from groundglass.lungs.segments import DIVISIONS, PlacedPart, paint, place
from groundglass.mask import Mask
from groundglass.scan import CTScan

ANATOMICAL_MODEL = "anatomical model"
"""Lobes and segments estimated from the shape of the lungs."""

GIVEN_LOBES = "given lobes"
"""Lobes from a mask of the user, segments estimated within them."""

CUT_OFF_SHARE = 0.25
"""A lung of which the first or the last slice holds this share of its largest area is cut off."""

SHORTEST_MM = 80.0
"""The middle nine tenths of a whole lung are longer from apex to base."""

SAMPLES = 40_000
"""About so many voxels of a lung tell where its segments are cut."""


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """Lobes and regions of the lungs; every lung voxel has one of each.

    Attributes:
        lobes: Label set ``Lobe``.
        regions: Label set ``Region``.
        source: Where the lobes come from: ``ANATOMICAL_MODEL``, followed by the fissures that the
            scan shows, or ``GIVEN_LOBES``.
    """

    lobes: Mask
    regions: Mask
    source: str


def find_regions(scan: CTScan, lungs: Mask, lobes: Mask | None = None) -> Regions:
    """The five lobes and the 20 regions of CT-SS.

    The lobes are estimated: mean fissures are laid into each lung by its shape, and moved to where
    the scan clearly shows the patient's own. Segments are estimated within lobes.

    Args:
        scan: The scan.
        lungs: Label set ``Lung`` on its grid; one lung is enough.
        lobes: Label set ``Lobe`` where it is known better, a number for every lung voxel.

    Raises:
        NotMeasurableError: If a lung is cut off by the scan or the lobes are to be estimated in a
            lung too short: the model needs the whole lung.
    """
    frames = [f for lung in Lung if (f := LungFrame.of(lungs.array, lung)) is not None]
    source = GIVEN_LOBES
    if lobes is None:
        lobes, source = _estimated_lobes(scan, lungs, frames)
    of_region = np.zeros(lungs.array.shape, np.uint8)
    for frame in frames:
        _paint_regions(frame, lobes.array, of_region)
    return Regions(lobes, Mask.on(scan, of_region, Region), source)


def _estimated_lobes(scan: CTScan, lungs: Mask, frames: Sequence[LungFrame]) -> tuple[Mask, str]:
    for frame in frames:
        _refuse_part_of_a_lung(frame, lungs.array, scan.spacing_mm[0])
    of_lobe = np.zeros(lungs.array.shape, np.uint8)
    all_seen: list[str] = []
    for frame in frames:
        fissures, seen = _fissures(scan, lungs.array, frame)
        all_seen += seen
        _paint_lobes(frame, lungs.array, fissures, of_lobe)
    source = (
        f"{ANATOMICAL_MODEL}, {' and '.join(all_seen)} as seen" if all_seen else ANATOMICAL_MODEL
    )
    return Mask.on(scan, of_lobe, Lobe), source


def _refuse_part_of_a_lung(frame: LungFrame, lungs: NDArray[np.uint8], slice_mm: float) -> None:
    inside = lungs[frame.box] == int(frame.lung)
    areas = np.count_nonzero(inside, axis=(1, 2))
    top, bottom = frame.box[0].start == 0, frame.box[0].stop == len(lungs)
    ends = [areas[0]] * top + [areas[-1]] * bottom
    expected = "a scan from apex to base of the lungs; give the lobes, or scan the whole chest"
    if any(end > CUT_OFF_SHARE * areas.max() for end in ends):
        raise NotMeasurableError(f"a {frame.lung.title} that the scan cuts off", expected)
    length_mm = frame.lengths[0] * slice_mm
    if length_mm < SHORTEST_MM:
        raise NotMeasurableError(f"a {frame.lung.title} only {length_mm:.0f} mm long", expected)


def _paint_lobes(
    frame: LungFrame,
    lungs: NDArray[np.uint8],
    fissures: Mapping[str, Surface],
    target: NDArray[np.uint8],
) -> None:
    upper, *middle, lower = (np.uint8(lobe) for lobe in LOBES_OF[frame.lung])
    _, depth, breadth = frame.coordinates(frame.box[0].start)
    heights = {name: fissure.at(depth, breadth) for name, fissure in fissures.items()}
    for index in range(frame.box[0].start, frame.box[0].stop):
        height = frame.coordinates(index)[0]
        below_oblique = heights[OBLIQUE] < height
        numbers = np.where(below_oblique, lower, upper)
        if middle:
            numbers[(heights[HORIZONTAL] < height) & ~below_oblique] = middle[0]
        window = (index, *frame.box[1:])
        np.copyto(target[window], numbers, where=lungs[window] == int(frame.lung))


def _fissures(
    scan: CTScan, lungs: NDArray[np.uint8], frame: LungFrame
) -> tuple[dict[str, Surface], list[str]]:
    """The fissures of a lung, and which of them the scan shows."""
    found: dict[str, Surface] = {}
    seen: list[str] = []
    for name, mean in MEAN_FISSURES[frame.lung].items():
        own = seen_fissure(scan.slices, lungs, frame, scan.spacing_mm, mean, found.get(OBLIQUE))
        found[name] = own or mean
        if own is not None:
            seen.append(f"{frame.lung.title.split()[0]} {name} fissure")
    return found, seen


def _paint_regions(frame: LungFrame, lobes: NDArray[np.uint8], target: NDArray[np.uint8]) -> None:
    divisions = {
        lobe: place(DIVISIONS[lobe], points) for lobe, points in _sample(frame, lobes).items()
    }
    for index in range(frame.box[0].start, frame.box[0].stop):
        _paint_slice(frame, divisions, index, lobes, target)


def _paint_slice(
    frame: LungFrame,
    divisions: Mapping[Lobe, PlacedPart],
    index: int,
    lobes: NDArray[np.uint8],
    target: NDArray[np.uint8],
) -> None:
    place_in_lung = frame.coordinates(index)
    window = (index, *frame.box[1:])
    for lobe, division in divisions.items():
        where = lobes[window] == int(lobe)
        if where.any():
            paint(division, target[window], where, *place_in_lung)


def _sample(frame: LungFrame, lobes: NDArray[np.uint8]) -> dict[Lobe, NDArray[np.float32]]:
    """For each lobe, height, depth and breadth of voxels spread evenly, shape (voxel, 3)."""
    first, rows, columns = frame.box
    size = (first.stop - first.start) * (rows.stop - rows.start) * (columns.stop - columns.start)
    step = max(1, int((size / SAMPLES) ** (1 / 3)))
    found: dict[Lobe, list[NDArray[np.float32]]] = {lobe: [] for lobe in LOBES_OF[frame.lung]}
    for index in range(first.start, first.stop, step):
        height, depth, breadth = frame.coordinates(index)
        part = lobes[index, rows, columns][::step, ::step]
        for lobe, points in found.items():
            row, column = np.nonzero(part == int(lobe))
            near = depth[row * step, 0], breadth[0, column * step]
            points.append(np.column_stack([np.full(len(row), height, np.float32), *near]))
    return {lobe: np.concatenate(points) for lobe, points in found.items()}

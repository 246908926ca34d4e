"""The five lobes and the 20 regions of CT-SS, from the shape of the lungs."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.errors import NotMeasurableError
from groundglass.labels import Lobe, Lung, Region
from groundglass.lungs.fissures import HORIZONTAL, LEFT_OBLIQUE, RIGHT_OBLIQUE
from groundglass.lungs.lung_frame import LungFrame
from groundglass.lungs.segments import DIVISIONS, PlacedPart, paint, place
from groundglass.mask import Mask
from groundglass.scan import CTScan

ANATOMICAL_MODEL = "anatomical model"
"""Lobes and segments estimated from the shape of the lungs alone."""

GIVEN_LOBES = "given lobes"
"""Lobes from a mask of the user, segments estimated within them."""

CUT_OFF_SHARE = 0.25
"""A lung of which the first or the last slice holds this share of its largest area is cut off."""

SHORTEST_MM = 80.0
"""The middle nine tenths of a whole lung are longer from apex to base."""

LOBES_OF: Mapping[Lung, tuple[Lobe, ...]] = {
    Lung.RIGHT: (Lobe.RIGHT_UPPER, Lobe.RIGHT_MIDDLE, Lobe.RIGHT_LOWER),
    Lung.LEFT: (Lobe.LEFT_UPPER, Lobe.LEFT_LOWER),
}

SAMPLES = 40_000
"""About so many voxels of a lung tell where its segments are cut."""


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """Lobes and regions of the lungs; every lung voxel has one of each.

    Attributes:
        lobes: Label set ``Lobe``.
        regions: Label set ``Region``.
        source: Where the lobes come from: ``ANATOMICAL_MODEL`` or ``GIVEN_LOBES``.
    """

    lobes: Mask
    regions: Mask
    source: str


def find_regions(scan: CTScan, lungs: Mask, lobes: Mask | None = None) -> Regions:
    """The five lobes and the 20 regions of CT-SS.

    The lobes are estimated: mean fissures are laid into each lung by its shape. They follow the
    anatomy of most people, not this patient's own fissures. Segments are estimated within lobes.

    Args:
        scan: The scan.
        lungs: Label set ``Lung`` on its grid; one lung is enough.
        lobes: Label set ``Lobe`` where it is known better, a number for every lung voxel.

    Raises:
        NotMeasurableError: If a lung is cut off by the scan or the lobes are to be estimated in a
            lung too short: the model needs the whole lung.
    """
    frames = [f for lung in Lung if (f := LungFrame.of(lungs.array, lung)) is not None]
    if lobes is None:
        for frame in frames:
            _refuse_part_of_a_lung(frame, lungs.array, scan.spacing_mm[0])
    of_lobe = np.zeros(lungs.array.shape, np.uint8) if lobes is None else lobes.array
    of_region = np.zeros(lungs.array.shape, np.uint8)
    for frame in frames:
        if lobes is None:
            _paint_lobes(frame, lungs.array, of_lobe)
        _paint_regions(frame, of_lobe, of_region)
    return Regions(
        lobes or Mask.on(scan, of_lobe, Lobe),
        Mask.on(scan, of_region, Region),
        ANATOMICAL_MODEL if lobes is None else GIVEN_LOBES,
    )


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


def _paint_lobes(frame: LungFrame, lungs: NDArray[np.uint8], target: NDArray[np.uint8]) -> None:
    right = frame.lung is Lung.RIGHT
    upper, *middle, lower = (np.uint8(lobe) for lobe in LOBES_OF[frame.lung])
    _, depth, breadth = frame.coordinates(frame.box[0].start)
    oblique = (RIGHT_OBLIQUE if right else LEFT_OBLIQUE).at(depth, breadth)
    horizontal = HORIZONTAL.at(depth, breadth)
    for index in range(frame.box[0].start, frame.box[0].stop):
        height = frame.coordinates(index)[0]
        numbers = np.where(oblique < height, lower, upper)
        if right:
            numbers[(horizontal < height) & (oblique >= height)] = middle[0]
        window = (index, *frame.box[1:])
        np.copyto(target[window], numbers, where=lungs[window] == int(frame.lung))


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

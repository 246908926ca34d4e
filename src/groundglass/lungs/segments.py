"""How each lobe falls into its segments: a few cuts, placed by the lobe's own shape.

No CT shows the borders of the segments; they follow from the bronchi. The cuts here run as the
textbook drawings do, in the frame of the lung. Each takes a fixed share of the volume of its lobe,
so that every segment of a lobe is there whatever the lobe's shape.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from groundglass.labels import Lobe, Region

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Cut:
    """A plane that divides what there is in two.

    Attributes:
        direction: Weights of height, depth and breadth; the plane stands across it.
        share: Share of the volume that comes first in this direction.
        first: What comes first.
        rest: What comes after it.
    """

    direction: tuple[float, float, float]
    share: float
    first: "Part"
    rest: "Part"


@dataclass(frozen=True, slots=True)
class Fan:
    """Sectors around an upright axis through the middle of what there is.

    Attributes:
        sectors: Region and the angle where it ends, in degrees: 0 faces the mediastinum, 90 the
            front, 180 the ribs, 270 the back.
        start: Angle where the first sector begins.
    """

    sectors: tuple[tuple[Region, float], ...]
    start: float


Part = Region | Cut | Fan

DOWN, BACK, OUT = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.5, 1.0)


def _upper(apical: Region, anterior: Region, posterior: Region) -> Cut:
    return Cut(DOWN, 0.33, apical, Cut(BACK, 0.6, anterior, posterior))


def _lower(superior: Region, *basal: Region) -> Cut:
    """Superior segment, then medial, anterior, lateral and posterior basal segment."""
    sectors = tuple(zip(basal, (25.0, 140.0, 215.0, 325.0), strict=True))
    return Cut((1.0, -0.15, 0.0), 0.27, superior, Fan(sectors, start=-35.0))


DIVISIONS: Mapping[Lobe, Part] = MappingProxyType(
    {
        Lobe.RIGHT_UPPER: _upper(
            Region.RIGHT_APICAL, Region.RIGHT_ANTERIOR, Region.RIGHT_POSTERIOR
        ),
        Lobe.RIGHT_MIDDLE: Cut(OUT, 0.55, Region.RIGHT_MEDIAL, Region.RIGHT_LATERAL),
        Lobe.RIGHT_LOWER: _lower(
            Region.RIGHT_SUPERIOR,
            Region.RIGHT_MEDIAL_BASAL,
            Region.RIGHT_ANTERIOR_BASAL,
            Region.RIGHT_LATERAL_BASAL,
            Region.RIGHT_POSTERIOR_BASAL,
        ),
        Lobe.LEFT_UPPER: Cut(
            DOWN,
            0.68,
            _upper(Region.LEFT_APICAL, Region.LEFT_ANTERIOR, Region.LEFT_POSTERIOR),
            Cut(DOWN, 0.5, Region.LEFT_SUPERIOR_LINGULAR, Region.LEFT_INFERIOR_LINGULAR),
        ),
        Lobe.LEFT_LOWER: _lower(
            Region.LEFT_SUPERIOR,
            Region.LEFT_MEDIAL_BASAL,
            Region.LEFT_ANTERIOR_BASAL,
            Region.LEFT_LATERAL_BASAL,
            Region.LEFT_POSTERIOR_BASAL,
        ),
    }
)
"""The segments of each lobe."""


@dataclass(frozen=True, slots=True)
class PlacedCut:
    """A cut whose plane lies at a known place."""

    direction: tuple[float, float, float]
    threshold: float
    first: "PlacedPart"
    rest: "PlacedPart"


@dataclass(frozen=True, slots=True)
class PlacedFan:
    """A fan whose axis stands at a known depth and breadth."""

    fan: Fan
    depth: float
    breadth: float


PlacedPart = Region | PlacedCut | PlacedFan


def place(part: Part, points: NDArray[np.float32]) -> PlacedPart:
    """The division with its planes and axes in their places.

    Args:
        part: How to divide.
        points: Height, depth and breadth of voxels spread evenly over what is divided, shape
            (voxel, 3); without one, all of it goes to the first part.
    """
    if isinstance(part, Region):
        return part
    if isinstance(part, Fan):
        middle = points.mean(axis=0) if len(points) else np.zeros(3)
        return PlacedFan(part, float(middle[1]), float(middle[2]))
    along = points @ np.array(part.direction, np.float32)
    threshold = float(np.quantile(along, part.share)) if len(along) else np.inf
    first = along <= threshold
    return PlacedCut(
        part.direction,
        threshold,
        place(part.first, points[first]),
        place(part.rest, points[~first]),
    )


def paint(
    part: PlacedPart,
    target: NDArray[np.uint8],
    where: NDArray[np.bool_],
    height: float,
    depth: Floats,
    breadth: Floats,
) -> None:
    """Write the numbers of the regions into one slice.

    Args:
        part: The division.
        target: Label set ``Region``, shape (row, column); changed where ``where`` is true.
        where: Pixels to divide.
        height: Height of the slice in the frame of the lung.
        depth: Depth of each row, shape (row, 1).
        breadth: Breadth of each column, shape (1, column).
    """
    if isinstance(part, Region):
        target[where] = int(part)
    elif isinstance(part, PlacedFan):
        target[where] = _sectors(part, depth, breadth)[where]
    else:
        down, back, out = part.direction
        first = where & (down * height + back * depth + out * breadth <= part.threshold)
        paint(part.first, target, first, height, depth, breadth)
        paint(part.rest, target, where & ~first, height, depth, breadth)


def _sectors(placed: PlacedFan, depth: Floats, breadth: Floats) -> NDArray[np.uint8]:
    angles = np.degrees(np.arctan2(placed.depth - depth, placed.breadth - breadth))
    start, sectors = placed.fan.start, placed.fan.sectors
    ends = np.array([end - start for _, end in sectors[:-1]], np.float32)
    numbers = np.array([int(region) for region, _ in sectors], np.uint8)
    return np.asarray(numbers[np.searchsorted(ends, (angles - start) % 360.0)], np.uint8)

"""Which number of a lobe mask is which lobe, in the conventions of those who make such masks."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from groundglass.labels import Lobe, Lung

LOBES_OF: Mapping[Lung, tuple[Lobe, ...]] = MappingProxyType(
    {
        Lung.RIGHT: (Lobe.RIGHT_UPPER, Lobe.RIGHT_MIDDLE, Lobe.RIGHT_LOWER),
        Lung.LEFT: (Lobe.LEFT_UPPER, Lobe.LEFT_LOWER),
    }
)
"""The lobes of each lung, from apex to base."""

_LEFT_FIRST = (
    Lobe.LEFT_UPPER,
    Lobe.LEFT_LOWER,
    Lobe.RIGHT_UPPER,
    Lobe.RIGHT_MIDDLE,
    Lobe.RIGHT_LOWER,
)

CONVENTIONS: Mapping[str, Mapping[int, Lobe]] = MappingProxyType(
    {
        "groundglass": {int(lobe): lobe for lobe in Lobe},
        "lungmask LTRCLobes": dict(enumerate(_LEFT_FIRST, start=1)),
        "TotalSegmentator 2 total": dict(enumerate(_LEFT_FIRST, start=10)),
        "TotalSegmentator 1 total": dict(enumerate(_LEFT_FIRST, start=13)),
    }
)
"""Numbers of the lobes in the masks of known programs. Other numbers of a mask are other organs."""

FITTING_SHARE = 0.9
"""Share of the lung voxels with a lobe that must lie in the lung of that lobe."""

_ABBREVIATIONS = {
    "rul": Lobe.RIGHT_UPPER,
    "rml": Lobe.RIGHT_MIDDLE,
    "rll": Lobe.RIGHT_LOWER,
    "lul": Lobe.LEFT_UPPER,
    "lll": Lobe.LEFT_LOWER,
}


_POSITIONS = {"right", "left", "upper", "middle", "lower"}
_FILLERS = {"lobe", "lung", "of", "the"}


def lobe_named(name: str) -> Lobe | None:
    """The lobe that a name means, such as ``lung_upper_lobe_left``, ``RUL`` or the words of SNOMED.

    ``None`` where it means something else, such as a lesion in a lobe.
    """
    words = set(re.findall(r"[a-z]+", name.lower()))
    if len(words) == 1:
        return _ABBREVIATIONS.get(words.pop())
    if "lobe" not in words or words - _POSITIONS - _FILLERS:
        return None
    place = words - _FILLERS
    return next((lobe for lobe in Lobe if set(lobe.name.lower().split("_")) == place), None)


@dataclass(frozen=True, slots=True, eq=False)
class Overlaps:
    """Voxels of each mask number in each lung, and how high they lie.

    Attributes:
        voxels: Shape (3, number): outside the lungs, right lung, left lung.
        heights: Sum of their slice indices within the lungs, shape (number,).
    """

    voxels: NDArray[np.int64]
    heights: NDArray[np.float64]


def overlaps_of(numbers: NDArray[np.uint16], lungs: NDArray[np.uint8]) -> Overlaps:
    """Where the numbers of a mask lie.

    Args:
        numbers: The mask, shape (slice, row, column), slices from head to feet.
        lungs: Label set ``Lung``, same shape.
    """
    size = int(numbers.max()) + 1
    voxels = np.zeros((len(Lung) + 1, size), np.int64)
    heights = np.zeros(size)
    for index, (own, lung) in enumerate(zip(numbers, lungs, strict=True)):
        pairs = np.bincount(
            lung.ravel().astype(np.int64) * size + own.ravel(), minlength=voxels.size
        ).reshape(voxels.shape)
        voxels += pairs
        heights += index * pairs[1:].sum(axis=0)
    return Overlaps(voxels, heights)


def convention_of(found: Overlaps) -> tuple[str, Mapping[int, Lobe]] | None:
    """The convention of a lobe mask, told by where its numbers lie in the lungs.

    Several conventions use the same numbers. The right one puts its lobes into the lungs they
    belong to, upper lobes above lower ones.

    Args:
        found: Where the numbers lie.

    Returns:
        Name and numbers of the convention, or ``None`` where none fits.
    """
    return next(((name, own) for name, own in CONVENTIONS.items() if fits(own, found)), None)


def fits(convention: Mapping[int, Lobe], found: Overlaps) -> bool:
    """Whether a mask puts the lobes of a convention where they belong."""
    of_lobe = {
        lobe: found.voxels[:, number]
        for number, lobe in convention.items()
        if number < found.voxels.shape[1]
    }
    own_side = sum(
        int(of_lobe[lobe][int(lung)])
        for lung, lobes in LOBES_OF.items()
        for lobe in lobes
        if lobe in of_lobe
    )
    labeled = int(found.voxels[1:, 1:].sum())
    return own_side > FITTING_SHARE * max(labeled, 1) and _upper_above_lower(convention, found)


def _upper_above_lower(convention: Mapping[int, Lobe], found: Overlaps) -> bool:
    inside = found.voxels[1:].sum(axis=0)
    height = {
        lobe: found.heights[number] / inside[number]
        for number, lobe in convention.items()
        if number < len(inside) and inside[number]
    }
    for upper, *_, lower in LOBES_OF.values():
        if upper in height and lower in height and height[upper] >= height[lower]:
            return False
    return True

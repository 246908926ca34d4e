"""Coordinates that mean the same place in every lung, whatever its size and shape."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.labels import Lung

LOW, HIGH = 0.05, 0.95
"""Shares of the lung's volume between which a coordinate runs from 0 to 1.

Shares instead of the outermost voxels: the tip of an apex, a deep recess behind the diaphragm or a
leak of the mask hardly moves them, and they do not depend on the voxel size.
"""

Coordinates = tuple[float, NDArray[np.float32], NDArray[np.float32]]
"""Of one slice: height, depth of shape (row, 1), breadth of shape (1, column)."""

Box = tuple[slice, slice, slice]


@dataclass(frozen=True, slots=True)
class LungFrame:
    """The frame of one lung.

    Height runs from the apex to the base, depth from the front to the back, breadth from the
    mediastinum to the ribs: 0 where 5 per cent of the lung's volume are passed, 1 at 95 per cent.

    Attributes:
        lung: Which lung it is.
        box: The part of the volume that holds the lung.
        starts: Where height, depth and breadth are 0, in voxels along slice, row and column.
        lengths: From there to where they are 1, in voxels; negative for the breadth of the right
            lung, whose ribs lie at the lower columns.
    """

    lung: Lung
    box: Box
    starts: tuple[float, float, float]
    lengths: tuple[float, float, float]

    @classmethod
    def of(cls, lungs: NDArray[np.uint8], lung: Lung) -> "LungFrame | None":
        """The frame of a lung, or ``None`` where there is no voxel of it.

        Args:
            lungs: Label set ``Lung``, shape (slice, row, column).
            lung: Which lung.
        """
        profiles = _profiles(lungs, lung)
        if not profiles[0].any():
            return None
        found = [np.flatnonzero(p) for p in profiles]
        box = tuple(slice(int(f[0]), int(f[-1]) + 1) for f in found)
        low, high = (np.array([_position(p, share) for p in profiles]) for share in (LOW, HIGH))
        if lung is Lung.RIGHT:
            low[2], high[2] = high[2], low[2]
        return cls(lung, (box[0], box[1], box[2]), _triple(low), _triple(high - low))

    def coordinates(self, index: int) -> Coordinates:
        """Height, depth and breadth of slice ``index`` of the volume within the box."""
        axes = (
            (np.arange(part.start, part.stop, dtype=np.float32) + 0.5 - start) / length
            for part, start, length in zip(self.box, self.starts, self.lengths, strict=True)
        )
        height, depth, breadth = (axis.astype(np.float32) for axis in axes)
        return float(height[index - self.box[0].start]), depth[:, None], breadth[None, :]


def _profiles(lungs: NDArray[np.uint8], lung: Lung) -> tuple[NDArray[np.int64], ...]:
    """Voxels of a lung along each of the three axes."""
    profiles = tuple(np.zeros(n, np.int64) for n in lungs.shape)
    for index, pixels in enumerate(lungs):
        inside = pixels == int(lung)
        profiles[1][:] += np.count_nonzero(inside, axis=1)
        profiles[2][:] += np.count_nonzero(inside, axis=0)
        profiles[0][index] = np.count_nonzero(inside)
    return profiles


def _position(profile: NDArray[np.int64], share: float) -> float:
    """Where along an axis this share of the volume is passed, in voxels from the outer edge."""
    passed = np.concatenate([[0.0], np.cumsum(profile) / profile.sum()])
    last = int(np.searchsorted(passed, share))
    before, after = passed[last - 1], passed[last]
    return float(last - 1 + (share - before) / (after - before))


def _triple(values: NDArray[np.float64]) -> tuple[float, float, float]:
    first, second, third = (float(v) for v in values)
    return first, second, third

"""A grid of voxels that anatomy is painted on, in mm of the phantom's thorax."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.data.phantom_anatomy import Coordinates, Inside

HEIGHT_MM = 300.0
"""Height of the thorax; a grid of this height shows all of the lungs."""

WIDTH_MM = 358.4
"""Width and depth of the field of view that shows all of the body."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """Voxels with their positions.

    Attributes:
        values: Hounsfield units, axes slice, row, column; painted in place.
        z: Position of each slice in mm, shape (slice, 1, 1).
        y: Position of each row in mm, shape (1, row, 1).
        x: Position of each column in mm, shape (1, 1, column).
    """

    values: NDArray[np.float32]
    z: Coordinates
    y: Coordinates
    x: Coordinates

    @classmethod
    def blank(
        cls, shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], value: float
    ) -> "Canvas":
        """Canvas around the middle of the thorax, filled with one value."""
        middle = (HEIGHT_MM / 2, 0.0, 0.0)
        z, y, x = (
            (m + s * (np.arange(n) - (n - 1) / 2)).astype(np.float32)
            for m, s, n in zip(middle, spacing_mm, shape, strict=True)
        )
        values = np.full(shape, value, np.float32)
        return cls(values, z[:, None, None], y[None, :, None], x[None, None, :])

    def within(
        self,
        *,
        x: tuple[float, float] = (-1e4, 1e4),
        y: tuple[float, float] = (-1e4, 1e4),
        z: tuple[float, float] = (-1e4, 1e4),
    ) -> "Canvas":
        """The part of the canvas between these positions in mm; it shares its voxels."""
        rows, columns, slices = _range(self.y, y), _range(self.x, x), _range(self.z, z)
        return Canvas(
            self.values[slices, rows, columns],
            self.z[slices],
            self.y[:, rows],
            self.x[:, :, columns],
        )

    def slabs(self) -> Iterator["Canvas"]:
        """The canvas in pieces of a few slices that fit into the processor's cache."""
        thickness = max(1, 400_000 // max(1, self.values[0].size))
        for start in range(0, len(self.values), thickness):
            part = slice(start, start + thickness)
            yield Canvas(self.values[part], self.z[part], self.y, self.x)

    def positions(
        self, where: tuple[NDArray[np.intp], ...]
    ) -> tuple[Coordinates, Coordinates, Coordinates]:
        """x, y and z in mm of voxels given by their slices, rows and columns."""
        slices, rows, columns = where
        return self.x[0, 0, columns], self.y[0, rows, 0], self.z[slices, 0, 0]

    def paint(self, where: Inside, value: float | NDArray[np.float32]) -> None:
        """Give every voxel inside one value."""
        np.copyto(self.values, np.float32(value), where=where)

    def tube(
        self,
        start: Coordinates,
        end: Coordinates,
        radius: float | tuple[float, float],
        value: float,
    ) -> None:
        """Blend a round tube between two points (x, y, z) into the canvas.

        A tube thinner than a voxel leaves its share of the voxel, as a scanner would show it.

        Args:
            start: First end in mm.
            end: Second end in mm.
            radius: Radius in mm, or the radii at both ends.
            value: Hounsfield units inside.
        """
        first, last = radius if isinstance(radius, tuple) else (radius, radius)
        reach = max(first, last) + 2.0 * self.voxel_mm
        low, high = np.minimum(start, end) - reach, np.maximum(start, end) + reach
        part = self.within(x=(low[0], high[0]), y=(low[1], high[1]), z=(low[2], high[2]))
        if part.values.size == 0:
            return
        along = end - start
        length = max(float(along @ along), 1e-6)
        away = (part.x - start[0], part.y - start[1], part.z - start[2])
        t = np.clip(sum(a * d for a, d in zip(away, along, strict=True)) / length, 0.0, 1.0)
        square = sum((a - t * d) ** 2 for a, d in zip(away, along, strict=True))
        thickness = first + t * (last - first)
        share = np.clip((thickness - np.sqrt(square)) / self.voxel_mm + 0.5, 0.0, 1.0)
        share *= np.minimum(1.0, (2.0 * thickness / self.voxel_mm) ** 2)
        part.values[...] += share * (np.float32(value) - part.values)

    @property
    def voxel_mm(self) -> float:
        """Size of a voxel within its slice."""
        return float(abs(self.x[0, 0, 1] - self.x[0, 0, 0])) if self.x.size > 1 else 1.0


def _range(positions: Coordinates, limits: tuple[float, float]) -> slice:
    low, high = np.searchsorted(positions.ravel(), limits)
    return slice(int(low), int(high))

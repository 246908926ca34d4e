"""Smooth chance that is the same for a seed at any voxel size."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.data.phantom_anatomy import Coordinates


@dataclass(frozen=True, slots=True)
class Waves:
    """A sum of plane waves, about -1 to 1.

    Attributes:
        directions: Waves per mm times two pi along x, y and z, one row a wave.
        phases: Where each wave begins.
    """

    directions: NDArray[np.float32]
    phases: NDArray[np.float32]

    @classmethod
    def of(cls, length_mm: float, rng: np.random.Generator) -> "Waves":
        """Waves of about this length."""
        directions = rng.normal(size=(5, 3))
        lengths = length_mm * rng.uniform(0.7, 1.5, size=5)
        directions *= (2 * np.pi / lengths / np.linalg.norm(directions, axis=1))[:, None]
        phases = rng.uniform(0, 2 * np.pi, size=5)
        return cls(directions.astype(np.float32), phases.astype(np.float32))

    def __call__(self, x: Coordinates, y: Coordinates, z: Coordinates) -> NDArray[np.float32]:
        """Value at points in mm."""
        total = np.zeros(np.broadcast_shapes(x.shape, y.shape, z.shape), np.float32)
        for (kx, ky, kz), phase in zip(self.directions, self.phases, strict=True):
            total += np.sin(kx * x + ky * y + kz * z + phase)
        return total / np.float32(2.5)

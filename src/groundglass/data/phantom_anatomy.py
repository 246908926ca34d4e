"""Shape of the phantom's thorax: which point in space belongs to which organ."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Coordinates = NDArray[np.float32]
"""Positions in mm along one axis of the thorax, of any shape that broadcasts with the others."""

Inside = NDArray[np.bool_]

APEX_MM = 22.0
"""Height of the lung apices below the top of the thorax."""

CARINA_MM = (-2.0, 14.0, 118.0)
"""Where the trachea divides: x, y, z."""

HILA_MM = ((-36.0, 16.0, 138.0), (40.0, 18.0, 136.0))
"""Where bronchus and vessels enter the right and the left lung: x, y, z."""


@dataclass(frozen=True, slots=True)
class Thorax:
    """One thorax. Lengths in mm; x runs to the patient's left, y to the back, z to the feet.

    The origin lies in the midline, midway between chest and back, 300 mm above the lower end.
    Lung shapes are functions of points, not of voxels, so that one seed is one patient at any
    voxel size.

    Attributes:
        width: Half width of the rib cage at the base.
        depth: Half depth of the rib cage at the base.
        right_dome: Height of the top of the right diaphragm.
        left_dome: Height of the top of the left diaphragm.
        heart: Center of the heart: x, y, z.
        junction: Half thickness of the septum where the lungs touch before the heart.
    """

    width: float
    depth: float
    right_dome: float
    left_dome: float
    heart: tuple[float, float, float]
    junction: float = 1.0

    @classmethod
    def of(cls, seed: int) -> "Thorax":
        """The thorax that belongs to a seed; every one has the same anatomy in other sizes."""
        rng = np.random.default_rng([seed, 1])
        vary = rng.uniform(-1.0, 1.0, size=7)
        return cls(
            width=122.0 + 5.0 * vary[0],
            depth=86.0 + 4.0 * vary[1],
            right_dome=196.0 + 6.0 * vary[2],
            left_dome=211.0 + 5.0 * vary[3],
            heart=(31.0 + 4.0 * vary[4], -24.0 + 3.0 * vary[5], 190.0 + 5.0 * vary[6]),
        )

    def cage(self, x: Coordinates, y: Coordinates, z: Coordinates) -> Coordinates:
        """Distance in mm outside the inner surface of the rib cage, negative inside."""
        size = 0.3 + 0.7 * _rise(z, 5.0, 140.0)
        return ellipse(x, y - 5.0, self.width * size, self.depth * size)

    def body(self, x: Coordinates, y: Coordinates, z: Coordinates) -> Coordinates:
        """Distance in mm outside the skin, negative inside."""
        size = 0.94 + 0.06 * _rise(z, -20.0, 120.0)
        return ellipse(x - 1.0, y - 6.0, (self.width + 39.0) * size, (self.depth + 27.0) * size)

    def right_lung(self, x: Coordinates, y: Coordinates, z: Coordinates) -> Inside:
        """Whether a point lies in the right lung."""
        size = _rise(z, APEX_MM, 130.0)
        own = ((x + 46.0 + 6.0 * size) / 92.0) ** 2 + ((y - 10.0) / 124.0) ** 2 < size**2
        medial = x < self._midline(y) - self._mediastinum(y, z, 25.0)
        chest = own & medial & (z < self.right_diaphragm(x, y)) & (self.cage(x, y, z) < 0)
        return chest & ~self._heart_and_spine(x, y, z)

    def left_lung(self, x: Coordinates, y: Coordinates, z: Coordinates) -> Inside:
        """Whether a point lies in the left lung."""
        size = _rise(z, APEX_MM + 4.0, 135.0)
        own = ((x - 47.0 - 5.0 * size) / 90.0) ** 2 + ((y - 10.0) / 124.0) ** 2 < size**2
        medial = x > self._midline(y) + self._mediastinum(y, z, 30.0)
        chest = own & medial & (z < self.left_diaphragm(x, y)) & (self.cage(x, y, z) < 0)
        return chest & ~self._heart_and_spine(x, y, z)

    def right_diaphragm(self, x: Coordinates, y: Coordinates) -> Coordinates:
        """Height in mm of the right diaphragm: highest over the liver, deepest at the back."""
        bowl = 34.0 * ((x + 58.0) / 62.0) ** 2 + _slope(y, -8.0)
        height: Coordinates = self.right_dome + bowl + 16.0 * np.clip((y - 10.0) / 70.0, 0.0, 1.0)
        return height

    def left_diaphragm(self, x: Coordinates, y: Coordinates) -> Coordinates:
        """Height in mm of the left diaphragm."""
        bowl = 30.0 * ((x - 60.0) / 62.0) ** 2 + 0.95 * _slope(y, -4.0)
        height: Coordinates = self.left_dome + bowl + 12.0 * np.clip((y - 10.0) / 70.0, 0.0, 1.0)
        return height

    def oblique_fissure(self, y: Coordinates, *, left: bool) -> Coordinates:
        """Height in mm of the oblique fissure; the lower lobe lies below it."""
        return (160.0 - 0.95 * y) if left else (168.0 - 0.88 * y)

    def horizontal_fissure(self, x: Coordinates, y: Coordinates) -> Coordinates:
        """Height in mm of the right horizontal fissure; the middle lobe lies below it."""
        return 148.0 + 0.06 * x + 0.05 * y

    def in_heart(self, x: Coordinates, y: Coordinates, z: Coordinates, grow: float = 0) -> Inside:
        """Whether a point lies in the heart, whose apex points to the left, front and feet."""
        cx, cy, cz = self.heart
        turned = np.float32(0.86) * (x - cx) - np.float32(0.51) * (y - cy)
        across = np.float32(0.51) * (x - cx) + np.float32(0.86) * (y - cy)
        long, short, high = 62.0 + grow, 43.0 + grow, 52.0 + grow
        tilt = z - cz - 0.25 * turned
        return (turned / long) ** 2 + (across / short) ** 2 + (tilt / high) ** 2 < 1

    def _heart_and_spine(self, x: Coordinates, y: Coordinates, z: Coordinates) -> Inside:
        spine = (x / 25.0) ** 2 + ((y - 62.0) / 27.0) ** 2 < 1
        aorta = (x - 25.0) ** 2 + (y - 40.0) ** 2 < np.where(z > 100.0, 15.5**2, 0.0)
        return spine | aorta | self.in_heart(x, y, z, grow=3.0)

    def _midline(self, y: Coordinates) -> Coordinates:
        return -4.0 + 0.08 * (y + 60.0)

    def _mediastinum(self, y: Coordinates, z: Coordinates, half_width: float) -> Coordinates:
        """Half width in mm of the tissue between the lungs; thin before and behind."""
        front = np.exp(-(((y - 8.0) / 30.0) ** 2))
        inlet = np.exp(-(((z - 15.0) / 40.0) ** 2))
        below = 30.0 * _rise(z, 235.0, 40.0)
        ends = (12.0 * inlet + below) * np.exp(-((y / 60.0) ** 2))
        width: Coordinates = self.junction + half_width * front + ends
        return width


def ellipse(
    x: Coordinates, y: Coordinates, width: Coordinates | float, depth: Coordinates | float
) -> Coordinates:
    """Approximate distance in mm outside an ellipse around the origin, negative inside."""
    radius = np.sqrt((x / width) ** 2 + (y / depth) ** 2)
    outside: Coordinates = (radius - 1.0) * np.sqrt(x**2 + y**2) / np.maximum(radius, 1e-3)
    return outside


def _slope(y: Coordinates, top: float) -> Coordinates:
    """How far in mm the diaphragm falls from its top: little to the front, far to the back."""
    fall: Coordinates = np.where(y < top, 6.0, 36.0) * ((y - top) / 80.0) ** 2
    return fall


def _rise(z: Coordinates, start: float, length: float) -> Coordinates:
    """0 above ``start``, 1 below ``start + length``, steep at first like a dome between."""
    part = np.clip((z - start) / length, 0.0, 1.0)
    risen: Coordinates = np.sqrt(1.0 - (1.0 - part) ** 2.2)
    return risen

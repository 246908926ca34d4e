"""Where the fissures run in the frame of a lung: the mean course, as smooth curved surfaces.

The oblique fissure falls from the back, near the apex, to the front of the diaphragm. It is twisted
like the blade of a propeller: at the back its lateral part lies lower than its medial part, further
forward the other way round. The left one begins higher. The horizontal fissure leaves the right
oblique fissure and runs nearly level to the front.

The coefficients were fitted to the fissures seen on two chest CTs. Those of the right lung were
then moved up by 0.01 (horizontal) and 0.04 (oblique) of its height, towards the mean volumes of the
lobes in 32 volunteers lying on their back (Yamada et al., Respiration 2020; 99:598,
doi:10.1159/000507265). Fissures differ much between people: those of the two left lungs lay a fifth
of the height apart.
"""

from collections.abc import Mapping
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.labels import Lung

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Surface:
    """Height of a fissure as a polynomial in depth and breadth, all in the frame of the lung.

    Attributes:
        height: Height in the middle: at depth 0.5 and breadth 0.6.
        slope: Change of height towards the back.
        bend: Change of that slope towards the back.
        tilt: Change of height towards the ribs.
        twist: Change of that tilt towards the back.
        bow: Change of that tilt towards the ribs.
    """

    height: float
    slope: float
    bend: float = 0.0
    tilt: float = 0.0
    twist: float = 0.0
    bow: float = 0.0

    def at(self, depth: Floats, breadth: Floats) -> Floats:
        """Height above which lies the one lobe and below which the other."""
        heights: Floats = surface_terms(depth, breadth) @ np.array(astuple(self), np.float32)
        return heights

    def changed(self, change: NDArray[np.float64]) -> "Surface":
        """The surface with this added to its six attributes."""
        return Surface(*(a + float(b) for a, b in zip(astuple(self), change, strict=True)))


def surface_terms(depth: Floats, breadth: Floats) -> Floats:
    """What the six attributes of a surface are multiplied with, along the last axis.

    Args:
        depth: Depth, shape (row, 1).
        breadth: Breadth, shape (1, column).
    """
    back, out = np.broadcast_arrays(depth - np.float32(0.5), breadth - np.float32(0.6))
    return np.stack([np.ones_like(back), back, back**2, out, out * back, out**2], axis=-1)


OBLIQUE, HORIZONTAL = "oblique", "horizontal"

MEAN_FISSURES: Mapping[Lung, Mapping[str, Surface]] = {
    Lung.RIGHT: {
        OBLIQUE: Surface(height=0.53, slope=-0.69, bend=0.18, tilt=-0.07, twist=0.01),
        HORIZONTAL: Surface(height=0.40, slope=0.03),
    },
    Lung.LEFT: {OBLIQUE: Surface(height=0.51, slope=-0.71, bend=0.05, tilt=0.03, twist=0.14)},
}
"""The mean fissures of each lung, the oblique one first."""

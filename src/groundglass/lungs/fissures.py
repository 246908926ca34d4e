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

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    """

    height: float
    slope: float
    bend: float = 0.0
    tilt: float = 0.0
    twist: float = 0.0

    def at(self, depth: Floats, breadth: Floats) -> Floats:
        """Height above which lies the one lobe and below which the other."""
        back, out = depth - np.float32(0.5), breadth - np.float32(0.6)
        heights: Floats = (
            self.height
            + back * (self.slope + self.bend * back)
            + out * (self.tilt + self.twist * back)
        ).astype(np.float32)
        return heights


RIGHT_OBLIQUE = Surface(height=0.53, slope=-0.69, bend=0.18, tilt=-0.07, twist=0.01)
LEFT_OBLIQUE = Surface(height=0.51, slope=-0.71, bend=0.05, tilt=0.03, twist=0.14)
HORIZONTAL = Surface(height=0.40, slope=0.03)

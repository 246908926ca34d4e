"""Tone mapping: dark tissue spread over more grays, bright tissue squeezed."""

import numpy as np
from numpy.typing import NDArray

from groundglass.intensity import LUNG_WINDOW_HU, window_hu

GAMMA = 1.5
STEEPNESS = 0.35

FULL_RANGE_HU = (-1024.0, 3071.0)
"""What 12 bits hold: the range that the publication turns into gray."""


def map_tones(gray: NDArray[np.float32]) -> NDArray[np.float32]:
    """Tone mapping of Mohammed et al., IEEE Access 2020, equation 5.

    The publication leaves open what 1 stands for. On gray of 0 to 255 over the full range of 12
    bits the curve reaches from 0.5 for air to nearly 1 for soft tissue; it is stretched to 0 to 1
    here, so that air stays black.

    Args:
        gray: Lung gray of a slice, see :mod:`groundglass.intensity`.

    Returns:
        Gray 0 to 1, the same shape.
    """
    low, high = LUNG_WINDOW_HU
    full = window_hu(gray * np.float32(high - low) + np.float32(low), FULL_RANGE_HU)
    lifted = (full * np.float32(255.0)) ** np.float32(1 / GAMMA)
    mapped = 1 / (1 + np.exp(np.float32(-STEEPNESS) * lifted))
    return np.asarray(2 * mapped - 1, np.float32)

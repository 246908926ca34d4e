"""Ways to enhance a slice before a network sees it, by name."""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from groundglass.enhancement.stochastic import enhance_stochastically
from groundglass.enhancement.tone import map_tones

Enhancement = Literal["none", "stochastic", "tone"]

ENHANCEMENTS: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "none": lambda gray: gray,
    "stochastic": enhance_stochastically,
    "tone": map_tones,
}
"""Takes the lung gray of a slice, (row, column), to gray 0 to 1."""

__all__ = ["ENHANCEMENTS", "Enhancement", "enhance_stochastically", "map_tones"]

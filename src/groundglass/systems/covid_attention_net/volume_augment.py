"""Random changes of a volume, the same for every slice of it."""

from copy import deepcopy

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.data.augment import Augment, AugmentConfig
from groundglass.geometry.frame import Box, Frame

_ELASTIC_NODES = 5
"""Nodes along each side of the grid whose random shifts bend a slice."""


class VolumeAugment:
    """One draw of turn, zoom, shift, bend, window and blur, applied to slice after slice.

    Noise has one strength for the volume and another pattern on each slice.

    Args:
        config: How far slices are changed; ``cutout`` and ``outside`` do not apply.
        elastic_px: Largest shift of a node of the grid that bends a slice, in pixels.
        size_px: (row, column) of the input.
        seed: Whole numbers that fix the draw, such as run seed, epoch and case.
    """

    def __init__(
        self,
        config: AugmentConfig,
        elastic_px: float,
        size_px: tuple[int, int],
        seed: tuple[int, ...],
    ) -> None:
        random = np.random.default_rng(seed)
        still = Frame.fit(Box.whole(size_px), size_px, size_px)
        frame, self.mirrored = Augment(config, random).frame(still)
        self._columns, self._rows = _sources(frame, elastic_px, random)
        self._noise = np.float32(random.uniform(0.0, config.noise))
        self._fill = random.uniform(0.7, 1.0)
        self._config = config.model_copy(update={"noise": 0.0, "cutout": 0.0})
        self._window = deepcopy(random)
        self._random = random

    def slice(
        self, gray: NDArray[np.uint8], mask: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Gray 0 to 1 and mask of one slice, changed.

        Args:
            gray: 0 to 255, (row, column).
            mask: 1 within the lung mask, likewise.
        """
        moved = cv2.remap(
            gray.astype(np.float32) / np.float32(255.0),
            self._columns,
            self._rows,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=self._fill,
        )
        # A copy of the generator draws the same window and blur for every slice.
        seen = Augment(self._config, deepcopy(self._window)).gray(np.asarray(moved, np.float32))
        noise = self._random.standard_normal(seen.shape, np.float32) * self._noise
        inside = cv2.remap(mask, self._columns, self._rows, cv2.INTER_NEAREST)
        return np.clip(seen + noise, 0.0, 1.0), np.asarray(inside, np.uint8)


def _sources(
    frame: Frame, elastic_px: float, random: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Column and row that each pixel of the input shows, (row, column) each."""
    rows, columns = frame.size_px
    back = cv2.invertAffineTransform(frame.matrix)
    row, column = np.mgrid[:rows, :columns].astype(np.float64)
    nodes = random.uniform(-elastic_px, elastic_px, (2, _ELASTIC_NODES, _ELASTIC_NODES))
    bent = [cv2.resize(n, (columns, rows), interpolation=cv2.INTER_CUBIC) for n in nodes]
    x, y = column + bent[0], row + bent[1]
    across = back[0, 0] * x + back[0, 1] * y + back[0, 2]
    down = back[1, 0] * x + back[1, 1] * y + back[1, 2]
    return across.astype(np.float32), down.astype(np.float32)

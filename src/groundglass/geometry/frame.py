"""The frame between a slice and the input of a network, there and back by one matrix."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.intensity import TISSUE_GRAY


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of pixels; ``bottom`` and ``right`` are one past the last."""

    top: int
    left: int
    bottom: int
    right: int

    @classmethod
    def whole(cls, shape: tuple[int, ...]) -> "Box":
        """The box of a whole (row, column) picture."""
        return cls(0, 0, shape[0], shape[1])

    @classmethod
    def around(cls, mask: NDArray[np.bool_], margin: float = 0.0) -> "Box | None":
        """Smallest box around a (row, column) mask, widened by a share of its sides.

        The box stays inside the picture. An empty mask has none.
        """
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        if not rows.size:
            return None
        top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
        rows_px = round(margin * int(bottom - top))
        columns_px = round(margin * int(right - left))
        return cls(
            max(int(top) - rows_px, 0),
            max(int(left) - columns_px, 0),
            min(int(bottom) + rows_px, mask.shape[0]),
            min(int(right) + columns_px, mask.shape[1]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """An affine map from the pixels of a slice to the input of a network.

    Attributes:
        matrix: (2, 3), takes (x, y, 1) of the slice to (x, y) of the input, pixel centers at
            whole numbers.
        shape: (row, column) of the slice.
        size_px: (row, column) of the input.
    """

    matrix: NDArray[np.float64]
    shape: tuple[int, int]
    size_px: tuple[int, int]

    @classmethod
    def fit(cls, box: Box, shape: tuple[int, int], size_px: tuple[int, int]) -> "Frame":
        """Frame that shows a box as large as it goes, centered, its proportions kept."""
        height, width = box.bottom - box.top, box.right - box.left
        scale = min(size_px[0] / height, size_px[1] / width)
        center_x, center_y = box.left + (width - 1) / 2, box.top + (height - 1) / 2
        matrix = np.array(
            [
                [scale, 0.0, (size_px[1] - 1) / 2 - scale * center_x],
                [0.0, scale, (size_px[0] - 1) / 2 - scale * center_y],
            ]
        )
        return cls(matrix, (shape[0], shape[1]), size_px)

    @property
    def scale(self) -> float:
        """Input pixels per slice pixel."""
        return float(np.sqrt(abs(np.linalg.det(self.matrix[:, :2]))))

    def gray(self, picture: NDArray[np.float32], fill: float = TISSUE_GRAY) -> NDArray[np.float32]:
        """Input of a network from a picture, smoothed first where it shrinks.

        Args:
            picture: Gray values, (row, column).
            fill: Value beyond the border of the picture.
        """
        if self.scale < 0.75:
            sigma = 0.4 / self.scale
            picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32)
        return self._warp(picture, cv2.INTER_LINEAR, fill)

    def labels(self, mask: NDArray[np.uint8], fill: int = 0) -> NDArray[np.uint8]:
        """Label numbers in the input of a network, by nearest neighbor."""
        return self._warp(mask, cv2.INTER_NEAREST, fill)

    def restore(self, output: NDArray[np.float32]) -> NDArray[np.float32]:
        """Output of a network back on the slice, 0 where the frame did not reach.

        Args:
            output: (row, column) of the input's size, such as a probability.

        Returns:
            (row, column) of the slice's shape.
        """
        rows, columns = self.shape
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        restored = cv2.warpAffine(output, self.matrix, (columns, rows), flags=flags)
        return np.asarray(restored, np.float32)

    def _warp(self, picture: NDArray[Any], flags: int, fill: float) -> NDArray[Any]:
        rows, columns = self.size_px
        warped: NDArray[Any] = cv2.warpAffine(
            picture,
            self.matrix,
            (columns, rows),
            flags=flags,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=fill,
        )
        return warped

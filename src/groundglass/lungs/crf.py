"""A fully connected conditional random field: sharper edges for a soft mask, by the gray beneath.

Every pixel is tied to every other. Two pixels that are near and alike in gray pull each other to
one label (the appearance kernel), and so do two that are merely near (the smoothness kernel):
Krähenbühl and Koltun, NIPS 2011, arXiv:1210.5644, as Liu et al. 2021,
doi:10.1016/j.ymeth.2021.07.001, use it for lungs (equations 1 to 4).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

Values = NDArray[np.float32]

_CELL = 0.7
"""Side of a cell of the bilateral grid, in standard deviations of the appearance kernel."""

_SURE = 1e-4
"""Probabilities are kept this far from 0 and 1, so that no pixel is beyond persuasion."""


@dataclass(frozen=True, slots=True)
class CrfSettings:
    """The two kernels of equation 4 and how long they work.

    Attributes:
        appearance_weight: Weight of the appearance kernel, W1.
        appearance_px: How near two pixels are for it, theta alpha, in pixels.
        appearance_gray: How alike they are for it, theta beta, in units of the picture.
        smoothness_weight: Weight of the smoothness kernel, W2.
        smoothness_px: How near two pixels are for it, theta gamma, in pixels.
        iterations: Rounds of mean-field inference.
    """

    appearance_weight: float = 2.0
    appearance_px: float = 8.0
    appearance_gray: float = 0.1
    smoothness_weight: float = 1.0
    smoothness_px: float = 2.0
    iterations: int = 5

    def __post_init__(self) -> None:
        """Refuse kernels without width."""
        widths = (self.appearance_px, self.appearance_gray, self.smoothness_px)
        if min(widths) <= 0:
            raise ValueError(f"found kernels of widths {widths}, expected all above 0; widen them")


def refine_probability(
    probability: Values,
    gray: Values,
    settings: CrfSettings | None = None,
    spacing: Sequence[float] | None = None,
) -> Values:
    """A probability that follows the edges of the picture, by mean-field inference.

    Equation 1 is approached by a product of independent pixels, which is updated ``iterations``
    times: what the kernels gather from all pixels (the pixel itself among them, as in the reference
    implementation) is added to the logit. Gathered sums are divided by the square roots of the
    kernel's sums at both pixels, so that weights mean the same at the border and for any theta.

    Args:
        probability: Of the structure, 0 to 1, on a slice or a volume: (row, column) or (slice,
            row, column).
        gray: The picture, same shape.
        settings: Kernels and iterations.
        spacing: Size of a voxel along each axis; thetas then count in the unit of the last axis's
            size. All alike if not given.

    Returns:
        Same shape, 0 to 1.

    Raises:
        ValueError: If shapes differ, or the picture has more voxels than 32-bit indices count.
    """
    if probability.shape != gray.shape:
        raise ValueError(f"found gray of {gray.shape}, expected {probability.shape}; give one grid")
    if gray.size * 2 ** (gray.ndim + 1) > np.iinfo(np.int32).max:
        raise ValueError(
            f"found a picture of {gray.size} voxels, expected fewer; take it in parts or slices"
        )
    settings = settings or CrfSettings()
    sizes = np.asarray([1.0] * gray.ndim if spacing is None else spacing, np.float64)
    sizes = sizes / sizes[-1]
    kernels = [
        (settings.appearance_weight, _Appearance(gray, settings, sizes)),
        (settings.smoothness_weight, _Smoothness(gray.shape, settings, sizes)),
    ]
    clipped = np.clip(probability, _SURE, 1 - _SURE).astype(np.float32)
    unary = np.log(clipped / (1 - clipped))
    current = clipped
    for _ in range(settings.iterations):
        logit = unary.copy()
        for weight, kernel in kernels:
            # For two labels: votes for the structure less votes for the rest.
            logit += np.float32(weight) * (2 * kernel.gather(current) - kernel.of_all)
        current = (1 / (1 + np.exp(-np.clip(logit, -30, 30)))).astype(np.float32)
    return current


class _Kernel:
    """A Gaussian kernel between all pixels, normalized.

    Attributes:
        of_all: What a value of 1 everywhere gathers.
    """

    of_all: Values
    _scale: Values

    def _normalize(self, shape: tuple[int, ...]) -> None:
        ones = np.ones(shape, np.float32)
        self._scale = (1 / np.sqrt(np.maximum(self._filter(ones), 1e-12))).astype(np.float32)
        self.of_all = self.gather(ones)

    def gather(self, values: Values) -> Values:
        """Sum of the values of all pixels, weighted by the kernel."""
        gathered: Values = self._scale * self._filter(self._scale * values)
        return gathered

    def _filter(self, values: Values) -> Values:
        raise NotImplementedError


class _Smoothness(_Kernel):
    """How near two pixels are."""

    def __init__(
        self, shape: tuple[int, ...], settings: CrfSettings, sizes: NDArray[np.float64]
    ) -> None:
        self._sigma = tuple(settings.smoothness_px / sizes)
        self._normalize(shape)

    def _filter(self, values: Values) -> Values:
        filtered: Values = ndimage.gaussian_filter(values, self._sigma, mode="constant")
        return filtered


class _Appearance(_Kernel):
    """How near and how alike two pixels are, through a bilateral grid.

    Place and gray span a coarse grid; pixels are laid on it with multilinear weights, the grid is
    blurred, and pixels read it with the same weights (Chen et al. 2007,
    doi:10.1145/1276377.1276506). Laying and reading blur a little themselves, by a third of a
    cell's square, which the blur of the grid leaves out.
    """

    def __init__(self, gray: Values, settings: CrfSettings, sizes: NDArray[np.float64]) -> None:
        places = np.meshgrid(
            *(
                np.arange(n, dtype=np.float32) * np.float32(size / settings.appearance_px / _CELL)
                for n, size in zip(gray.shape, sizes, strict=True)
            ),
            indexing="ij",
            sparse=True,
        )
        tone = (gray - gray.min()) / np.float32(settings.appearance_gray * _CELL)
        axes = [*places, tone.astype(np.float32)]
        self._cells = tuple(int(axis.max()) + 2 for axis in axes)
        self._weights = _multilinear(axes, gray.shape, self._cells)
        self._sigma = float(np.sqrt(1 / _CELL**2 - 1 / 3))
        self._normalize(gray.shape)

    def _filter(self, values: Values) -> Values:
        grid = (self._weights.T @ values.ravel()).reshape(self._cells)
        grid = ndimage.gaussian_filter(grid, self._sigma, mode="constant")
        filtered: Values = (self._weights @ grid.ravel()).reshape(values.shape)
        return filtered


def _multilinear(
    axes: Sequence[Values], shape: tuple[int, ...], cells: tuple[int, ...]
) -> sparse.csr_array:
    """Weights of each pixel at the corners of its cell, (pixel, cell)."""
    low = [np.floor(axis) for axis in axes]
    part = [axis - floor for axis, floor in zip(axes, low, strict=True)]
    strides = np.cumprod([1, *cells[:0:-1]])[::-1]
    corners = tuple(product((0, 1), repeat=len(axes)))
    count = int(np.prod(shape))
    columns = np.empty((count, len(corners)), np.int32)
    weights = np.empty((count, len(corners)), np.float32)
    for number, corner in enumerate(corners):
        cell: NDArray[np.float32] = np.zeros((1,) * len(shape), np.float32)
        index = np.zeros((1,) * len(shape), np.int32)
        cell = cell + 1
        for up, floor, share, stride in zip(corner, low, part, strides, strict=True):
            cell = cell * (share if up else 1 - share)
            index = index + (floor.astype(np.int32) + up) * np.int32(stride)
        columns[:, number], weights[:, number] = index.ravel(), cell.ravel()
    rows = np.arange(count + 1, dtype=np.int32) * np.int32(len(corners))
    return sparse.csr_array((weights.ravel(), columns.ravel(), rows), (count, int(np.prod(cells))))

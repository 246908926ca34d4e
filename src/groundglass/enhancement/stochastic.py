"""Stochastic enhancement: random walks tell what belongs to a pixel, and what stands out from it.

Mohammed et al., IEEE Access 2020, equations 1 to 4.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

_UNITS = 4096
"""Whole numbers that one unit of a walk's cost is counted in; 16 units are as good as infinite."""

_STRIP_PX = 48_000
"""Pixels handled at a time, so that they stay in the processor's cache."""

_STEPS = ((-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))


@dataclass(frozen=True, slots=True)
class Walks:
    """How a slice is sampled.

    Attributes:
        steps: Steps of a walk (n of the publication).
        walks: Walks from each pixel (M).
        intensity_scale: Gray that costs a walk one unit (sigma_I).
        edge_scale: Change of the local gradient that costs a walk one unit (sigma_g).
        contrast_share: Share of local contrast against detail in what is added (gamma); open in
            the publication.
        gain: How much of it is added to the base (K); open in the publication.
        seed: Seed of the walks.
    """

    steps: int = 20
    walks: int = 250
    intensity_scale: float = 0.5
    edge_scale: float = 0.3
    contrast_share: float = 0.5
    gain: float = 2.0
    seed: int = 0


PUBLISHED = Walks()


def enhance_stochastically(
    gray: NDArray[np.float32], walks: Walks = PUBLISHED
) -> NDArray[np.float32]:
    """A slice with its local contrast and detail brought out (equation 1).

    Every walk takes the same way from each pixel, so that a whole slice is walked at once. A walk
    weighs by what it crosses (equation 2): the differences of its pixels from the first, and the
    changes of the structure tensor's anisotropy along it (equation 3). The base of a pixel is the
    weighted mean of where its walks end. Equation 4 as printed gives back the pixel itself; this is
    what the text around it describes. Detail is the pixel less its base; contrast is where it lies
    between the darkest and the brightest pixel of its walks, times their distance, 0 in the middle.

    Args:
        gray: Lung gray of a slice, (row, column).
        walks: How it is sampled; the same seed gives the same picture.

    Returns:
        Gray 0 to 1, the same shape.
    """
    gray = np.clip(gray, 0.0, 1.0).astype(np.float32)
    ways = _draw_ways(walks)
    reach = int(np.abs(ways).max())
    level = np.rint(gray * np.float32(_UNITS / walks.intensity_scale)).astype(np.uint16)
    edges = np.rint(anisotropy(gray) * np.float32(_UNITS / walks.edge_scale)).clip(0, 65535)
    padded = (_padded(level, reach), _padded(edges.astype(np.uint16), reach))
    rows, columns = gray.shape
    strip = max(1, _STRIP_PX // columns)
    enhanced = np.empty_like(gray)
    for top in range(0, rows, strip):
        bottom = min(rows, top + strip)
        part = tuple(p[top : bottom + 2 * reach] for p in padded)
        base, contrast = _sample(part[0], part[1], ways, reach)
        scale = np.float32(walks.intensity_scale / _UNITS)
        detail = gray[top:bottom] - base * scale
        share = np.float32(walks.contrast_share)
        added = share * contrast * scale + (1 - share) * detail
        enhanced[top:bottom] = base * scale + np.float32(walks.gain) * added
    return np.clip(enhanced, 0.0, 1.0)


def anisotropy(gray: NDArray[np.float32]) -> NDArray[np.float32]:
    """Square root of the difference of the structure tensor's eigenvalues at each pixel.

    Args:
        gray: Slice, (row, column).
    """
    across = cv2.Sobel(gray, cv2.CV_32F, 1, 0, scale=0.125)
    down = cv2.Sobel(gray, cv2.CV_32F, 0, 1, scale=0.125)
    xx, yy, xy = (cv2.GaussianBlur(p, (0, 0), 1.0) for p in (across**2, down**2, across * down))
    return np.asarray(((xx - yy) ** 2 + 4 * xy**2) ** 0.25, np.float32)


def _draw_ways(walks: Walks) -> NDArray[np.intp]:
    """Where each walk is after each step, (walk, step, 2) rows and columns from its pixel."""
    random = np.random.default_rng(walks.seed)
    chosen = random.integers(len(_STEPS), size=(walks.walks, walks.steps))
    return np.cumsum(np.array(_STEPS, np.intp)[chosen], axis=1)


def _padded(values: NDArray[np.uint16], reach: int) -> NDArray[np.uint16]:
    padded = cv2.copyMakeBorder(values, reach, reach, reach, reach, cv2.BORDER_REFLECT)
    return np.asarray(padded, np.uint16)


def _sample(
    level: NDArray[np.uint16], edges: NDArray[np.uint16], ways: NDArray[np.intp], reach: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Base and contrast of a strip, on the scale of its levels.

    Args:
        level: Gray of the strip and ``reach`` pixels around it.
        edges: Anisotropy, likewise.
        ways: Walks.
        reach: Farthest that a walk goes along one axis.
    """
    rows, columns = (side - 2 * reach for side in level.shape)

    def seen(values: NDArray[np.uint16], row: int, column: int) -> NDArray[np.uint16]:
        top, left = reach + row, reach + column
        return values[top : top + rows, left : left + columns]

    first, first_edge = seen(level, 0, 0).copy(), seen(edges, 0, 0).copy()
    total, weight, contrast = (np.zeros((rows, columns), np.float32) for _ in range(3))
    cost, difference = np.empty_like(first), np.empty_like(first)
    darkest, brightest = np.empty_like(first), np.empty_like(first)
    for way in ways.tolist():
        cost[:] = 0
        darkest[:] = brightest[:] = first
        here_edge, there = first_edge, first
        for row, column in way:
            there, edge = seen(level, row, column), seen(edges, row, column)
            cv2.absdiff(first, there, dst=difference)
            cv2.add(cost, difference, dst=cost)  # saturates
            cv2.absdiff(here_edge, edge, dst=difference)
            cv2.add(cost, difference, dst=cost)
            cv2.min(darkest, there, dst=darkest)
            cv2.max(brightest, there, dst=brightest)
            here_edge = edge
        w = np.exp(cost * np.float32(-1 / _UNITS))
        weight += w
        total += w * there
        middle = (darkest.astype(np.float32) + brightest) * np.float32(0.5)
        contrast += first - middle
    # A walk that costs too much weighs nothing; where all do, the pixel is its own base.
    alone = weight < np.float32(1e-6)
    base = np.where(alone, first, total / np.where(alone, 1, weight))
    return base.astype(np.float32), (contrast / len(ways)).astype(np.float32)

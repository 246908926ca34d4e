"""Gas in bowel that touches the lung where slices are thick, and so hangs together with it."""

from collections.abc import Iterator, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.lungs.coarse import CoarseScan

LARGEST_MM2 = 1000.0
"""A larger piece on a slice is lung."""

LEAST_MM2 = 200.0
"""Less gas than this is no bowel but an airway, such as one in consolidated lung; a bronchus is
below 15 mm across."""

DARKER_HU = 40.0
"""Gas lies so far below the median of the patient's own lung, whose tips lie above it."""


def find_bowel(scan: CoarseScan, lungs: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Small pieces of slices that are darker than lung, and the small ones above and below them.

    Looked for in the lower half of the lungs alone.

    Args:
        scan: The scan.
        lungs: Aerated lungs, numbered as in ``Lung``.

    Returns:
        1 in bowel, on the grid of the scan.
    """
    bowel = np.zeros_like(lungs)
    shown = np.flatnonzero(lungs.any(axis=(1, 2)))
    if not shown.size:
        return bowel
    gas_hu = gas_from(scan, lungs > 0)
    lower = shown[shown >= (shown[0] + shown[-1]) / 2]
    small = {int(n): list(small_pieces(scan, lungs[n])) for n in lower}
    for number, pieces in small.items():
        for piece in pieces:
            large = np.count_nonzero(piece) * scan.pixel_mm**2 >= LEAST_MM2
            if large and is_darker(scan.hu[number], piece, gas_hu):
                bowel[number] |= piece
    _spread(bowel, small)
    return bowel


def gas_from(scan: CoarseScan, lungs: NDArray[np.bool_]) -> float:
    """Hounsfield units below which air is gas of bowel, by the patient's own lung."""
    return float(np.median(scan.hu[lungs])) - DARKER_HU


def _spread(bowel: NDArray[np.uint8], small: Mapping[int, list[NDArray[np.uint8]]]) -> None:
    """Take in small pieces that lie below or above bowel, slice after slice."""
    for step, numbers in ((1, sorted(small)), (-1, sorted(small, reverse=True))):
        for number in numbers:
            for piece in small.get(number + step, []):
                if (bowel[number] & piece).any():
                    bowel[number + step] |= piece


def is_darker(hu: NDArray[np.int16], piece: NDArray[np.uint8], gas_hu: float) -> bool:
    """Whether a piece is, away from its edge, where voxels are half of something else."""
    core = cv2.erode(piece, np.ones((3, 3), np.uint8)) > 0
    return bool(core.any() and np.median(hu[core]) < gas_hu)


def small_pieces(scan: CoarseScan, pixels: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Pieces of a slice that are too small to be sure of, 1 inside."""
    count, pieces, boxes, _ = cv2.connectedComponentsWithStats(
        (pixels > 0).view(np.uint8), connectivity=4
    )
    for piece in range(1, count):
        if boxes[piece, cv2.CC_STAT_AREA] * scan.pixel_mm**2 <= LARGEST_MM2:
            yield (pieces == piece).view(np.uint8)

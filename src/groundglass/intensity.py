"""Gray values for networks: one lung window for Hounsfield units and for pictures.

Every network sees *lung gray*: 0 at the lower and 1 at the upper end of ``LUNG_WINDOW_HU``. A CT
volume gets there exactly; a picture, whose window nobody wrote down, as well as can be told.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

LUNG_WINDOW_HU = (-1250.0, 250.0)
"""Level -500, width 1500: soft tissue stays just below white, so consolidation keeps its tone."""

TISSUE_GRAY = 0.86
"""Lung gray of soft tissue (40 HU): the filling beyond the border of a picture."""

_AIR_HU, _TISSUE_HU = -1024.0, 40.0
_BRIGHTEST_FULL_RANGE_TISSUE = 150


@dataclass(frozen=True, slots=True)
class PictureWindow:
    """How the gray values of a picture are read.

    Attributes:
        full_range: Whether black to white spans the whole range from air to bone, as when a
            volume was scaled to 8 bits without a lung window.
        tissue_gray: Gray value (0 to 255) at which soft tissue is most frequent.
    """

    full_range: bool
    tissue_gray: int


def window_hu(
    hu: NDArray[np.generic], window: tuple[float, float] = LUNG_WINDOW_HU
) -> NDArray[np.float32]:
    """Gray 0 to 1 of Hounsfield units through a window, clipped at both ends.

    Args:
        hu: Hounsfield units, any shape.
        window: Lower and upper end in HU.
    """
    low, high = window
    gray = (np.asarray(hu, np.float32) - np.float32(low)) / np.float32(high - low)
    return np.clip(gray, 0.0, 1.0, out=gray)


def read_picture_window(pixels: NDArray[np.uint8]) -> PictureWindow:
    """Tell whether a picture of a CT slice is lung-windowed or spans the full range.

    Otsu's threshold parts air and lung from tissue. In a lung window tissue is nearly white; where
    its most frequent value is darker than 150, the range must reach far beyond it, to bone.

    Args:
        pixels: Picture, (row, column), 0 to 255.
    """
    threshold, _ = cv2.threshold(pixels, 0, 255, cv2.THRESH_OTSU)
    bright = np.bincount(pixels[pixels > threshold], minlength=256).astype(np.float64)
    if bright.sum() == 0:
        return PictureWindow(full_range=False, tissue_gray=255)
    median = int(np.searchsorted(np.cumsum(bright), bright.sum() / 2))
    mode = int(np.convolve(bright, np.ones(5) / 5, "same").argmax())
    return PictureWindow(full_range=median < _BRIGHTEST_FULL_RANGE_TISSUE, tissue_gray=mode)


def picture_gray(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Lung gray of a picture, about 0 to 1.

    A lung-windowed picture is taken as it stands. One that spans the full range is turned into
    estimated Hounsfield units, a straight line through black (air) and the most frequent tissue
    gray (40 HU), and then windowed without clipping at the top.

    Args:
        pixels: Picture, (row, column), 0 to 255.
    """
    window = read_picture_window(pixels)
    if not window.full_range:
        return pixels.astype(np.float32) / np.float32(255.0)
    low, high = LUNG_WINDOW_HU
    hu = pixels.astype(np.float32) * ((_TISSUE_HU - _AIR_HU) / max(window.tissue_gray, 1)) + _AIR_HU
    return ((hu - low) / (high - low)).astype(np.float32)

"""What a picture of the chest shows, told by three measures that a person can see.

A CT slice parts into dark and bright with steep borders: air and lung against tissue. A radiograph
is a projection: its grays run into each other. In a soft-tissue window the lungs of a slice are
plain black. The limits were set on training pictures alone; how often they err on others stands in
``docs/reference/pictures.md``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.read.oddities import Oddities
from groundglass.read.wording import counted

_SIDE_PX = 128
_STEEP_GRAY = 40
_MOST_STEEP_RADIOGRAPH, _MOST_PARTED_RADIOGRAPH, _DARKEST_RADIOGRAPH = 0.03, 0.80, 70
_LEAST_PARTED_CHEST = 0.60
_BLACKEST_LUNG, _BRIGHTEST_SOFT_TISSUE, _LEAST_BLACK = 4, 180, 0.2


class ChestPicture(StrEnum):
    """What a picture seems to show."""

    LUNG_WINDOW = "a CT slice"
    SOFT_TISSUE_WINDOW = "a CT slice in a soft-tissue window"
    RADIOGRAPH = "a radiograph"
    NEITHER = "neither a CT slice nor a radiograph"


@dataclass(frozen=True, slots=True)
class Looks:
    """What is measured on a picture.

    Attributes:
        parted: Share of the variance of gray that one threshold (Otsu's) explains, 0 to 1.
        threshold: That threshold, 0 to 255.
        steep: Share of the picture, brought to 128 x 128, where gray rises by over 40 a pixel.
        inner_dark: Median of what is darker than the threshold, a tenth of each border left out.
        bright: Median of what is brighter.
        black: Share of pixels below 8.
    """

    parted: float
    threshold: float
    steep: float
    inner_dark: float
    bright: float
    black: float


def measure_looks(pixels: NDArray[np.uint8]) -> Looks:
    """Measure a picture.

    Args:
        pixels: Gray values, (row, column), 0 to 255.
    """
    threshold, _ = cv2.threshold(pixels, 0, 255, cv2.THRESH_OTSU)
    dark, bright = pixels[pixels <= threshold], pixels[pixels > threshold]
    rows, columns = pixels.shape
    inner = pixels[rows // 10 : rows - rows // 10, columns // 10 : columns - columns // 10]
    inner_dark = inner[inner <= threshold]
    between = 0.0
    if dark.size and bright.size:
        between = dark.size * bright.size / pixels.size**2 * (dark.mean() - bright.mean()) ** 2
    return Looks(
        parted=float(between / max(float(pixels.var()), 1e-6)),
        threshold=float(threshold),
        steep=_steep_share(pixels),
        inner_dark=float(np.median(inner_dark)) if inner_dark.size else 255.0,
        bright=float(np.median(bright)) if bright.size else 255.0,
        black=float((pixels < 8).mean()),
    )


def _steep_share(pixels: NDArray[np.uint8]) -> float:
    small = cv2.resize(pixels, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
    across = cv2.Sobel(small, cv2.CV_32F, 1, 0) / 8
    down = cv2.Sobel(small, cv2.CV_32F, 0, 1) / 8
    return float((np.hypot(across, down) > _STEEP_GRAY).mean())


def tell_picture(pixels: NDArray[np.uint8]) -> ChestPicture:
    """What a picture of the chest seems to show.

    Args:
        pixels: Gray values, (row, column), 0 to 255.
    """
    looks = measure_looks(pixels)
    if (
        looks.steep < _MOST_STEEP_RADIOGRAPH
        and looks.parted < _MOST_PARTED_RADIOGRAPH
        and looks.threshold > _DARKEST_RADIOGRAPH
    ):
        return ChestPicture.RADIOGRAPH
    if looks.parted < _LEAST_PARTED_CHEST:
        return ChestPicture.NEITHER
    if (
        looks.inner_dark <= _BLACKEST_LUNG
        and looks.bright < _BRIGHTEST_SOFT_TISSUE
        and looks.black > _LEAST_BLACK
    ):
        return ChestPicture.SOFT_TISSUE_WINDOW
    return ChestPicture.LUNG_WINDOW


def check_slices(
    names: Sequence[str], pictures: Sequence[NDArray[np.uint8]], oddities: Oddities
) -> None:
    """Refuse radiographs, and slices without visible lung, where CT slices are wanted.

    The most of several pictures decide; the few others are noted.

    Args:
        names: Name of each picture.
        pictures: Gray values, (row, column) each.
        oddities: What the user tolerates.

    Raises:
        UnreadableScanError: If most are radiographs, or most show no lung, and the user did not
            say that they are to be read.
    """
    told = [tell_picture(pixels) for pixels in pictures]
    _check_kind(
        names,
        told,
        ChestPicture.RADIOGRAPH,
        oddities,
        advice="classify it with a system that takes radiographs",
    )
    _check_kind(
        names,
        told,
        ChestPicture.SOFT_TISSUE_WINDOW,
        oddities,
        advice="export the slices again in a lung window (level -500, width 1500)",
    )
    strange = [name for name, kind in zip(names, told, strict=True) if kind is ChestPicture.NEITHER]
    if strange:
        oddities.note(
            "not-a-chest",
            f"Found {counted(len(strange), 'picture')} that "
            f"{'looks' if len(strange) == 1 else 'look'} like {ChestPicture.NEITHER}, first "
            f"'{strange[0]}'.",
        )


_TOLERATED = {
    ChestPicture.RADIOGRAPH: "radiograph",
    ChestPicture.SOFT_TISSUE_WINDOW: "soft-tissue-window",
}


def _check_kind(
    names: Sequence[str],
    told: Sequence[ChestPicture],
    kind: ChestPicture,
    oddities: Oddities,
    *,
    advice: str,
) -> None:
    like = [name for name, one in zip(names, told, strict=True) if one is kind]
    if not like:
        return
    found = f"'{like[0]}', which looks like {kind.value}"
    if len(names) > 1:
        found = f"{len(like)} of {len(names)} pictures that look like {kind.value}"
    if 2 * len(like) > len(names):
        oddities.tolerate(
            _TOLERATED[kind],
            found=found,
            expected="axial CT slices in a lung window",
            advice=advice,
            done="they were read as CT slices in a lung window",
        )
    else:
        oddities.note(_TOLERATED[kind], f"Found {found}; they were read with the others.")

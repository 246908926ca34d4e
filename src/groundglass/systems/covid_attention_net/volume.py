"""A scan as the network sees it: gray and lung mask of every slice that shows lung."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.enhancement import ENHANCEMENTS, Enhancement
from groundglass.errors import EmptyMaskError
from groundglass.geometry.frame import Box, Frame
from groundglass.intensity import picture_gray, window_hu
from groundglass.lungs import find_lungs
from groundglass.lungs.body import hull
from groundglass.mask import Mask
from groundglass.scan import CTScan, CTSlices, Note, Scan

LungMask = Literal["hull", "lungs"]
"""Mask that the network is given: hulls as published, or the lungs that groundglass finds."""

Region = Literal["slice", "lungs"]
"""What the input shows: the whole slice, as published, or the box of the lungs."""

MARGIN = 0.06
"""Margin around the box of the lungs, as a share of its sides."""

COVERED = 0.8
"""Share of the lungs that a hull must cover to be used."""

HULL_FAILED = "hull-failed"


@dataclass(frozen=True, slots=True)
class Preparation:
    """How a scan is brought to the network.

    Attributes:
        size_px: (row, column) of the input.
        lung_mask: Mask beside each slice.
        region: What the input shows.
        enhancement: How each slice is enhanced.
    """

    size_px: tuple[int, int]
    lung_mask: LungMask = "hull"
    region: Region = "slice"
    enhancement: Enhancement = "none"


@dataclass(frozen=True, slots=True, eq=False)
class PreparedVolume:
    """The slices of a scan that show lung, ready for the network.

    Attributes:
        gray: Lung gray 0 (black) to 255, (slice, row, column) uint8.
        mask: 1 within the lung mask, (slice, row, column) uint8.
        indices: (slice,) number of each in the scan.
        slices: Slices of the scan, those without lung among them.
        notes: What was noticed about the mask.
    """

    gray: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    indices: NDArray[np.int64]
    slices: int
    notes: tuple[Note, ...] = ()

    @property
    def mask_failed(self) -> bool:
        """Whether the mask that was asked for failed and another took its place."""
        return any(note.name == HULL_FAILED for note in self.notes)


def prepare(scan: Scan, lungs: Mask, preparation: Preparation) -> PreparedVolume:
    """A scan as the network sees it.

    Where the hull of the lungs fails, the lungs themselves take its place, and a note says so.

    Args:
        scan: CT volume or pictures.
        lungs: Its lungs; slices without any are left out.
        preparation: How it is brought to the network.

    Raises:
        EmptyMaskError: If no slice shows lung.
    """
    shown = [k for k, lung in enumerate(lungs.slices) if lung.any()]
    if not shown:
        raise EmptyMaskError(
            f"found no lung in '{scan.source.name}', expected some to classify the scan by; check "
            "that it shows the chest"
        )
    masks, notes = _masks(scan, lungs, preparation)
    enhance = ENHANCEMENTS[preparation.enhancement]
    whole = _box_of_all(lungs) if isinstance(scan, CTScan) else None
    gray = np.empty((len(shown), *preparation.size_px), np.uint8)
    mask = np.empty_like(gray)
    for place, k in enumerate(shown):
        pixels = scan.slices[k]
        frame = _frame(lungs.slices[k] > 0, whole, preparation)
        picture = window_hu(pixels) if isinstance(scan, CTScan) else picture_gray(pixels)
        seen = np.clip(frame.gray(enhance(picture)), 0.0, 1.0)
        gray[place] = np.rint(seen * 255.0)
        mask[place] = frame.labels(masks[k])
    return PreparedVolume(gray, mask, np.array(shown, np.int64), len(scan.slices), notes)


def _frame(lung: NDArray[np.bool_], whole: Box | None, preparation: Preparation) -> Frame:
    """Frame of a slice; all slices of a volume share theirs."""
    box: Box | None = Box.whole(lung.shape)
    if preparation.region == "lungs":
        box = whole or Box.around(lung, MARGIN)
    assert box is not None
    return Frame.fit(box, lung.shape, preparation.size_px)


def _box_of_all(lungs: Mask) -> Box | None:
    return Box.around(lungs.array.max(0) > 0, MARGIN)


def _masks(
    scan: Scan, lungs: Mask, preparation: Preparation
) -> tuple[Sequence[NDArray[np.uint8]], tuple[Note, ...]]:
    """Mask of each slice, 1 inside, and what was noticed about it."""
    own = [(lung > 0).astype(np.uint8) for lung in lungs.slices]
    if preparation.lung_mask == "lungs":
        return own, ()
    if isinstance(scan, CTSlices):  # without Hounsfield units there is no threshold to start from
        return [_picture_hull(lung) for lung in lungs.slices], ()
    try:
        found, doubts = find_lungs(scan, "hull")
        hulls = [(pixels > 0).astype(np.uint8) for pixels in found.slices]
        reasons = [doubt.message for doubt in doubts] or _uncovered(hulls, own)
    except EmptyMaskError as error:
        hulls, reasons = [], [f"No hull: {error}."]
    if not reasons:
        return hulls, ()
    message = f"{' '.join(reasons)} The network was given the lungs themselves as its mask."
    return own, (Note(HULL_FAILED, message),)


def _uncovered(hulls: Sequence[NDArray[np.uint8]], own: Sequence[NDArray[np.uint8]]) -> list[str]:
    lung = sum(int(np.count_nonzero(pixels)) for pixels in own)
    both = sum(int(np.count_nonzero(h & pixels)) for h, pixels in zip(hulls, own, strict=True))
    if both >= COVERED * lung:
        return []
    return [f"The hull of the lungs covers {100 * both / lung:.0f} % of the lungs."]


def _picture_hull(lung: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Hulls of the lungs of a picture, widened by a hundredth of its width."""
    inside = np.zeros_like(lung)
    for number in np.unique(lung[lung > 0]).tolist():
        inside |= hull((lung == number).astype(np.uint8))
    side = 2 * max(1, round(lung.shape[1] / 100)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.asarray(cv2.dilate(inside, kernel), np.uint8)

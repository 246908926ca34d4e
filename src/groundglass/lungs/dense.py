"""Dense lung between parts of the lung that hold air, told by a network from what is no lung.

Consolidation that aerated lung surrounds, or holds against the wall, looks to a threshold like the
top of the liver or a large vessel. Where such tissue lies is found by shape; whether it is lung, a
network says that has learned the look of it. It is never asked about anything else, so that bowel,
neck and air around the body cannot become lung.
"""

from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.labels import Lung
from groundglass.mask import Mask
from groundglass.scan import CTScan, Note

Look = Callable[[Sequence[int]], Iterator[NDArray[np.float32]]]
"""Takes numbers of slices to the probability of lung on each, (row, column) of the scan."""

GAP_MM = 10.0
"""Half width of the largest gap between parts of a lung in which dense lung is looked for."""

LEAST_MM2 = 100.0
"""Less tissue in the gaps of a slice is vessels."""

VESSEL_MM = 4.0
"""Radius of a disk that fits into what is no vessel."""

SPECK_MM = 2.0
"""Radius of a disk that fits into what is no mere difference of outlines."""

RIM_MM = 2.5
"""Width of the rim of a part that is looked at to see what surrounds it."""

SURROUNDED = 0.5
"""Share of the rim that is lung where a part is surrounded by it."""

LEAST_HU = -300.0
"""Mean of a part; bronchi and bowel hold air and lie below."""

WORTH_TELLING_ML = 1.0

_PIXEL_MM = 1.5


def add_dense_lung(scan: CTScan, lungs: Mask, look: Look) -> tuple[Mask, tuple[Note, ...]]:
    """Lungs with the dense parts that they surround, and a note where these are not small.

    Args:
        scan: CT volume.
        lungs: Its lungs as far as a threshold finds them.
        look: The network; asked for doubtful slices alone.

    Returns:
        Label set ``Lung``; nothing is taken away.
    """
    numbers = doubtful_slices(scan, lungs)
    if not numbers:
        return lungs, ()
    labels = lungs.array.copy()
    pixel_mm = _pixel_mm(scan)
    for number, probability in zip(numbers, look(numbers), strict=True):
        _add_parts(labels[number], scan.slices[number], probability > 0.5, pixel_mm)
    added = np.count_nonzero(labels) - np.count_nonzero(lungs.array)
    added_ml = float(added * lungs.voxel_volume_ml)
    if added_ml < WORTH_TELLING_ML:
        return Mask.on(scan, labels, Lung), ()
    message = (
        f"{added_ml:.0f} ml of dense tissue between parts of the lungs were taken for "
        "consolidated lung, as a network sees it; check their outline."
    )
    return Mask.on(scan, labels, Lung), (Note("dense-lung-added", message),)


def doubtful_slices(scan: CTScan, lungs: Mask) -> list[int]:
    """Numbers of the slices where tissue that is no vessel lies between parts of one lung.

    Args:
        scan: CT volume.
        lungs: Its lungs.
    """
    shrink = max(1, round(_PIXEL_MM / _pixel_mm(scan)))
    pixel_mm = _pixel_mm(scan) * shrink
    least = LEAST_MM2 / pixel_mm**2
    gap, vessel = _disk(GAP_MM, pixel_mm), _disk(VESSEL_MM, pixel_mm)
    numbers = []
    for number, (pixels, hu) in enumerate(zip(lungs.array, scan.slices, strict=True)):
        small, dense = pixels[::shrink, ::shrink], hu[::shrink, ::shrink] > LEAST_HU
        between = np.zeros(small.shape, np.uint8)
        for lung in Lung:
            between |= _between((small == lung).astype(np.uint8), gap)
        tissue = cv2.morphologyEx(between & (dense & (small == 0)), cv2.MORPH_OPEN, vessel)
        if np.count_nonzero(tissue) >= least:
            numbers.append(number)
    return numbers


def _between(lung: NDArray[np.uint8], gap: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What lies within a lung's outline once its gaps are closed, the lung itself included."""
    if not lung.any():
        return lung
    margin = gap.shape[0]
    framed = np.pad(lung, margin)
    outline, _ = cv2.findContours(
        cv2.morphologyEx(framed, cv2.MORPH_CLOSE, gap), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    filled = cv2.drawContours(np.zeros_like(framed), outline, -1, 1, -1)
    return np.asarray(filled[margin:-margin, margin:-margin], np.uint8)


def _add_parts(
    labels: NDArray[np.uint8], hu: NDArray[np.int16], seen: NDArray[np.bool_], pixel_mm: float
) -> None:
    """Number the parts of a slice that the network sees as lung and that lung surrounds."""
    new = (seen & (labels == 0)).astype(np.uint8)
    new = np.asarray(cv2.morphologyEx(new, cv2.MORPH_OPEN, _disk(SPECK_MM, pixel_mm)), np.uint8)
    count, parts, boxes, _ = cv2.connectedComponentsWithStats(new, connectivity=4)
    rim = _disk(RIM_MM, pixel_mm)
    reach = rim.shape[0]
    before = labels.copy()
    for part in range(1, count):
        left, top, width, height = (int(n) for n in boxes[part, :4])
        near = np.s_[
            max(0, top - reach) : top + height + reach, max(0, left - reach) : left + width + reach
        ]
        here = parts[near] == part
        around = (cv2.dilate(here.astype(np.uint8), rim) > 0) & ~here
        lung_around = before[near][around]
        surrounded = np.count_nonzero(lung_around) >= SURROUNDED * lung_around.size
        if surrounded and hu[near][here].mean() > LEAST_HU:
            labels[near][here] = np.bincount(lung_around[lung_around > 0]).argmax()


def _pixel_mm(scan: CTScan) -> float:
    return float(np.sqrt(scan.spacing_mm[1] * scan.spacing_mm[2]))


def _disk(radius_mm: float, pixel_mm: float) -> NDArray[np.uint8]:
    radius = max(1, round(radius_mm / pixel_mm))
    size = (2 * radius + 1, 2 * radius + 1)
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, size), np.uint8)

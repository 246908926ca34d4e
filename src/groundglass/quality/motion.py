"""Whether the patient moved or breathed during the scan."""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from groundglass.quality.chest import FEWEST_SLICES, Chest
from groundglass.quality.limits import Limits, judged
from groundglass.report import QualityCheck

OURS = "own limit; still series and phantoms stay at {still}, moved ones reach {moved}"

STEP = Limits(high=2.0, source=OURS.format(still="1.2 to 1.8", moved="2.1 and more"))
ALTERNATION = Limits(high=1.5, source=OURS.format(still="0.5 to 0.95", moved="3 and more"))

BLUR_MM, BLUR_PX = 1.1, 2.0
"""Edges may be as wide as the blur of the scanner and of two pixels together; still series and
phantoms of 0.6 to 2.8 mm pixels are 0.6 mm narrower."""

NEIGHBORS = 9
"""Pairs of slices around a pair that it is compared with."""

LUNG_HU, TISSUE_HU = -700, -50
"""An edge of the lung is judged where it runs from lung to tissue, not to disease."""


def breathing_step(chest: Chest) -> QualityCheck | None:
    """Whether the chest jumps from one slice to the next, as where the patient breathed or moved.

    Measured is how much two neighboring slices differ, compared with the pairs around them; the
    greatest such ratio.
    """
    smooth = _stack(chest)
    if smooth is None:
        return None
    changes = np.array([_difference(a, b) for a, b in zip(smooth[1:], smooth[:-1], strict=True)])
    usual = median_filter(changes, size=NEIGHBORS, mode="nearest")
    return judged(
        "breathing-step",
        "greatest change between neighboring slices, of the usual one",
        float((changes / np.maximum(usual, 1e-3)).max()),
        "",
        STEP,
        "The chest jumps between two slices: the patient breathed or moved, or slices are missing; "
        "lung may be shown twice or not at all there.",
    )


def alternating_slices(chest: Chest) -> QualityCheck | None:
    """Whether slices differ from both neighbors, as where every other one lies elsewhere.

    Measured is how far a slice lies from the mean of its neighbors, in terms of half the distance
    of these; the median of all slices.
    """
    smooth = _stack(chest)
    if smooth is None:
        return None
    ratios = [
        _difference(middle, (before + after) / 2) / max(_difference(before, after) / 2, 1e-3)
        for before, middle, after in zip(smooth, smooth[1:], smooth[2:], strict=False)
    ]
    return judged(
        "alternating-slices",
        "distance of a slice from the mean of its neighbors",
        float(np.median(ratios)),
        "",
        ALTERNATION,
        "Slices alternate between two places: the patient moved between interleaved slices, or "
        "they are not in their order.",
    )


def doubled_edges(chest: Chest) -> QualityCheck | None:
    """Whether the edges of the lungs are blurred or double, as by the heart, breath or a tremor.

    Measured is the width over which gray rises from lung to tissue at the steepest place nearby;
    the median along the outlines of the lungs.
    """
    _, row_mm, column_mm = chest.scan.spacing_mm
    wide = np.flatnonzero(chest.areas_cm2 > 0.25 * chest.areas_cm2.max())
    widths = [
        _edge_widths_mm(chest.scan.slices[k], chest.lungs.array[k], (row_mm, column_mm))
        for k in wide[:: max(1, len(wide) // 40)]
    ]
    found = np.concatenate(widths) if widths else np.zeros(0)
    if found.size < 100:
        return None
    allowed_mm = BLUR_MM + BLUR_PX * float(np.sqrt(row_mm * column_mm))
    limits = Limits(
        high=round(allowed_mm, 2),
        source=f"own limit, {BLUR_MM} mm and {BLUR_PX} pixels; still series stay below",
    )
    return judged(
        "doubled-edges",
        "width of the edges of the lungs",
        float(np.median(found)),
        "mm",
        limits,
        "The edges of the lungs are blurred or double: the patient moved, or the kernel is very "
        "smooth; vessels and edges may be taken for ground-glass opacity.",
    )


def _stack(chest: Chest) -> NDArray[np.float32] | None:
    span = chest.coarse_span
    return chest.smooth_hu if span.stop - span.start >= FEWEST_SLICES else None


def _difference(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.abs(one - other).mean())


def _edge_widths_mm(
    voxels_hu: NDArray[np.int16], lungs: NDArray[np.uint8], spacing_mm: tuple[float, float]
) -> NDArray[np.float64]:
    inside = (lungs > 0).view(np.uint8)
    kernel = np.ones((3, 3), np.uint8)
    rim = cv2.dilate(inside, kernel) > cv2.erode(inside, kernel)
    hu = np.clip(voxels_hu, -1000, 100).astype(np.float32)
    slopes = np.hypot(*np.gradient(hu, *spacing_mm))
    steepest = cv2.dilate(slopes.astype(np.float32), kernel)
    around = np.ones((7, 7), np.uint8)
    low, high = cv2.erode(hu, around), cv2.dilate(hu, around)
    chosen = rim & (low < LUNG_HU) & (high > TISSUE_HU) & (steepest > 0)
    return np.asarray((high - low)[chosen] / steepest[chosen], np.float64)

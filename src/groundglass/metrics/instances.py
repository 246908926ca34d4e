"""Lesions as instances: which are found, judged by the overlap of boxes and of masks."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

FOUND_IOU = 0.5
"""A lesion is found where an instance overlaps it by more than this (Liu et al. 2021)."""

TINY_SHARE = 0.00059
"""A lesion smaller than this share of its slice is tiny (Liu et al. 2021)."""

SLICE_PX = (512, 512)
"""Slices as scanners make them; pictures cropped from them keep their pixels."""

TINY_PX = TINY_SHARE * SLICE_PX[0] * SLICE_PX[1]
"""154 pixels: where a tiny lesion ends."""


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """One lesion that a system found on a slice.

    Attributes:
        box: (left, top, right, bottom) in pixels, right and bottom one past the last.
        score: How sure the system is, 0 to 1.
        mask: (row, column), true inside.
    """

    box: tuple[float, float, float, float]
    score: float
    mask: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class TrueLesion:
    """What became of one true lesion.

    Attributes:
        area_px: Its pixels.
        box_score: Score of the surest instance whose box overlaps its own enough; 0 if none does.
        mask_score: Score of the surest instance whose mask overlaps it enough; 0 if none does.
    """

    area_px: int
    box_score: float
    mask_score: float

    @property
    def tiny(self) -> bool:
        """Whether it is smaller than ``TINY_PX``."""
        return self.area_px < TINY_PX


def connected_lesions(
    mask: NDArray[np.bool_], smallest_px: int = 1
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The lesions of a slice that do not touch each other, corners included, largest first.

    Args:
        mask: (row, column), true in lesion.
        smallest_px: Smaller ones are left out.

    Returns:
        Boxes (N, 4) as left, top, right, bottom; masks (N, row, column).
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=8
    )
    order = np.argsort(-stats[1:count, cv2.CC_STAT_AREA], kind="stable") + 1
    kept = [int(n) for n in order if stats[n, cv2.CC_STAT_AREA] >= smallest_px]
    boxes, masks = np.zeros((len(kept), 4), np.float32), np.zeros((len(kept), *mask.shape), bool)
    for place, number in enumerate(kept):
        left, top, width, height, _ = stats[number]
        boxes[place] = left, top, left + width, top + height
        masks[place] = labels == number
    return boxes, masks


def as_instances(probability: NDArray[np.float32], least: float = 0.5) -> list[Instance]:
    """Connected parts of a map of lesion, each with its circumscribed box, as instances.

    Args:
        probability: (row, column), 0 to 1.
        least: Probability above which a pixel is lesion.

    Returns:
        The surest first; the score is the mean probability inside.
    """
    boxes, masks = connected_lesions(probability > least)
    found = [
        Instance(
            (float(box[0]), float(box[1]), float(box[2]), float(box[3])),
            float(probability[mask].mean()),
            mask,
        )
        for box, mask in zip(boxes, masks, strict=True)
    ]
    return sorted(found, key=lambda one: -one.score)


def judge(
    found: Sequence[Instance], mask: NDArray[np.bool_], smallest_px: int = 1
) -> tuple[list[TrueLesion], list[float]]:
    """How surely each lesion of a slice is found, and how sure the instances are that are none.

    Args:
        found: What a system found.
        mask: The true lesions, (row, column).
        smallest_px: Smaller true lesions are not asked for; what finds one is not false.

    Returns:
        An entry for each true lesion, and the scores of the instances whose mask overlaps no lesion
        by more than ``FOUND_IOU``.
    """
    boxes, masks = connected_lesions(mask)
    lesions = []
    is_lesion = np.zeros(len(found), bool)
    for box, true in zip(boxes, masks, strict=True):
        by_box = [_box_iou(box, one.box) > FOUND_IOU for one in found]
        by_mask = [_mask_iou(true, one.mask) > FOUND_IOU for one in found]
        is_lesion |= np.array(by_mask, bool)
        area_px = int(true.sum())
        if area_px >= smallest_px:
            lesions.append(TrueLesion(area_px, _surest(found, by_box), _surest(found, by_mask)))
    return lesions, [one.score for one, real in zip(found, is_lesion, strict=True) if not real]


def _surest(found: Sequence[Instance], counts: Sequence[bool]) -> float:
    return max((one.score for one, yes in zip(found, counts, strict=True) if yes), default=0.0)


def _box_iou(one: NDArray[np.float32], other: tuple[float, ...]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    both = max(float(width), 0.0) * max(float(height), 0.0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    either = float(sum(areas)) - both
    return both / either if either else 0.0


def _mask_iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    either = int(np.count_nonzero(one | other))
    return int(np.count_nonzero(one & other)) / either if either else 0.0

"""Instances from semantic masks: the connected parts of each kind of lesion."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groundglass.data.cohort import UNKNOWN, Case
from groundglass.labels import Lesion

Target = dict[str, Tensor]
"""``boxes`` (lesion, 4) left, top, right, bottom, right and bottom one past the last pixel;
``labels`` (lesion,) 1 the first kind; ``masks`` (lesion, row, column) uint8."""


def instances_of(lesions: NDArray[np.uint8], kinds: Sequence[Lesion], least_px: int) -> Target:
    """Lesions of one slice as instances: pixels of one kind that touch, corners included.

    Lesions of a kind that the network does not tell are background, and so are pixels whose truth
    is not known.

    Args:
        lesions: (row, column) numbers of ``Lesion``.
        kinds: Which lesions are instances; ``UNSPECIFIED`` is a lesion of any kind.
        least_px: Pixels below which a part is no instance.
    """
    masks: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    for label, kind in enumerate(kinds, start=1):
        inside = (lesions > 0) & (lesions != UNKNOWN) & (lesions != Lesion.PLEURAL_EFFUSION)
        if kind is not Lesion.UNSPECIFIED:
            inside = lesions == kind
        count, parts, stats, _ = cv2.connectedComponentsWithStats(
            inside.astype(np.uint8), connectivity=8
        )
        for part in range(1, count):
            if stats[part, cv2.CC_STAT_AREA] >= least_px:
                masks.append((parts == part).astype(np.uint8))
                labels.append(label)
    stacked = np.stack(masks) if masks else np.zeros((0, *lesions.shape), np.uint8)
    return {
        "boxes": torch.tensor([box_of(mask) for mask in masks], dtype=torch.float32).reshape(-1, 4),
        "labels": torch.tensor(labels, dtype=torch.int64),
        "masks": torch.from_numpy(stacked),
    }


def hides_kinds(case: Case, kinds: Sequence[Lesion]) -> bool:
    """Whether a mask shows lesions of unspecified kind where kinds are to be told apart.

    Args:
        case: A slice; without a mask it hides nothing.
        kinds: Which lesions are instances.
    """
    if Lesion.UNSPECIFIED in kinds or not isinstance(case.lesions, Path):
        return False
    lesions = case.read_lesions()
    return lesions is not None and bool((lesions == Lesion.UNSPECIFIED).any())


def box_of(mask: NDArray[np.uint8]) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of a mask that is not empty."""
    left, top, width, height = cv2.boundingRect(mask)
    return float(left), float(top), float(left + width), float(top + height)

"""Average precision of the instances of one slice by itself, as COVID-CT-Mask-Net was published.

Ter-Sarkisov 2022 takes the mean of it over slices; MS COCO ranks the detections of all slices
together, so that a slice with many lesions weighs more and scores must agree between slices.
"""

import numpy as np
from numpy.typing import NDArray

Masks = NDArray[np.bool_]
"""(instance, row, column)."""


def overlaps_of_masks(found: Masks, true: Masks) -> NDArray[np.float64]:
    """Intersection over union, (found, true); either may be empty."""
    if not len(found) or not len(true):
        return np.zeros((len(found), len(true)))
    first, second = (m.reshape(len(m), -1).astype(np.float32) for m in (found, true))
    both = (first @ second.T).astype(np.float64)
    either = first.sum(1)[:, None] + second.sum(1)[None] - both
    overlaps: NDArray[np.float64] = both / np.maximum(either, 1.0)
    return overlaps


def slice_precision(
    overlaps: NDArray[np.float64],
    same_kind: NDArray[np.bool_],
    scores: NDArray[np.float64],
    overlap: float,
) -> float:
    """Area under precision over sensitivity, 0 to 1; 1 where nothing is there and nothing found.

    A lesion is found by the instance of its kind that overlaps it most, if by more than
    ``overlap``; other instances on it are wrong.

    Args:
        overlaps: (found, true) intersection over union.
        same_kind: (found, true) whether the kinds are the same.
        scores: (found,) any order.
        overlap: Overlap that must be exceeded.
    """
    found, true = overlaps.shape
    if not found or not true:
        return float(found == true)
    fitting = np.where(same_kind & (overlaps > overlap), overlaps, 0.0)
    right = np.zeros(found, np.bool_)
    right[fitting.argmax(0)[fitting.max(0) > 0]] = True
    ranked = right[np.argsort(-scores, kind="stable")]
    precision = ranked.cumsum() / np.arange(1, found + 1)
    best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
    return float(best_from_here[ranked].sum() / true)

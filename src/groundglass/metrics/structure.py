"""The structure measure: how well a gray map keeps the shape of a true mask."""

import numpy as np
from numpy.typing import NDArray

_TINY = np.finfo(np.float64).eps


def structure_measure(
    probability: NDArray[np.float32], true: NDArray[np.bool_], alpha: float = 0.5
) -> float:
    r"""Structure measure of a map against a true mask, 0 to 1.

    .. math:: S = \alpha S_o + (1 - \alpha) S_r

    :math:`S_o` compares the map inside and outside the mask with a flat one, :math:`S_r` is
    the structural similarity of four parts, cut at the centroid of the mask and weighted by
    their area. Where the mask is empty S is one minus the mean of the map; where it is full, the
    mean. A negative value, which only a map opposite to the mask can have, counts as 0.

    Args:
        probability: (row, column), 0 to 1.
        true: (row, column).
        alpha: Weight of the object-aware part.

    References:
        Fan et al., Structure-measure: a new way to evaluate foreground maps, ICCV 2017,
        doi:10.1109/ICCV.2017.487, equations 1 to 12.
    """
    values = probability.astype(np.float64)
    share = float(true.mean())
    if share in (0.0, 1.0):
        return 1.0 - float(values.mean()) if share == 0.0 else float(values.mean())
    objects = share * _flatness(values[true]) + (1 - share) * _flatness(1 - values[~true])
    measure = alpha * objects + (1 - alpha) * _region_similarity(values, true)
    return max(0.0, float(measure))


def _flatness(values: NDArray[np.float64]) -> float:
    """How close to an even 1 the values are."""
    mean = float(values.mean())
    return 2 * mean / (mean**2 + 1 + _deviation(values) + _TINY)


def _deviation(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1)) if values.size > 1 else 0.0


def _region_similarity(values: NDArray[np.float64], true: NDArray[np.bool_]) -> float:
    row, column = (round(float(center)) + 1 for center in np.argwhere(true).mean(0))
    similarity = 0.0
    for rows in (np.s_[:row], np.s_[row:]):
        for columns in (np.s_[:column], np.s_[column:]):
            part = true[rows, columns]
            if part.size:
                similarity += part.size / true.size * _similarity(values[rows, columns], part)
    return similarity


def _similarity(values: NDArray[np.float64], true: NDArray[np.bool_]) -> float:
    """Structural similarity of one part; 1 where both are flat."""
    mean, share = float(values.mean()), float(true.mean())
    free = max(true.size - 1, 1)
    centered, mask = values - mean, true - share
    variances = float((centered**2).sum() + (mask**2).sum()) / free
    numerator = 4 * mean * share * float((centered * mask).sum()) / free
    denominator = (mean**2 + share**2) * variances
    if numerator != 0:
        return numerator / (denominator + _TINY)
    return 1.0 if denominator == 0 else 0.0

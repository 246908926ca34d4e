"""A probability map against a true mask at 256 thresholds, from one pass over its pixels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

THRESHOLDS = np.linspace(0.0, 1.0, 256)
"""Thresholds of Inf-Net's protocol, 0 to 1; a pixel at or above one is found."""


@dataclass(frozen=True, slots=True, eq=False)
class ThresholdSweep:
    """Pixel counts of a map cut at each of ``THRESHOLDS``, (256,) each but the last two.

    Every measure is (256,), one value for each threshold.

    Attributes:
        both: Found pixels that are true.
        predicted: Found pixels.
        true: True pixels.
        size: All pixels.
    """

    both: NDArray[np.int64]
    predicted: NDArray[np.int64]
    true: int
    size: int

    @classmethod
    def of(cls, probability: NDArray[np.float32], true: NDArray[np.bool_]) -> "ThresholdSweep":
        """Counts of a map, 0 to 1, and a mask of one shape."""
        step = np.searchsorted(THRESHOLDS, probability.ravel(), side="right")
        levels = len(THRESHOLDS) + 1
        predicted = np.bincount(step, minlength=levels)
        both = np.bincount(step[true.ravel()], minlength=levels)
        return cls(
            both[::-1].cumsum()[-2::-1].astype(np.int64),
            predicted[::-1].cumsum()[-2::-1].astype(np.int64),
            int(np.count_nonzero(true)),
            true.size,
        )

    @property
    def dice(self) -> NDArray[np.float64]:
        """Dice coefficient; 1 where both masks are empty."""
        return _ratio(2 * self.both, self.predicted + self.true)

    @property
    def sensitivity(self) -> NDArray[np.float64]:
        """Share of true pixels that were found; 1 where there are none."""
        return _ratio(self.both, np.full_like(self.both, self.true))

    @property
    def specificity(self) -> NDArray[np.float64]:
        """Share of other pixels that were left alone; 1 where there are none."""
        negatives = np.full_like(self.both, self.size - self.true)
        return _ratio(negatives - (self.predicted - self.both), negatives)

    @property
    def precision(self) -> NDArray[np.float64]:
        """Share of found pixels that are true; 1 where none was found."""
        return _ratio(self.both, self.predicted)

    @property
    def e_measure(self) -> NDArray[np.float64]:
        r"""Enhanced alignment of the cut map with the true mask, 0 to 1.

        With :math:`\phi` a binary map less its mean,

        .. math:: E = \frac{1}{wh} \sum \frac{(1 + \xi)^2}{4}, \quad
            \xi = \frac{2 \phi_P \phi_T}{\phi_P^2 + \phi_T^2}

        :math:`\xi` has one value for each of the four ways in which a pixel can be found and
        true, so counts suffice. Where the true mask is empty, E is the share of pixels left
        alone; where it is full, the share found.

        References:
            Fan et al., Enhanced-alignment measure for binary foreground map evaluation, IJCAI
            2018, doi:10.24963/ijcai.2018/97, equations 2 to 5.
        """
        found = self.predicted / self.size
        if self.true == 0:
            return 1.0 - found
        if self.true == self.size:
            return found
        share = self.true / self.size
        cells = (
            (self.both, 1 - found, 1 - share),
            (self.predicted - self.both, 1 - found, -share),
            (self.true - self.both, -found, 1 - share),
            (self.size - self.predicted - self.true + self.both, -found, -share),
        )
        total = np.zeros(len(found))
        for count, predicted, true in cells:
            aligned = 2 * predicted * true / (predicted**2 + true**2)
            total += count * (1 + aligned) ** 2 / 4
        return total / self.size


def adaptive_threshold(probability: NDArray[np.float32]) -> float:
    """Twice the mean of a map, at most 1: Inf-Net's threshold for a single slice."""
    return min(2.0 * float(probability.mean(dtype=np.float64)), 1.0)


def mean_absolute_error(probability: NDArray[np.float32], true: NDArray[np.bool_]) -> float:
    """Mean distance of the map from the true mask, 0 to 1."""
    return float(np.abs(probability - true).mean(dtype=np.float64))


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.ones(part.shape), where=whole > 0)

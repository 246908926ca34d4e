"""Overlap of masks, from counts that add up over slices and patients."""

from dataclasses import dataclass
from math import nan, prod, sqrt

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Overlap:
    """Voxel counts of a predicted against a true mask.

    Counts of slices add up to counts of a patient: ``sum(overlaps, Overlap())``.

    Attributes:
        both: Voxels in both masks (true positives).
        predicted_only: Voxels in the predicted mask alone (false positives).
        true_only: Voxels in the true mask alone (false negatives).
        neither: Voxels in none (true negatives).
    """

    both: int = 0
    predicted_only: int = 0
    true_only: int = 0
    neither: int = 0

    @classmethod
    def of(cls, predicted: NDArray[np.bool_], true: NDArray[np.bool_]) -> "Overlap":
        """Counts of two boolean masks of one shape."""
        both = int(np.count_nonzero(predicted & true))
        predicted_voxels, true_voxels = (int(np.count_nonzero(m)) for m in (predicted, true))
        return cls(
            both,
            predicted_voxels - both,
            true_voxels - both,
            predicted.size - predicted_voxels - true_voxels + both,
        )

    def __add__(self, other: "Overlap") -> "Overlap":
        """Counts of both together."""
        return Overlap(
            self.both + other.both,
            self.predicted_only + other.predicted_only,
            self.true_only + other.true_only,
            self.neither + other.neither,
        )

    @property
    def dice(self) -> float:
        """Dice coefficient, 0 to 1; 1 where both masks are empty."""
        return _ratio(2 * self.both, 2 * self.both + self.predicted_only + self.true_only)

    @property
    def iou(self) -> float:
        """Intersection over union, 0 to 1; 1 where both masks are empty."""
        return _ratio(self.both, self.both + self.predicted_only + self.true_only)

    @property
    def sensitivity(self) -> float:
        """Share of true voxels that were found; 1 where there are none."""
        return _ratio(self.both, self.both + self.true_only)

    @property
    def specificity(self) -> float:
        """Share of other voxels that were left alone; 1 where there are none."""
        return _ratio(self.neither, self.neither + self.predicted_only)

    @property
    def precision(self) -> float:
        """Share of predicted voxels that are true; 1 where none was predicted."""
        return _ratio(self.both, self.both + self.predicted_only)

    @property
    def mcc(self) -> float:
        r"""Matthews correlation coefficient, -1 to 1.

        .. math:: \frac{TP \cdot TN - FP \cdot FN}
            {\sqrt{(TP + FP)(TP + FN)(TN + FP)(TN + FN)}}

        Where a mask is empty or full the formula is 0 / 0: then it is 1 if the masks are the
        same and 0 otherwise.

        References:
            Matthews, Biochim. Biophys. Acta 1975, doi:10.1016/0005-2795(75)90109-9.
        """
        margins = (
            self.both + self.predicted_only,
            self.both + self.true_only,
            self.neither + self.predicted_only,
            self.neither + self.true_only,
        )
        if 0 in margins:
            return float(self.predicted_only == self.true_only == 0)
        agreement = self.both * self.neither - self.predicted_only * self.true_only
        return agreement / sqrt(prod(margins))

    @property
    def volume_error(self) -> float:
        """Predicted less true volume, as a share of the true; NaN where there is no true voxel."""
        true = self.both + self.true_only
        return (self.predicted_only - self.true_only) / true if true else nan


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 1.0

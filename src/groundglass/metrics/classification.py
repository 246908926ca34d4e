"""How well classes are told: counts of right and wrong answers, and what they come to."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata


@dataclass(frozen=True, slots=True)
class Answers:
    """Right and wrong answers to whether something is there; weights may make them no whole number.

    Attributes:
        true_positive: There, and said so.
        false_positive: Not there, but said so.
        false_negative: There, but not said.
        true_negative: Not there, and not said.
    """

    true_positive: float
    false_positive: float
    false_negative: float
    true_negative: float

    @classmethod
    def of(
        cls,
        said: NDArray[np.bool_],
        true: NDArray[np.bool_],
        weights: NDArray[np.float64] | None = None,
    ) -> "Answers":
        """Count answers.

        Args:
            said: Whether each case was said to show it.
            true: Whether it does.
            weights: How much each case counts; one each if not given.
        """
        w = np.ones(said.shape) if weights is None else weights
        return cls(
            float(w[said & true].sum()),
            float(w[said & ~true].sum()),
            float(w[~said & true].sum()),
            float(w[~said & ~true].sum()),
        )

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        right = self.true_positive + self.true_negative
        return _ratio(right, right + self.false_positive + self.false_negative)

    @property
    def sensitivity(self) -> float:
        """Share of those that show it that were found; NaN where none does."""
        return _ratio(self.true_positive, self.true_positive + self.false_negative)

    @property
    def specificity(self) -> float:
        """Share of those that do not show it that were left alone; NaN where all do."""
        return _ratio(self.true_negative, self.true_negative + self.false_positive)

    @property
    def precision(self) -> float:
        """Share of those said to show it that do; NaN where none was said to."""
        return _ratio(self.true_positive, self.true_positive + self.false_positive)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and sensitivity; NaN where nothing is there or said."""
        wrong = self.false_positive + self.false_negative
        return _ratio(2 * self.true_positive, 2 * self.true_positive + wrong)

    @property
    def mcc(self) -> float:
        """Matthews correlation, -1 to 1; NaN where all cases or all answers are alike."""
        tp, fp = self.true_positive, self.false_positive
        fn, tn = self.false_negative, self.true_negative
        return _ratio(
            tp * tn - fp * fn, float(np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))
        )


def area_under_curve(probability: NDArray[np.floating], true: NDArray[np.bool_]) -> float:
    """Area under the ROC curve, ties counting half; NaN where all cases are alike.

    Args:
        probability: Of each case.
        true: Whether it shows it.
    """
    there, absent = int(true.sum()), int((~true).sum())
    if not there or not absent:
        return float("nan")
    ranks = rankdata(probability)
    return float((ranks[true].sum() - there * (there + 1) / 2) / (there * absent))


def best_threshold(probability: NDArray[np.floating], true: NDArray[np.bool_]) -> float:
    """The probability, in whole per cent, from which to say yes for the highest F1.

    Of several as good, the one nearest to one half; one half where the truth is all alike.

    Args:
        probability: Of each case.
        true: Whether it shows it.
    """
    if true.all() or not true.any():
        return 0.5
    steps = np.arange(1, 100) / 100
    scores = np.array([Answers.of(probability >= step, true).f1 for step in steps])
    best = steps[scores >= scores.max() - 1e-12]
    return float(best[np.abs(best - 0.5).argmin()])


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")

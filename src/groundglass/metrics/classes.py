"""How well classes were told: sensitivity and precision of each, accuracy, F1."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class ClassCounts:
    """Counts of true against found classes, added up over cases.

    Args:
        classes: Number of classes.

    Attributes:
        confusion: (true, found) number of cases.
    """

    def __init__(self, classes: int) -> None:
        self.confusion: NDArray[np.int64] = np.zeros((classes, classes), np.int64)

    def add(self, found: Sequence[int], true: Sequence[int]) -> None:
        """Add cases by the numbers of their found and true classes."""
        np.add.at(self.confusion, (np.asarray(true, int), np.asarray(found, int)), 1)

    @property
    def accuracy(self) -> float:
        """Share of cases whose class was found, 0 to 1; 0 without cases."""
        return _share(int(np.trace(self.confusion)), int(self.confusion.sum()))

    @property
    def sensitivity(self) -> list[float]:
        """For each class the share of its cases that were found; 0 where it has none."""
        found, cases = np.diag(self.confusion), self.confusion.sum(1)
        return [_share(int(f), int(n)) for f, n in zip(found, cases, strict=True)]

    @property
    def precision(self) -> list[float]:
        """For each class the share of rightly found cases; 0 where none was found."""
        right, found = np.diag(self.confusion), self.confusion.sum(0)
        return [_share(int(r), int(n)) for r, n in zip(right, found, strict=True)]

    @property
    def f1(self) -> list[float]:
        """For each class the harmonic mean of sensitivity and precision."""
        pairs = zip(self.sensitivity, self.precision, strict=True)
        return [2 * s * p / (s + p) if s + p else 0.0 for s, p in pairs]

    @property
    def adjusted_f1(self) -> float:
        r"""Class-adjusted F1: each class weighted by its share of the cases.

        .. math:: \sum_c \frac{n_c}{n} F_1(c)

        References:
            Ter-Sarkisov, Applied Intelligence 2022, doi:10.1007/s10489-021-02731-6, equation 3.
        """
        cases = self.confusion.sum(1)
        if not cases.sum():
            return 0.0
        return float(np.average(self.f1, weights=cases))

    def summary(self, names: Sequence[str]) -> dict[str, float]:
        """All of these by name; a class's own carry its name."""
        per_class = {
            f"{measure}_{name}": value
            for measure, values in (
                ("sensitivity", self.sensitivity),
                ("precision", self.precision),
            )
            for name, value in zip(names, values, strict=True)
        }
        return {"accuracy": self.accuracy, "adjusted_f1": self.adjusted_f1, **per_class}


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0

"""One temperature for the logits, so that probabilities mean what they say."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

TEMPERATURES = (0.25, 10.0)
"""Where the temperature is looked for."""


def fit_temperature(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The temperature at which the probabilities agree best with the true classes.

    Guo et al. 2017, On calibration of modern neural networks. The true class of n cases counts
    (n + 1) / (n + 2), as in Platt 1999: a few volumes, all told right, do not ask for certainty.

    Args:
        logits: (volume, class).
        labels: (volume,) number of the true class.
    """
    targets = _targets(labels, logits.shape[1])

    def mean_loss(log_temperature: float) -> float:
        return cross_entropy(logits / np.exp(log_temperature), targets)

    bounds = tuple(np.log(TEMPERATURES))
    found = minimize_scalar(mean_loss, bounds=bounds, method="bounded")
    return float(np.exp(found.x))


def _targets(labels: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """What the probabilities should be, (volume, class)."""
    counts = np.bincount(labels, minlength=classes)
    sure = (counts + 1) / (counts + 2)
    own = np.eye(classes)[labels]
    rest = (1 - sure[labels]) / (classes - 1)
    return np.where(own > 0, sure[labels][:, None], rest[:, None])


def cross_entropy(logits: NDArray[np.float64], targets: NDArray[np.float64]) -> float:
    """Mean of minus the logarithm of the probabilities, weighed by what they should be."""
    shifted = logits - logits.max(1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return float(-(targets * log_probabilities).sum(1).mean())

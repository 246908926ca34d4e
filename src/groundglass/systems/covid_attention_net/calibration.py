"""One temperature for the logits, so that probabilities mean what they say."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

TEMPERATURES = (0.25, 10.0)
"""Where the temperature is looked for: a few volumes, all of them right, would ask for none."""


def fit_temperature(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The temperature at which the probabilities of the true classes are likeliest.

    Guo et al. 2017, On calibration of modern neural networks.

    Args:
        logits: (volume, class).
        labels: (volume,) number of the true class.
    """

    def mean_loss(log_temperature: float) -> float:
        return cross_entropy(logits / np.exp(log_temperature), labels)

    bounds = tuple(np.log(TEMPERATURES))
    found = minimize_scalar(mean_loss, bounds=bounds, method="bounded")
    return float(np.exp(found.x))


def cross_entropy(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Mean of minus the logarithm of the probability of the true class."""
    shifted = logits - logits.max(1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return float(-log_probabilities[np.arange(len(labels)), labels].mean())

"""What every stored measurement says of itself, and the numbers with intervals inside it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

RESAMPLES = 2000
"""Bootstrap resamples of patients behind every confidence interval."""

Progress = Callable[[int, int], None]
"""Called with the number of finished and of all cases."""


class Result(BaseModel):
    """Part of a file in ``benchmarks/``; a field that is not known is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Throughput(Result):
    """Speed of a training run, as ``throughput.json`` in its folder says.

    Attributes:
        images_per_second: Slices per second in the steps of an epoch, data loading included.
        peak_memory_gb: Largest memory of the process, on a GPU its own, in 10^9 bytes.
        seconds: Time of all epochs with their validation.
        epochs: Number of epochs.
        device: Where it ran.
        processes: Processes that shared the work.
        cores: CPU cores that could be used.
        threads: CPU threads of a process.
        precision: Lightning's precision.
        size_px: (row, column) of the input.
        batch_size: Slices per step and process.
    """

    images_per_second: float
    peak_memory_gb: float
    seconds: float
    epochs: int
    device: str
    processes: int
    cores: int
    threads: int
    precision: str
    size_px: tuple[int, int]
    batch_size: int


class Measurement(Result):
    """Which system was measured on which cases.

    Attributes:
        system: Name of the system.
        weights_sha256: Checksum of its weights.
        config: Digest of the config of the run that made them; empty where not known.
        configuration: Digest of settings without the seed, of cases and of where the run started
            from, which runs that differ by seed alone share; see ``configuration_digest``.
        seed: Seed of the run; ``None`` where not known.
        cohort: Name of the cohort.
        split: The split.
        cases: Number of slices.
        patients: Number of patients.
        loss: Mean training loss on the split, without augmentation; ``None`` where the system
            cannot tell.
        throughput: How fast it was trained; ``None`` where not known.
        seen: How many of the slices the run, or one that it started from, learned from or was
            chosen by; ``None`` where not known.
    """

    system: str
    weights_sha256: str
    config: str = ""
    configuration: str = ""
    seed: int | None = None
    cohort: str
    split: str
    cases: int
    patients: int
    loss: float | None = None
    throughput: Throughput | None = None
    seen: int | None = None


class Summary(Result):
    """One metric over patients.

    Attributes:
        mean: Mean over patients.
        low: Lower end of the 95 % bootstrap interval, patients resampled.
        high: Upper end.
        spread: Standard deviation over patients.
    """

    mean: float
    low: float
    high: float
    spread: float


class Estimate(Result):
    """One number for a whole split.

    Attributes:
        value: The number.
        low: Lower end of the 95 % bootstrap interval, patients resampled.
        high: Upper end.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class CaseMetrics:
    """How well one structure was found on one slice.

    Attributes:
        case: Name of the slice.
        patient: Its patient.
        structure: ``lungs``, ``lesion``, ``ground_glass`` or ``consolidation``.
        metrics: Metrics by name; NaN where one is not defined.
    """

    case: str
    patient: str
    structure: str
    metrics: dict[str, float]


def summarize(values: Sequence[float], seed: int = 0) -> Summary:
    """Mean over patients with a 95 % bootstrap interval.

    Args:
        values: One number per patient.
        seed: Seed of the resampling.
    """
    numbers = np.asarray(values, np.float64)
    random = np.random.default_rng(seed)
    means = random.choice(numbers, (RESAMPLES, numbers.size)).mean(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Summary(
        mean=round(float(numbers.mean()), 4),
        low=round(float(low), 4),
        high=round(float(high), 4),
        spread=round(float(numbers.std(ddof=1)) if numbers.size > 1 else 0.0, 4),
    )


class PatientBootstrap:
    """Resamples of the patients of a split, each a weight for every case.

    Args:
        patients: Patient of each case.
        seed: Seed of the resampling.
    """

    def __init__(self, patients: Sequence[str], seed: int = 0) -> None:
        names, index = np.unique(list(patients), return_inverse=True)
        random = np.random.default_rng(seed)
        drawn = random.multinomial(names.size, np.full(names.size, 1 / names.size), RESAMPLES)
        self._weights = np.vstack([np.ones(len(index)), drawn[:, index]])

    def estimate(self, measure: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Estimate:
        """A number with its interval.

        Args:
            measure: Takes weights of the cases, (resample, case), to one number each; NaN for a
                resample without a case that counts.
        """
        value, *resampled = measure(self._weights)
        low, high = np.nanpercentile(resampled, [2.5, 97.5])
        return Estimate(
            value=round(float(value), 4), low=round(float(low), 4), high=round(float(high), 4)
        )

    def mean(self, values: Sequence[float]) -> Estimate:
        """Mean over the cases whose value is defined, not NaN; at least one must be."""
        numbers = np.asarray(values, np.float64)
        known = ~np.isnan(numbers)
        return self.estimate(lambda weights: weighted_mean(weights[:, known], numbers[known]))


def weighted_mean(weights: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of (case, ...) values under (resample, case) weights; NaN where all weigh nothing."""
    total = weights.sum(1).reshape(-1, *[1] * (values.ndim - 1))
    sums = weights @ values
    means: NDArray[np.float64] = np.full(sums.shape, np.nan)
    np.divide(sums, total, out=means, where=total > 0)
    return means

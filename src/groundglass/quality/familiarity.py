"""How far a scan lies from the slices that the shipped networks were trained on.

Of every slice a few plain facts are taken, all in lung gray: how dark, how typical and how bright
the lung is, how bright the tissue around it, and how much of its box it fills. The distance of a
slice from the training slices is that of Mahalanobis: in standard deviations, facts that go
together counted once.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from groundglass.intensity import picture_gray, window_hu
from groundglass.mask import Mask
from groundglass.quality.limits import Limits, judged
from groundglass.report import QualityCheck
from groundglass.scan import CTScan, Scan

FEATURES = ("lung_gray_p10", "lung_gray_p50", "lung_gray_p90", "tissue_gray", "lung_share_of_box")
"""Facts of a slice: percentiles of the lung, median of the tissue around it, share of its box."""

SIZE_PX = 256
"""Longer side of the box around the lungs, brought to the same size for every slice."""

LEAST_LUNG_PX, LEAST_TISSUE_PX = 200, 50
MOST_SLICES = 24
STORED = "training_gray.json"


class TrainingGray(BaseModel):
    """What training slices look like, every patient with the same weight.

    Attributes:
        cohorts: Where the slices come from.
        patients: Number of patients.
        slices: Number of slices.
        features: Names of the facts, in the order of the numbers.
        mean: Mean of each fact.
        covariance: Covariance of the facts.
        distance_p95: Distance that 95 per cent of the training slices stay below.
        distance_p99: Distance that 99 per cent stay below.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cohorts: tuple[str, ...]
    patients: int
    slices: int
    features: tuple[str, ...]
    mean: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    distance_p95: float
    distance_p99: float

    @classmethod
    def of(
        cls, cohorts: Sequence[str], slices: Iterable[tuple[str, NDArray[np.float64]]]
    ) -> "TrainingGray":
        """From the facts of training slices.

        Args:
            cohorts: Names of the cohorts.
            slices: Patient and facts of every slice.
        """
        patients, rows = zip(*slices, strict=True)
        facts = np.stack(rows)
        _, own, counts = np.unique(patients, return_inverse=True, return_counts=True)
        weights = 1.0 / counts[own] / len(counts)
        mean = weights @ facts
        covariance = (facts - mean).T @ ((facts - mean) * weights[:, None])
        order = np.argsort(found := _distances(facts, mean, covariance))
        passed = np.cumsum(weights[order])
        p95, p99 = (float(found[order][np.searchsorted(passed, share)]) for share in (0.95, 0.99))
        return cls(
            cohorts=tuple(cohorts),
            patients=len(counts),
            slices=len(facts),
            features=FEATURES,
            mean=tuple(round(float(x), 6) for x in mean),
            covariance=tuple(tuple(round(float(x), 8) for x in row) for row in covariance),
            distance_p95=round(p95, 3),
            distance_p99=round(p99, 3),
        )

    def distances(self, facts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distance of each slice from the training slices, facts of shape (slice, fact)."""
        return _distances(facts, np.array(self.mean), np.array(self.covariance))

    @property
    def limits(self) -> Limits:
        """Where a scan counts as unlike, and where as another thing altogether."""
        return Limits(
            high=round(self.distance_p99, 1),
            highest=round(2 * self.distance_p95, 1),
            source=f"distances of the {self.slices} training slices of {self.patients} patients "
            "themselves: the 99th percentile, and twice the 95th",
        )


@cache
def training_gray() -> TrainingGray:
    """What the training slices of the shipped networks look like."""
    text = files("groundglass.quality").joinpath(STORED).read_text(encoding="utf-8")
    return TrainingGray.model_validate_json(text)


def unlike_training(scan: Scan, lungs: Mask) -> QualityCheck | None:
    """Whether the scan looks like the slices that the shipped networks were trained on.

    Measured is the distance of the typical slice. None where no slice shows lung enough.

    Args:
        scan: CT volume or pictures.
        lungs: Its lungs.
    """
    facts = [f for k in _chosen(lungs) if (f := slice_facts(_gray(scan, k), lungs.slices[k]))]
    if not facts:
        return None
    reference = training_gray()
    return judged(
        "unlike-training",
        "distance from the training slices, of the typical slice",
        float(np.median(reference.distances(np.array(facts)))),
        "",
        reference.limits,
        "The lungs do not look like those that the networks were trained on: another window, "
        "another kind of picture, values that are no Hounsfield units, or rare disease. What the "
        "networks say about it is not to be relied on.",
    )


def slice_facts(gray: NDArray[np.float32], lungs: NDArray[np.uint8]) -> list[float] | None:
    """The facts of a slice in the order of ``FEATURES``; ``None`` where there is too little lung.

    Args:
        gray: Lung gray, (row, column).
        lungs: Lungs, same shape, above 0 inside.
    """
    rows, columns = (np.flatnonzero((lungs > 0).any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return None
    margin = round(0.04 * max(rows[-1] - rows[0], columns[-1] - columns[0]))
    box = np.s_[
        max(rows[0] - margin, 0) : rows[-1] + margin + 1,
        max(columns[0] - margin, 0) : columns[-1] + margin + 1,
    ]
    pixels = np.clip(gray[box], 0.0, 1.0)
    inside = (lungs[box] > 0).astype(np.uint8)
    scale = SIZE_PX / max(pixels.shape)
    size = tuple(max(1, round(n * scale)) for n in pixels.shape[::-1])
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    shape = cv2.resize(inside, size, interpolation=cv2.INTER_NEAREST)
    near, far = (cv2.dilate(shape, np.ones((n, n), np.uint8)) for n in (3, 9))
    lung, tissue = small[shape > 0], small[far > near]
    if lung.size < LEAST_LUNG_PX or tissue.size < LEAST_TISSUE_PX:
        return None
    return [
        *(float(x) for x in np.percentile(lung, (10, 50, 90))),
        float(np.median(tissue)),
        float(np.mean(shape > 0)),
    ]


def _chosen(lungs: Mask) -> list[int]:
    """Slices that show a good part of the lungs, evenly spread."""
    sizes = np.array([np.count_nonzero(s) / s.size for s in lungs.slices])
    shown = np.flatnonzero(sizes > 0.25 * sizes.max())
    picked = np.linspace(0, len(shown) - 1, min(len(shown), MOST_SLICES))
    return [int(shown[k]) for k in np.unique(picked.astype(int))]


def _gray(scan: Scan, index: int) -> NDArray[np.float32]:
    if isinstance(scan, CTScan):
        return window_hu(scan.slices[index])
    return picture_gray(scan.slices[index])


def _distances(
    facts: NDArray[np.float64], mean: NDArray[np.float64], covariance: NDArray[np.float64]
) -> NDArray[np.float64]:
    away = facts - mean
    squares = np.einsum("ij,jk,ik->i", away, np.linalg.inv(covariance), away)
    return np.asarray(np.sqrt(np.maximum(squares, 0.0)))

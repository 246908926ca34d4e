"""A whole scan against a reader's label of each slice: lesion or none."""

import csv
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy.stats import rankdata

from groundglass.analyze import analyze
from groundglass.errors import CohortError
from groundglass.findings import Findings


class SeriesEvaluation(BaseModel):
    """A series against its slice labels.

    Attributes:
        system: Name of the system.
        weights_sha256: Checksum of its weights.
        series: Name of the series.
        diagnosis: What the reader said of the whole scan.
        slices: Number of slices.
        infected_slices: Slices that the reader called infected.
        opacity_percent: Percentage of opacity.
        auc: Area under the curve of lesion area per slice against the reader's label; ``None``
            where all slices carry one label.
        lung_volume_ml: Volume of both lungs.
        seconds: Time of the whole analysis.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    system: str
    weights_sha256: str
    series: str
    diagnosis: str
    slices: int
    infected_slices: int
    opacity_percent: float
    auc: float | None
    lung_volume_ml: float
    seconds: float


def evaluate_series(scan: Path, labels: Path, system: str, device: str = "cpu") -> SeriesEvaluation:
    """Analyze a series and compare the lesion area of each slice with the reader's label.

    Args:
        scan: Folder of the series; its name stands in the ``volume`` column of the labels.
        labels: CSV with ``volume``, ``diagnosis``, ``slice_location`` (mm) and ``infected`` (0, 1).
        system: Name of a system or folder of a run.
        device: Where the network runs.

    Raises:
        CohortError: If the labels do not fit the slices.
    """
    report = analyze(scan, system=system, device=device)
    findings = report.findings
    infected, diagnosis = _labels_of(labels, scan.name, findings)
    area = findings.opacity_pixels().sum(1)
    opacity, volume_ml = report.score("percentage_of_opacity"), report.score("lung_volume_ml")
    assert opacity is not None
    if volume_ml is None:
        raise CohortError(
            f"found pictures in '{scan.name}', expected a volume; slice labels go with volumes"
        )
    return SeriesEvaluation(
        system=report.provenance.system,
        weights_sha256=report.provenance.weights_sha256,
        series=scan.name,
        diagnosis=diagnosis,
        slices=len(infected),
        infected_slices=int(infected.sum()),
        opacity_percent=round(opacity.value, 3),
        auc=roc_auc(area, infected),
        lung_volume_ml=round(volume_ml.value),
        seconds=round(sum(report.provenance.seconds.values()), 1),
    )


def roc_auc(values: np.ndarray, positive: np.ndarray) -> float | None:
    """Area under the ROC curve, ties counted half; ``None`` where only one class is there.

    Args:
        values: (n,) larger for more disease.
        positive: (n,) boolean.
    """
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return None
    ranks = rankdata(values)[positive].sum()
    return round(float((ranks - positives * (positives + 1) / 2) / (positives * negatives)), 4)


def _labels_of(labels: Path, volume: str, findings: Findings) -> tuple[np.ndarray, str]:
    with labels.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["volume"] == volume]
    rows.sort(key=lambda row: -float(row["slice_location"]))
    if len(rows) != len(findings.lungs.slices):
        raise CohortError(
            f"found {len(rows)} labels for '{volume}' with {len(findings.lungs.slices)} slices, "
            "expected one each; check the labels file"
        )
    return np.array([row["infected"] == "1" for row in rows]), rows[0]["diagnosis"]

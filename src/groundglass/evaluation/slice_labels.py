"""A whole scan against a reader's label of each slice: lesion or none, and in which lobes."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.stats import rankdata

from groundglass.analyze import analyze
from groundglass.errors import CohortError
from groundglass.findings import Findings
from groundglass.labels import OPACITIES, Lobe

LOBE_COLUMNS: Mapping[str, Lobe] = MappingProxyType(
    {
        "RUL": Lobe.RIGHT_UPPER,
        "RML": Lobe.RIGHT_MIDDLE,
        "RLL": Lobe.RIGHT_LOWER,
        "LUL": Lobe.LEFT_UPPER,
        "LLL": Lobe.LEFT_LOWER,
    }
)
"""Columns of the labels, 1 where the reader saw a lesion in the lobe on the slice."""


class LobeAgreement(BaseModel):
    """One lobe against its slice labels.

    A lobe of a slice counts as found diseased where one voxel of it is opacified.

    Attributes:
        labeled: Slices on which the reader saw a lesion in the lobe.
        found: Slices on which one was found.
        sensitivity: Share of the labeled slices that were found; ``None`` where there are none.
        specificity: Share of the other slices on which nothing was found; ``None`` for none.
        kappa: Cohen's kappa; ``None`` where all slices carry one label and one finding.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    labeled: int
    found: int
    sensitivity: float | None
    specificity: float | None
    kappa: float | None


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
        regions_source: Where the lobes come from; empty where they are not known.
        lobes: Agreement of each lobe by its title, where the labels name lobes and they are known.
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
    regions_source: str = ""
    lobes: dict[str, LobeAgreement] = {}


def evaluate_series(scan: Path, labels: Path, system: str, device: str = "cpu") -> SeriesEvaluation:
    """Analyze a series and compare the lesion area of each slice with the reader's label.

    Args:
        scan: Folder of the series; its name stands in the ``volume`` column of the labels.
        labels: CSV with ``volume``, ``diagnosis``, ``slice_location`` (mm) and ``infected`` (0, 1);
            where the reader told lobes apart, with a column for each of ``LOBE_COLUMNS`` as well.
        system: Name of a system or folder of a run.
        device: Where the network runs.

    Raises:
        CohortError: If the labels do not fit the slices.
    """
    report = analyze(scan, system=system, device=device)
    findings = report.findings
    rows = labels_of(labels, scan.name, len(findings.lungs.slices))
    infected, diagnosis = np.array([row["infected"] == "1" for row in rows]), rows[0]["diagnosis"]
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
        regions_source=report.provenance.regions_source,
        lobes=lobe_agreement(findings, rows),
    )


def lobe_agreement(
    findings: Findings, rows: Sequence[Mapping[str, str]]
) -> dict[str, LobeAgreement]:
    """How well the lobes that were found diseased are those that a reader named, slice by slice.

    Args:
        findings: Lobes and lesions of a CT volume.
        rows: The reader's labels of each slice from head to feet, ``LOBE_COLUMNS`` among them.

    Returns:
        By the title of the lobe; nothing where lobes are not known or not labeled.
    """
    if findings.lobes is None or not set(LOBE_COLUMNS) <= set(rows[0]):
        return {}
    found = np.zeros((len(rows), int(max(Lobe)) + 1), np.bool_)
    for own, lobes, opacity in zip(
        found, findings.lobes.slices, findings.lesions.where(*OPACITIES), strict=True
    ):
        own[np.unique(lobes[opacity])] = True
    return {
        lobe.title: _agreement(np.array([row[column] == "1" for row in rows]), found[:, lobe])
        for column, lobe in LOBE_COLUMNS.items()
    }


def _agreement(labeled: NDArray[np.bool_], found: NDArray[np.bool_]) -> LobeAgreement:
    observed = float(np.mean(labeled == found))
    chance = float(labeled.mean() * found.mean() + (1 - labeled.mean()) * (1 - found.mean()))
    return LobeAgreement(
        labeled=int(labeled.sum()),
        found=int(found.sum()),
        sensitivity=round(float(found[labeled].mean()), 4) if labeled.any() else None,
        specificity=round(float((~found[~labeled]).mean()), 4) if not labeled.all() else None,
        kappa=round((observed - chance) / (1 - chance), 4) if chance < 1 else None,
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


_COLUMNS = ("volume", "slice_location", "infected")

_SAID = {"": "0", "0": "0", "0.0": "0", "1": "1", "1.0": "1"}


def read_labels(labels: Path, volume: str) -> list[dict[str, str]]:
    """The labels of a series, from head to feet; none where the table has none of it.

    Args:
        labels: CSV with ``volume``, ``slice_location`` and ``infected`` among its columns.
        volume: Name of the series.

    Raises:
        CohortError: If there is no such table, a column is missing, a location is no number, or
            a label neither 0 nor 1.
    """
    if not labels.is_file():
        raise CohortError(
            f"found no labels '{labels.name}', expected a CSV with a row for each slice; check the "
            "path"
        )
    with labels.open(newline="", encoding="utf-8") as file:
        table = csv.DictReader(file)
        missing = [name for name in _COLUMNS if name not in (table.fieldnames or ())]
        if missing:
            raise CohortError(
                f"found no column '{missing[0]}' in '{labels.name}', expected "
                f"{', '.join(_COLUMNS)}; add it, or rename the file if it holds no labels of slices"
            )
        rows = [_told(row, labels) for row in table if row["volume"] == volume]
    try:
        return sorted(rows, key=lambda row: -float(row["slice_location"]))
    except ValueError as error:
        raise CohortError(
            f"found a slice_location of '{volume}' in '{labels.name}' that is no number ({error}), "
            "expected millimeters; correct it"
        ) from None


def _told(row: dict[str, str], labels: Path) -> dict[str, str]:
    """A row with 0 or 1 where the reader says no or yes; pandas writes ``1.0`` after a gap.

    Empty says no: COVID-CT-MD has no labels of slices for healthy series.
    """
    said = {name: row[name].strip() for name in ("infected", *LOBE_COLUMNS) if name in row}
    for name, text in said.items():
        if text not in _SAID:
            raise CohortError(
                f"found {name} '{text}' at {row['slice_location']} of '{row['volume']}' in "
                f"'{labels.name}', expected 0 or 1; correct it"
            )
    return row | {name: _SAID[text] for name, text in said.items()}


def labels_of(labels: Path, volume: str, slices: int) -> list[dict[str, str]]:
    """The labels of a series, from head to feet.

    Args:
        labels: See :func:`read_labels`.
        volume: Name of the series.
        slices: Number of its slices.

    Raises:
        CohortError: If the table is wrong, or the labels do not fit the slices.
    """
    rows = read_labels(labels, volume)
    if len(rows) != slices:
        raise CohortError(
            f"found {len(rows)} labels for '{volume}' with {slices} slices, "
            "expected one each; check the labels file"
        )
    return rows

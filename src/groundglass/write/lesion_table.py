"""The lesions of a scan as a table: one lesion a row, with its shape and its densities."""

import csv
import io
from pathlib import Path

from groundglass.report import Report
from groundglass.write.lesion_features import LesionFeatures, lesion_features
from groundglass.write.wording import table_text

FILE = "lesions.csv"

COLUMNS = (
    "scan",
    "lesion",
    "kind",
    "lung",
    "lobe",
    "region",
    "center_left_mm",
    "center_posterior_mm",
    "center_superior_mm",
    "volume_ml",
    "surface_mm2",
    "sphericity",
    "maximum_diameter_mm",
    "major_axis_mm",
    "minor_axis_mm",
    "least_axis_mm",
    "mean_hu",
    "sd_hu",
    "minimum_hu",
    "p10_hu",
    "median_hu",
    "p90_hu",
    "maximum_hu",
    "skewness",
    "excess_kurtosis",
    "entropy_bits",
    "system",
    "groundglass_version",
)
"""Columns of the table; ``docs/reference/lesions_csv.md`` defines them."""


def write(report: Report, folder: Path) -> list[Path]:
    """Write ``lesions.csv``, a header and a row for each lesion, into an existing folder.

    Raises:
        OutputError: For pictures and for masks without their scan, which have no Hounsfield units.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for number, lesion in enumerate(lesion_features(report.findings), start=1):
        table.writerow(_row(report, number, lesion))
    file = folder / FILE
    file.write_text(text.getvalue(), encoding="utf-8", newline="")
    return [file]


def _row(report: Report, number: int, lesion: LesionFeatures) -> list[str]:
    parts = (lesion.lung, lesion.lobe, lesion.region)
    numbers = (
        *lesion.center_mm,
        lesion.volume_ml,
        lesion.surface_mm2,
        lesion.sphericity,
        lesion.maximum_diameter_mm,
        *lesion.axes_mm,
        lesion.mean_hu,
        lesion.sd_hu,
        *lesion.percentiles_hu,
        lesion.skewness,
        lesion.excess_kurtosis,
        lesion.entropy_bits,
    )
    return [
        table_text(report.findings.scan.source.name),
        str(number),
        lesion.kind.title,
        *(part.title if part is not None else "" for part in parts),
        *(f"{value:.4f}".rstrip("0").rstrip(".") for value in numbers),
        table_text(report.provenance.system),
        report.provenance.version,
    ]

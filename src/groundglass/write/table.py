"""The report as one row of a table: one scan a row, the same columns for every scan."""

import csv
import io
from pathlib import Path

from groundglass.labels import Lobe, Lung, Region
from groundglass.report import Report
from groundglass.scan import CTScan
from groundglass.score import Score
from groundglass.write.wording import table_text

SCAN_COLUMNS = (
    "scan",
    "format",
    "slices",
    "slice_spacing_mm",
    "row_spacing_mm",
    "column_spacing_mm",
)
"""What was read; spacings are empty for pictures."""

LUNGS = tuple(lung.title for lung in Lung)
LOBES = tuple(lobe.title for lobe in Lobe)
REGIONS = tuple(region.title for region in Region)
ZONES = (
    "upper third",
    "middle third",
    "lower third",
    "anterior half",
    "posterior half",
    "peripheral half",
    "central half",
)

SCORES = {
    **dict.fromkeys(
        (
            "percentage_of_opacity",
            "percentage_of_high_opacity",
            "percentage_of_ground_glass",
            "percentage_of_consolidation",
            "mosmed_category",
            "lung_volume_ml",
            "opacity_volume_ml",
            "ground_glass_volume_ml",
            "consolidation_volume_ml",
            "fung_grade",
            "lesion_count",
            "largest_lesion_volume_ml",
            "median_lesion_volume_ml",
            "mean_opacity_density_hu",
            "percentage_of_well_aerated_lung",
            "well_aerated_volume_ml",
            "mean_lung_density_hu",
        ),
        LUNGS,
    ),
    "bilateral_disease": (),
    "percentage_of_opacity_by_zone": ZONES,
    "ct_severity_score": REGIONS,
    **dict.fromkeys(
        (
            "total_severity_score",
            "ct_score_by_lobe",
            "lung_severity_score",
            "lung_high_opacity_score",
        ),
        LOBES,
    ),
}
"""Scores that have their columns in every table, with the parts that have a column each.

They are empty where a scan does not allow them. Any other score follows at the end, with its
parts.
"""

PROVENANCE_COLUMNS = (
    "quality",
    "quality_findings",
    "notes",
    "study_instance_uid",
    "series_instance_uid",
    "system",
    "weights_sha256",
    "lungs_method",
    "regions_source",
    "groundglass_version",
    "created",
)
"""Outcome of quality control, names of the checks that did not pass and of the notes, and what made
the row."""

WITHOUT_INTERVAL = (
    "lung_volume_ml",
    "percentage_of_well_aerated_lung",
    "well_aerated_volume_ml",
    "mean_lung_density_hu",
)
"""Scores of the lungs alone; every other one has the ends of its interval in the table."""

INTERVAL_COLUMNS = tuple(
    f"{score}_{end}" for score in SCORES if score not in WITHOUT_INTERVAL for end in ("low", "high")
)
"""Smallest and largest value of each score."""

COLUMNS = (
    *SCAN_COLUMNS,
    *(
        name
        for score, parts in SCORES.items()
        for name in (score, *(f"{score}_{part.replace(' ', '_')}" for part in parts))
    ),
    *PROVENANCE_COLUMNS,
    *INTERVAL_COLUMNS,
)
"""Columns that every table has, in order."""

_SUFFIXES = {"%": "percent", "grade": ""}


def write(report: Report, folder: Path) -> list[Path]:
    """Write ``report.csv``, a header and one row, into an existing folder."""
    row = table_row(report)
    text = io.StringIO()
    table = csv.DictWriter(text, fieldnames=list(row), lineterminator="\n")
    table.writeheader()
    table.writerow(row)
    file = folder / "report.csv"
    file.write_text(text.getvalue(), encoding="utf-8", newline="")
    return [file]


def table_row(report: Report) -> dict[str, str]:
    """The cells of a report by column: ``COLUMNS``, then scores that are not among ``SCORES``."""
    row = dict.fromkeys(COLUMNS, "")
    row.update(_scan_cells(report))
    for score in report.scores:
        row[column(score)] = _number(score.value)
        if score.interval:
            low, high = map(_number, score.interval)
            row |= {column(score, "low"): low, column(score, "high"): high}
        for part, value in score.parts.items():
            row[column(score, part)] = _number(value)
    row.update(_provenance_cells(report))
    return row


def column(score: Score, part: str = "") -> str:
    """Column of a score, or of one of its parts, with the unit where the name does not tell it."""
    unit = _SUFFIXES.get(score.unit, score.unit.lower())
    told = score.name.startswith("percentage_") or score.name.endswith(f"_{unit}")
    name = score.name if told or not unit else f"{score.name}_{unit}"
    return f"{name}_{part.replace(' ', '_').replace('-', '_')}" if part else name


def _scan_cells(report: Report) -> dict[str, str]:
    scan = report.findings.scan
    cells = {
        "scan": table_text(scan.source.name),
        "format": table_text(scan.source.format),
        "slices": str(len(scan.slices)),
    }
    if isinstance(scan, CTScan):
        cells |= zip(SCAN_COLUMNS[3:], map(_number, scan.spacing_mm), strict=True)
    return cells


def _provenance_cells(report: Report) -> dict[str, str]:
    made, quality = report.provenance, report.quality
    failed = [c.name for c in quality.checks if c.message] if quality else []
    return {
        "quality": quality.outcome if quality else "",
        "quality_findings": table_text(" ".join(failed)),
        "notes": table_text(" ".join(dict.fromkeys(note.name for note in report.notes))),
        "study_instance_uid": table_text(made.input_uids.get("StudyInstanceUID", "")),
        "series_instance_uid": table_text(made.input_uids.get("SeriesInstanceUID", "")),
        "system": table_text(made.system),
        "weights_sha256": made.weights_sha256,
        "lungs_method": table_text(made.lungs_method),
        "regions_source": table_text(made.regions_source),
        "groundglass_version": made.version,
        "created": made.created,
    }


def _number(value: float) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".")

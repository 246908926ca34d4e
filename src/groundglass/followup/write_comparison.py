"""A comparison to disk: a page, a table and data."""

import csv
import io
from pathlib import Path
from typing import get_args

from groundglass.followup.compare import Compared
from groundglass.followup.comparison import Comparison, Status
from groundglass.followup.comparison_figures import pairs, timeline
from groundglass.followup.measures import BOTH
from groundglass.labels import OPACITIES, Lung, Region
from groundglass.report import NOT_A_MEDICAL_DEVICE
from groundglass.version import __version__
from groundglass.write.folder import write_texts
from groundglass.write.html import page_templates
from groundglass.write.wording import NARROW_SPACE, printable, quantity, table_text

NAME = "comparison"

COLUMNS = (
    "scan",
    "number",
    "day",
    "part",
    "volume_ml",
    "opacity_ml",
    "opacity_percent",
    "volume_change_ml",
    "opacity_change_ml",
    "opacity_change_percentage_points",
    "opacity_change_percent",
    "written_by",
)
"""Columns of the table: one row for each scan and part; changes are to the scan before."""


def write_comparison(compared: Compared, folder: Path) -> list[Path]:
    """Write ``comparison.html``, ``comparison.json`` and ``comparison.csv``: all, or nothing.

    Raises:
        OutputError: If the folder cannot be written, or a file of the user is in the way.
    """
    texts = {
        f"{NAME}.html": page(compared),
        f"{NAME}.json": compared.comparison.model_dump_json(indent=2) + "\n",
        f"{NAME}.csv": table(compared.comparison),
    }

    return write_texts(folder, texts)


def table(comparison: Comparison) -> str:
    """The measures of each part on each scan, with the change to the scan before."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for number, scan in enumerate(comparison.scans):
        changes = comparison.intervals[number - 1].changes if number else {}
        for part, measure in scan.parts.items():
            change = changes.get(part)
            rows.writerow(
                [
                    table_text(scan.name),
                    number + 1,
                    "" if scan.day is None else scan.day,
                    part,
                    measure.volume_ml,
                    measure.opacity_ml,
                    measure.opacity_percent,
                    *(change.model_dump().values() if change else [""] * 4),
                    comparison.written_by,
                ]
            )
    return text.getvalue()


def page(compared: Compared) -> str:
    """The page as text; it refers to nothing outside itself."""
    environment = page_templates("groundglass.followup")
    environment.filters |= {"printable": printable, "quantity": quantity, "signed": signed}
    comparison = compared.comparison
    shown = [part for scan in comparison.scans for part in scan.parts]
    return environment.get_template("comparison.html.j2").render(
        version=__version__,
        warning=NOT_A_MEDICAL_DEVICE,
        comparison=comparison,
        timeline=timeline(comparison),
        pairs=[pairs(compared, number) for number in range(len(comparison.intervals))],
        groups={
            "Lungs and lobes": [
                part
                for part in dict.fromkeys(shown)
                if part not in {region.title for region in Region}
            ],
            "Regions": [region.title for region in Region if region.title in shown],
        },
        kinds=[
            *Lung,
            *(k for k in OPACITIES if any(k.title in s.kinds_ml for s in comparison.scans)),
        ],
    )


def signed(value: float, unit: str) -> str:
    """A change with its sign and unit."""
    if abs(value) < 0.05:
        return f"0.0{NARROW_SPACE}{unit}"
    sign = "+" if value > 0 else "\N{MINUS SIGN}"
    return f"{sign}{abs(value):.1f}{NARROW_SPACE}{unit}"


def change_in_words(comparison: Comparison) -> list[str]:
    """One line for each interval: the lungs as a whole, and how many lesions changed how."""
    lines = []
    for number, interval in enumerate(comparison.intervals):
        before, after = (comparison.scans[i].parts[BOTH] for i in (number, number + 1))
        counts = [f"{interval.count(s)} {s}" for s in get_args(Status) if interval.count(s)]
        lines.append(
            f"scan {number + 1} to {number + 2}: {quantity(before.opacity_percent, '%')} to "
            f"{quantity(after.opacity_percent, '%')} of the lungs opacified, "
            f"{signed(after.opacity_ml - before.opacity_ml, 'ml')}; lesions: "
            f"{', '.join(counts) or 'none'} (lungs registered to {interval.error_mm:.1f} mm)"
        )
    return lines

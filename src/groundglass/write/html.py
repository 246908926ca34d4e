"""The report as one self-contained page for reading and printing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import jinja2

from groundglass.findings import Findings
from groundglass.intensity import LUNG_WINDOW_HU
from groundglass.labels import Label, Lesion, Lung
from groundglass.report import NOT_A_MEDICAL_DEVICE, Answer, Provenance, Report
from groundglass.scan import CTGrid, CTScan, Scan
from groundglass.score import Score
from groundglass.version import __version__
from groundglass.write import figures
from groundglass.write.answer_sections import classification_section, detections_section
from groundglass.write.figures import Picture, Plane
from groundglass.write.key_slices import (
    is_a_series,
    key_pictures,
    key_slices,
    lesion_weights,
)
from groundglass.write.methods import methods
from groundglass.write.profile import Profile, profile
from groundglass.write.region_map import region_map
from groundglass.write.relevance import RelevanceCurve, relevance_curve
from groundglass.write.slices import SliceRow, slice_table
from groundglass.write.wording import NARROW_SPACE, TIMES, printable, quantity

HEADLINES = (
    "percentage_of_opacity",
    "percentage_of_high_opacity",
    "mosmed_category",
    "ct_severity_score",
    "opacity_volume_ml",
    "lung_volume_ml",
)
"""Scores that stand in large figures at the top, where the scan allows them."""

KEY_SLICES = 6
MOST_PICTURES = 18
LEAST_SLICES_FOR_A_CURVE = 8
"""With fewer there is no course from apex to base to speak of, nor a coronal view."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One cut through the scan, as it is and with what was found on it."""

    plain: Picture
    overlaid: Picture
    caption: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Course:
    """How the disease spreads from apex to base."""

    curve: Profile
    relevance: RelevanceCurve | None
    coronal: Figure | None
    first: str
    last: str


def write(report: Report, folder: Path) -> list[Path]:
    """Write ``report.html`` into an existing folder."""
    file = folder / "report.html"
    file.write_text(page(report), encoding="utf-8")
    return [file]


def page(report: Report) -> str:
    """The page as text; it refers to nothing outside itself."""
    findings = report.findings
    rows = slice_table(findings)
    chosen = _chosen(findings, rows)
    answer = Answer.of(report)
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            version=__version__,
            warning=NOT_A_MEDICAL_DEVICE,
            source=findings.scan.source,
            facts=facts(findings.scan, report.provenance),
            headlines=[s for s in map(report.score, HEADLINES) if s],
            scores=report.scores,
            lungs=list(Lung),
            region_map=region_map(report),
            figures=list(_figures(report, rows, chosen)),
            is_volume=isinstance(findings.scan, CTScan),
            without_scan=isinstance(findings.scan, CTGrid),
            window=_window(),
            opacity_found=any(row.opacity for row in rows),
            lesion_found=bool(lesion_weights(rows).any()),
            left_out=len(rows) - len(chosen),
            kinds=_kinds_found(rows),
            course=None if report.withheld else _course(findings, rows, chosen, answer),
            quality=report.quality,
            varied="uncertainty" in report.provenance.settings,
            notes=report.notes,
            corrections=report.provenance.corrections,
            methods=methods(report.provenance, report.scores),
            provenance=provenance_rows(report.provenance),
            detections=detections_section(answer, findings),
            classification=classification_section(answer, findings, rows),
        )
    )


def page_templates(*packages: str) -> jinja2.Environment:
    """Templates of a package, then those that every page shares.

    Args:
        packages: Packages whose own templates come first.
    """
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [jinja2.PackageLoader(name) for name in (*packages, "groundglass.write")]
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def environment() -> jinja2.Environment:
    """Where the templates of pages are found, and how they show numbers and names."""
    templates = page_templates()
    templates.filters |= {
        "printable": printable,
        "shown": shown,
        "total": total,
        "interval": interval,
    }
    return templates


def shown(score: Score, value: float) -> str:
    """The value of a score or of a part, with its unit, as the report shows it.

    A graded score whose meaning begins with the name of the grade (``CT-2: ...``) goes by it.
    """
    if score.unit == "grade" and score.meaning:
        stem = score.meaning.partition(":")[0].removesuffix(f"{score.value:.0f}")
        if stem.endswith("-"):
            return f"{stem}{value:.0f}"
    return quantity(value, score.unit)


def total(score: Score) -> str:
    """The value of the whole patient; a sum of grades with the most that it can be."""
    text = shown(score, score.value)
    return f"{text} of {score.maximum:.0f}" if text.isdigit() and score.maximum else text


def interval(score: Score) -> str:
    """The interval of a score; one value where both ends read the same, nothing without one."""
    if score.interval is None:
        return ""
    low, high = (shown(score, end) for end in score.interval)
    return low if low == high else f"{low} to {high}"


def _chosen(findings: Findings, rows: list[SliceRow]) -> list[int]:
    if isinstance(findings.scan, CTScan):
        return key_slices(rows, KEY_SLICES, findings.scan.spacing_mm[0])
    return key_pictures(rows, MOST_PICTURES)


def facts(scan: Scan, made: Provenance) -> list[str]:
    """What stands below the heading: the scan, and when and with what it was analyzed."""
    told = [f"read as {scan.source.format}"]
    if isinstance(scan, CTScan):
        slices, rows, columns = scan.slices.shape
        spacing = f" {TIMES} ".join(f"{mm:.2f}" for mm in scan.spacing_mm)
        told += [
            f"{_count(slices, 'slice')} of {rows} {TIMES} {columns}",
            f"voxels of {spacing} mm",
        ]
    else:
        told.append(_count(len(scan.slices), "picture"))
    told += [f"{name} {value}" for name, value in scan.source.description.items()]
    return [*told, f"analyzed {made.created[:10]} with {made.system}"]


def _window() -> str:
    low, high = LUNG_WINDOW_HU
    level = quantity((low + high) / 2, "HU")
    return f"level {level}, width {quantity(high - low, 'HU')}"


def _figures(report: Report, rows: list[SliceRow], chosen: list[int]) -> Iterator[Figure]:
    findings = report.findings
    box = figures.lung_box(findings) if isinstance(findings.scan, CTScan) else None
    for index in chosen:
        row = rows[index]
        name = row.name or f"{'Slice' if box else 'Picture'} {index + 1} of {len(rows)}"
        share = "no lung" if row.percent is None else f"{quantity(row.percent, '%')} of the lung"
        position = (
            "" if row.position_mm is None else f"{_signed(row.position_mm)}{NARROW_SPACE}mm, "
        )
        plane = figures.axial(findings, index, box)
        detail = f"{position}{share}" if not report.withheld else position.rstrip(", ")
        yield _figure(plane, name, detail)


def _figure(plane: Plane, caption: str, detail: str = "") -> Figure:
    kinds = [k.title for k in Lesion if (plane.lesions == k).any()]
    found = ", ".join(kinds) if kinds else "no lesion"
    return Figure(
        figures.plain(plane, f"{caption}, as it is"),
        figures.overlaid(plane, f"{caption}, lungs outlined, lesions in color: {found}"),
        caption,
        detail,
    )


def _course(
    findings: Findings, rows: list[SliceRow], chosen: list[int], answer: Answer
) -> Course | None:
    if len(rows) < LEAST_SLICES_FOR_A_CURVE:
        return None
    if not isinstance(findings.scan, CTScan):
        if not is_a_series(findings.scan):
            return None
        whole = slice(0, len(rows))
        curve, relevance = profile(rows, whole, chosen, 1.0), relevance_curve(answer, whole, 1.0)
        return Course(curve, relevance, None, "first picture", "last picture")
    box, row = figures.lung_box(findings), figures.coronal_row(findings)
    plane = figures.coronal(findings, row, box)
    width, height = plane.size_px
    figure = _figure(plane, f"Coronal slice {row + 1} of {findings.lungs.array.shape[1]}")
    curve = profile(rows, box[0], chosen, height / width)
    relevance = relevance_curve(answer, box[0], height / width)
    return Course(curve, relevance, figure, "apex", "base")


def _kinds_found(rows: list[SliceRow]) -> list[Label]:
    found = {title for row in rows for title in row.lesion_pixels}
    return [kind for kind in Lesion if kind.title in found]


def provenance_rows(made: Provenance) -> dict[str, str]:
    """What made a result, by what it is."""
    seconds = {stage: f"{s:.1f} s" for stage, s in made.seconds.items()}
    rows = {
        "groundglass": made.version,
        "created": made.created,
        "system": made.system,
        "weights, SHA-256": made.weights_sha256,
        "lungs": made.lungs_method,
        "lobes and regions": made.regions_source,
        "device": made.device,
        "settings": _listed(made.settings) or "defaults",
        "libraries": _listed(made.libraries),
        **made.input_uids,
        "time": _listed(seconds),
    }
    return {name: value for name, value in rows.items() if value}


def _listed(pairs: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in pairs.items())


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number != 1 else ''}"


def _signed(value: float) -> str:
    return f"{value:.1f}".replace("-", "\N{MINUS SIGN}")

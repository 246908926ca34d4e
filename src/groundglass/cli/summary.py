"""What was found, on one screen of a terminal."""

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.table import Table
from rich.text import Text

from groundglass.cli.console import say, stderr
from groundglass.errors import WithheldError
from groundglass.labels import Lung
from groundglass.report import NOT_A_MEDICAL_DEVICE, Outcome, Report
from groundglass.scan import Note
from groundglass.write.answer import AnswerRecord
from groundglass.write.answer_record import (
    ClassificationRecord,
    classification_record,
    picture_names,
)
from groundglass.write.radiograph import RadiographRecord
from groundglass.write.wording import printable, quantity

MOST_ROWS = 10
"""Detected lesions that are printed; the files hold all."""


def say_report(report: Report, files: Sequence[Path]) -> None:
    """Print scores, what the scan most likely shows, notes and files of a report."""
    if report.scores:
        stderr().print(_table(report))
    if report.classification is not None:
        scan = report.findings.scan
        found = classification_record(report.classification, picture_names(scan))
        _say_classes(scan.source.name, found)
    for score in report.scores:
        if score.meaning:
            say(f"{score.title}: {score.meaning}")
        if score.caution:
            say(f"{score.title}: {score.caution}", "yellow")
    for check in report.quality.checks if report.quality else ():
        if check.message:
            say(f"quality, {check.outcome} ({check.name}): {check.message}", "yellow")
    say_notes(report.notes)
    say_files(files)
    say(NOT_A_MEDICAL_DEVICE, "dim")


def say_detections(record: AnswerRecord) -> None:
    """Print the largest of the detected lesions."""
    found = record.detections
    if found is None or not found.lesions:
        say("no lesion was detected")
        say(NOT_A_MEDICAL_DEVICE, "dim")
        return
    title = f"{len(found.lesions)} lesions of {len(found.boxes)} boxes by {found.system}"
    table = _titled(title)
    for heading in ("", "kind", "lung", "slices", "volume", "score"):
        table.add_column(heading, justify="right" if heading in {"volume", "score"} else "left")
    for one in found.lesions[:MOST_ROWS]:
        volume = "" if one.volume_ml is None else f"{one.volume_ml:.2f} ml"
        slices = f"{one.first_slice + 1} to {one.last_slice + 1}"
        table.add_row(str(one.number), one.kind, one.lung or "", slices, volume, f"{one.score:.2f}")
    stderr().print(table)
    say(NOT_A_MEDICAL_DEVICE, "dim")


def say_classification(record: AnswerRecord | RadiographRecord) -> None:
    """Print the probability of each class, and the boxes that carried the answer."""
    if record.classification is None:
        return
    _say_classes(record.scan.name, record.classification)
    say(NOT_A_MEDICAL_DEVICE, "dim")


def _say_classes(scan: str, found: ClassificationRecord) -> None:
    table = _titled(f"{scan} by {found.system}")
    table.add_column("class")
    table.add_column("probability", justify="right")
    for name, probability in sorted(found.probabilities.items(), key=lambda pair: -pair[1]):
        table.add_row(Text(printable(name)), quantity(100 * probability, "%"))
    stderr().print(table)
    for sign in found.manifestations:
        said = "shown" if sign.shown else "not shown"
        say(f"{printable(sign.name)}: {said}, {quantity(100 * sign.probability, '%')}")
    for one in found.evidence[:MOST_ROWS]:
        where = one.name or f"slice {one.slice + 1}"
        edges = f"rows {one.top:.0f} to {one.bottom:.0f}, columns {one.left:.0f} to {one.right:.0f}"
        say(printable(f"carried by: {where}, {edges}, score {one.score:.2f}"))


def refuse_withheld(report: Report) -> None:
    """Say in one line why there are no scores, if quality control withheld them.

    Raises:
        WithheldError: With what was measured and its limit.
    """
    if report.quality is None or not report.withheld:
        return
    first = report.quality.having(Outcome.WITHHELD)[0]
    raise WithheldError(
        f"scores withheld: found {first.title} {first.measured}, expected it within its limits "
        f"({first.limit}); give a scan that passes, the report says more"
    )


def _titled(title: str) -> Table:
    """A table under a title that may hold any name: a text, of which no part is markup."""
    return Table(box=box.SIMPLE, title=Text(printable(title), "table.title"))


def _table(report: Report) -> Table:
    table = _titled(report.findings.scan.source.name)
    table.add_column("")
    for heading in ("both lungs", "interval", *(lung.title for lung in Lung)):
        table.add_column(heading, justify="right")
    for score in report.scores:
        ends = dict.fromkeys(quantity(end, score.unit) for end in score.interval or ())
        parts = (score.parts.get(lung.title) for lung in Lung)
        shown = ("" if part is None else quantity(part, score.unit) for part in parts)
        table.add_row(score.title, quantity(score.value, score.unit), " to ".join(ends), *shown)
    return table


def say_notes(notes: Sequence[Note]) -> None:
    """Print what was noticed, a line for each."""
    for note in notes:
        say(f"note ({note.name}): {printable(note.message)}", "yellow")


def say_files(files: Sequence[Path]) -> None:
    """Print where the results lie: each file, or the first and the folder where there are many."""
    if len(files) > 8:
        folder = files[0].parent
        while not all(folder in file.parents for file in files):
            folder = folder.parent
        first = files[0].relative_to(folder)
        say(printable(f"{first} and {len(files) - 1} more files in {folder}"), "green")
        return
    for file in files:
        say(printable(str(file)), "green")

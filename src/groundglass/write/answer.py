"""Boxes and classes to disk: a page, data, and tables of boxes and lesions."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from groundglass.report import NOT_A_MEDICAL_DEVICE, Answer, Provenance
from groundglass.version import __version__
from groundglass.write.answer_record import (
    ClassificationRecord,
    DetectionsRecord,
    LinkedLesionRecord,
)
from groundglass.write.answer_sections import (
    classification_section,
    detections_section,
    findings_of,
)
from groundglass.write.figures import axial, draw_map
from groundglass.write.folder import move_in_when_done, results_named
from groundglass.write.html import environment, facts, provenance_rows
from groundglass.write.radiograph import MAP, save_map
from groundglass.write.record import (
    NoteRecord,
    ScanRecord,
    answer_records,
    note_records,
    scan_record,
)
from groundglass.write.wording import table_text

_CONFIG = ConfigDict(
    frozen=True, extra="ignore", use_attribute_docstrings=True, allow_inf_nan=False
)

_BOX_COLUMNS = (
    *("scan", "slice", "name", "lesion", "kind", "score"),
    *("top", "left", "bottom", "right", "area_px", "system", "groundglass_version"),
)
_LESION_COLUMNS = (
    *("scan", "lesion", "kind", "score", "lung", "first_slice", "last_slice"),
    *("center_left_mm", "center_posterior_mm", "center_superior_mm"),
    *("size_slice_mm", "size_row_mm", "size_column_mm", "volume_ml", "outlined"),
    *("system", "groundglass_version"),
)


class AnswerRecord(BaseModel):
    """Boxes or classes of one scan: ``detections.json`` and ``classification.json``."""

    model_config = _CONFIG

    written_by: str
    """Program and version that wrote the file."""

    not_a_medical_device: str = NOT_A_MEDICAL_DEVICE
    """What the numbers must not be used for."""

    scan: ScanRecord
    """The scan that was looked at."""

    detections: DetectionsRecord | None = None
    """Lesions as boxes; null where they were not asked for."""

    classification: ClassificationRecord | None = None
    """What the scan most likely shows; null where that was not asked for."""

    notes: list[NoteRecord] = []
    """What was noticed on reading and on the way, in order."""

    provenance: Provenance
    """What made this answer."""


def answer_record(answer: Answer) -> AnswerRecord:
    """An answer as the record that its JSON file holds."""
    return AnswerRecord(
        written_by=f"groundglass {__version__}",
        scan=scan_record(answer.scan),
        **answer_records(answer),
        notes=note_records(answer.notes),
        provenance=answer.provenance,
    )


def write_answer(answer: Answer, folder: Path) -> list[Path]:
    """Write what a system said of a scan: all of it, or nothing.

    Boxes give ``detections.html``, ``detections.json``, ``detections.csv`` (a row for each box)
    and ``detected_lesions.csv`` (a row for each lesion); classes ``classification.html``,
    ``classification.json`` and, where it is told what spoke for the class, ``class_map.png``: the
    slice that is surest of it. The map of an earlier answer goes.

    Args:
        answer: Boxes or classes.
        folder: Where to; made where it does not exist.

    Returns:
        The files.

    Raises:
        OutputError: If the folder cannot be written, or a file of the user is in the way. The
            folder is then as it was.
    """
    obsolete = results_named(folder, (MAP,)) if answer.detections is None else ()
    return move_in_when_done(folder, lambda at: _make(answer, at), obsolete)


def answer_page(answer: Answer) -> str:
    """The answer as one self-contained page."""
    findings = findings_of(answer)
    return (
        environment()
        .get_template("answer.html.j2")
        .render(
            version=__version__,
            warning=NOT_A_MEDICAL_DEVICE,
            source=answer.scan.source,
            facts=facts(answer.scan, answer.provenance),
            detections=detections_section(answer, findings),
            classification=classification_section(answer, findings),
            notes=answer.notes,
            provenance=provenance_rows(answer.provenance),
        )
    )


def _make(answer: Answer, at: Path) -> list[Path]:
    record = answer_record(answer)
    stem = "classification" if answer.detections is None else "detections"
    texts = {
        f"{stem}.html": answer_page(answer),
        f"{stem}.json": record.model_dump_json(indent=2) + "\n",
    }
    if record.detections is not None:
        texts["detections.csv"] = _table(_BOX_COLUMNS, _box_rows(record, record.detections))
        texts["detected_lesions.csv"] = _table(
            _LESION_COLUMNS, _lesion_rows(record, record.detections)
        )
    for name, text in texts.items():
        (at / name).write_text(text, encoding="utf-8", newline="")
    found = answer.classification
    if found is None or found.class_map is None:
        return [at / name for name in texts]
    plane = axial(findings_of(answer), found.class_map.slice_index)
    drawn = draw_map(plane.gray, found.class_map.spoke)
    return [*(at / name for name in texts), save_map(drawn, at)]


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    table.writerows(["" if cell is None else cell for cell in row] for row in rows)
    return text.getvalue()


def _box_rows(record: AnswerRecord, found: DetectionsRecord) -> list[tuple[object, ...]]:
    made = (table_text(found.system), __version__)
    scan = table_text(record.scan.name)
    return [
        (
            *(scan, box.slice, table_text(box.name or ""), box.lesion, box.kind, box.score),
            *(box.top, box.left, box.bottom, box.right, box.area_px, *made),
        )
        for box in found.boxes
    ]


def _lesion_rows(record: AnswerRecord, found: DetectionsRecord) -> list[tuple[object, ...]]:
    made = (table_text(found.system), __version__)
    scan = table_text(record.scan.name)
    return [
        (
            *(scan, one.number, one.kind, one.score, one.lung, one.first_slice, one.last_slice),
            *_lengths(one),
            *(one.volume_ml, "yes" if one.outlined else "no", *made),
        )
        for one in found.lesions
    ]


def _lengths(lesion: LinkedLesionRecord) -> tuple[float | None, ...]:
    none = (None, None, None)
    return (*(lesion.center_mm or none), *(lesion.size_mm or none))

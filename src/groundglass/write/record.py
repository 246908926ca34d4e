"""The report as JSON, with a schema, and back."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from groundglass.errors import UnreadableScanError
from groundglass.labels import Label, Lesion, Lobe, Lung, Region
from groundglass.linking import link_detections
from groundglass.report import (
    NOT_A_MEDICAL_DEVICE,
    Answer,
    Outcome,
    Provenance,
    QualityCheck,
    Report,
)
from groundglass.scan import CTScan, Note, Scan
from groundglass.score import Score
from groundglass.version import __version__
from groundglass.write.answer_record import (
    ClassificationRecord,
    DetectionsRecord,
    classification_record,
    detections_record,
    picture_names,
)
from groundglass.write.slices import SliceRow, slice_table
from groundglass.write.wording import printable

SCHEMA_VERSION = 1
"""Rises when a program that reads the record would break; new fields do not raise it."""

_CONFIG = ConfigDict(
    frozen=True, extra="ignore", use_attribute_docstrings=True, allow_inf_nan=False
)


class NoteRecord(BaseModel):
    """Something noticed on the way."""

    model_config = _CONFIG

    name: str
    """Short fixed name, the one that `--tolerate` takes."""

    message: str
    """What was found and what was done about it."""


class LabelRecord(BaseModel):
    """What a number in a mask means."""

    model_config = _CONFIG

    title: str
    """Name for people; the key of parts and pixel counts."""

    color: str
    """Display color, `#rrggbb`."""


class QualityRecord(BaseModel):
    """What was looked at before anything was measured."""

    model_config = _CONFIG

    outcome: Outcome
    """The worst outcome of all checks; `withheld`: there are no scores."""

    checks: list[QualityCheck]
    """Every check that the scan allows, in reading order."""


class ScanRecord(BaseModel):
    """The scan that was analyzed."""

    model_config = _CONFIG

    name: str
    """Name of the file or folder that was read."""

    format: str
    """Reader that read it."""

    kind: Literal["volume", "pictures"]
    """A volume has Hounsfield units and millimeters; pictures have neither."""

    description: dict[str, str] = {}
    """Further facts, such as the reconstruction kernel."""

    shape: tuple[int, int, int] | None = None
    """Slices, rows and columns of a volume; null for pictures, whose sizes may differ."""

    spacing_mm: tuple[float, float, float] | None = None
    """Distance between slices, rows and columns in mm; null for pictures."""


class ReportRecord(BaseModel):
    """Everything that groundglass found on one scan, without the masks."""

    model_config = _CONFIG

    written_by: str
    """Program and version that wrote the file."""

    schema_version: Literal[1]
    """Version of this schema; new fields do not raise it."""

    not_a_medical_device: str = NOT_A_MEDICAL_DEVICE
    """What the numbers must not be used for."""

    scan: ScanRecord
    """The scan that was analyzed."""

    quality: QualityRecord | None = None
    """What quality control found; null where it was not done."""

    scores: list[Score]
    """Every score the scan allows, in reading order; empty where they were withheld."""

    slices: list[SliceRow]
    """Lung and opacity slice by slice, from head to feet; or picture by picture. Empty where
    scores were withheld."""

    lungs: dict[str, LabelRecord]
    """Label numbers of the lungs mask."""

    lesions: dict[str, LabelRecord]
    """Label numbers of the lesions mask."""

    lobes: dict[str, LabelRecord] = {}
    """Label numbers of the lobes mask; empty where the lobes are not known."""

    regions: dict[str, LabelRecord] = {}
    """Label numbers of the regions mask, the 20 of CT-SS; empty where they are not known."""

    detections: DetectionsRecord | None = None
    """Lesions as boxes; null where the system gives none."""

    classification: ClassificationRecord | None = None
    """What the scan most likely shows; null where the system does not say."""

    notes: list[NoteRecord] = []
    """What was noticed on reading and on the way, in order."""

    provenance: Provenance
    """What made this result."""

    def score(self, name: str) -> Score | None:
        """The score of that name, or ``None`` where the scan did not allow it."""
        return next((s for s in self.scores if s.name == name), None)


def write(report: Report, folder: Path) -> list[Path]:
    """Write ``report.json`` into an existing folder."""
    file = folder / "report.json"
    file.write_text(record_of(report).model_dump_json(indent=2) + "\n", encoding="utf-8")
    return [file]


def record_of(report: Report) -> ReportRecord:
    """The report as the record that ``report.json`` holds."""
    return ReportRecord(
        written_by=f"groundglass {__version__}",
        schema_version=SCHEMA_VERSION,
        scan=scan_record(report.findings.scan),
        quality=_quality(report),
        scores=list(report.scores),
        slices=[] if report.withheld else slice_table(report.findings),
        lungs=_labels(Lung),
        lesions=_labels(Lesion),
        lobes=_labels(Lobe) if report.findings.lobes else {},
        regions=_labels(Region) if report.findings.regions else {},
        **answer_records(Answer.of(report)),
        notes=note_records(report.notes),
        provenance=report.provenance,
    )


def scan_record(scan: Scan) -> ScanRecord:
    """The record of what was read."""
    volume, source = isinstance(scan, CTScan), scan.source
    return ScanRecord(
        name=printable(source.name),
        format=source.format,
        kind="volume" if volume else "pictures",
        description={printable(k): printable(v) for k, v in source.description.items()},
        shape=scan.slices.shape if isinstance(scan, CTScan) else None,
        spacing_mm=scan.spacing_mm if isinstance(scan, CTScan) else None,
    )


def note_records(notes: Sequence[Note]) -> list[NoteRecord]:
    """The records of what was noticed."""
    return [NoteRecord(name=n.name, message=printable(n.message)) for n in notes]


def answer_records(answer: Answer) -> dict[str, Any]:
    """The fields ``detections`` and ``classification``, as far as there is an answer."""
    names, records = picture_names(answer.scan), dict[str, Any]()
    if answer.detections is not None:
        lesions = link_detections(answer.detections, answer.lungs)
        records["detections"] = detections_record(answer.detections, lesions, names)
    if answer.classification is not None:
        records["classification"] = classification_record(answer.classification, names)
    return records


def read_record(path: Path) -> ReportRecord:
    """The record in a ``report.json``.

    Raises:
        UnreadableScanError: If the file is none, or of a later schema.
    """
    try:
        return ReportRecord.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UnreadableScanError(
            f"cannot read '{path}' ({error.strerror}), expected a report.json; check the path"
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "file"
        raise UnreadableScanError(
            f"found '{path}' that is no groundglass report ({where}: {first['msg']}), expected "
            f"report.json of schema version {SCHEMA_VERSION}; write it again with this version"
        ) from error


def schema_text() -> str:
    """The JSON Schema of ``report.json``, as it stands in the documentation."""
    schema: dict[str, Any] = ReportRecord.model_json_schema(mode="serialization")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _quality(report: Report) -> QualityRecord | None:
    if report.quality is None:
        return None
    return QualityRecord(outcome=report.quality.outcome, checks=list(report.quality.checks))


def _labels(labels: type[Label]) -> dict[str, LabelRecord]:
    return {str(int(m)): LabelRecord(title=m.title, color=m.color) for m in labels}

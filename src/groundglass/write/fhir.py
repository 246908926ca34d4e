"""Scores as FHIR R4: one DiagnosticReport and its Observations in a Bundle of JSON.

The patient is not named; whoever sends the bundle adds the subject. The study is named by its UID
where the scan was read from DICOM, and the numbers hold of the day of the scan where that is kept.
"""

import json
import uuid
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from groundglass.labels import Label
from groundglass.provenance import acquired_on
from groundglass.report import NOT_A_MEDICAL_DEVICE, Report
from groundglass.score import Score
from groundglass.write.wording import printable

FILE = "report.fhir.json"
SCORE_SYSTEM = "urn:groundglass:score"
"""Coding system of the scores; the codes are their names in ``groundglass.severity``."""

WHOLE = "both lungs"

_SNOMED = "http://snomed.info/sct"
_UCUM = "http://unitsofmeasure.org"
_UCUM_CODES = {"%": "%", "ml": "mL", "HU": "[hnsf'U]"}
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "groundglass.fhir")

Resource = dict[str, Any]


def write(report: Report, folder: Path) -> list[Path]:
    """Write ``report.fhir.json`` into an existing folder."""
    file = folder / FILE
    file.write_text(json.dumps(bundle(report), indent=2, ensure_ascii=True) + "\n")
    return [file]


def bundle(report: Report) -> Resource:
    """A collection of one Device, one DiagnosticReport and an Observation for every number."""
    root = _root(report)
    device = _device(report, root)
    observations = list(_observations(report, root, _url(device)))
    resources = [_diagnostic_report(report, root, observations), device, *observations]
    return {
        "resourceType": "Bundle",
        "identifier": {"system": "urn:groundglass:bundle", "value": _id(root, "bundle")},
        "type": "collection",
        "timestamp": _instant(report),
        "entry": [{"fullUrl": _url(one), "resource": one} for one in resources],
    }


def _diagnostic_report(report: Report, root: uuid.UUID, observations: list[Resource]) -> Resource:
    said = [f"{note.name}: {note.message}" for note in report.notes]
    made: Resource = {
        "resourceType": "DiagnosticReport",
        "id": _id(root, "report"),
        "status": "preliminary",
        "code": _concept("http://loinc.org", "24627-2", "CT Chest"),
        "issued": _instant(report),
        "result": [{"reference": _url(one)} for one in observations],
        "conclusion": printable(" ".join([NOT_A_MEDICAL_DEVICE, *said])),
    }
    if study := report.provenance.input_uids.get("StudyInstanceUID"):
        system, value = "urn:dicom:uid", f"urn:oid:{printable(study)}"
        made["imagingStudy"] = [{"identifier": {"system": system, "value": value}}]
    return made


def _device(report: Report, root: uuid.UUID) -> Resource:
    """What made the numbers."""
    made = report.provenance
    versions = [{"value": made.version}]
    if made.weights_sha256:
        versions.append({"value": f"weights sha256 {made.weights_sha256}"})
    return {
        "resourceType": "Device",
        "id": _id(root, "device"),
        "deviceName": [{"name": f"groundglass {made.system}", "type": "model-name"}],
        "version": versions,
    }


def _observations(report: Report, root: uuid.UUID, device: str) -> Iterator[Resource]:
    for score in report.scores:
        for part, value in ((WHOLE, score.value), *score.parts.items()):
            yield _observation(report, root, score, part, value) | {"device": {"reference": device}}


def _observation(
    report: Report, root: uuid.UUID, score: Score, part: str, value: float
) -> Resource:
    made: Resource = {
        "resourceType": "Observation",
        "id": _id(root, score.name, part),
        "status": "preliminary",
        "code": _concept(SCORE_SYSTEM, score.name, score.title),
        **_scanned(report),
        "bodySite": _site(part),
        "note": [{"text": score.definition}],
        "valueQuantity": _quantity(value, score.unit),
    }
    if score.meaning and part == WHOLE:
        made["interpretation"] = [{"text": score.meaning}]
    return made


def _scanned(report: Report) -> Resource:
    """The day of the scan, of which the numbers hold; nothing where it is not known."""
    day = acquired_on(report.findings.scan.source)
    return {} if day is None else {"effectiveDateTime": day.isoformat()}


def _quantity(value: float, unit: str) -> Resource:
    if unit in _UCUM_CODES:
        return {"value": value, "unit": unit, "system": _UCUM, "code": _UCUM_CODES[unit]}
    return {"value": value, "unit": unit, "system": _UCUM, "code": "1"}


def _site(part: str) -> Resource:
    if part == WHOLE:
        return _concept(_SNOMED, "39607008", "Lung structure") | {"text": part}
    labels = (label for kind in Label.__subclasses__() for label in kind)
    label = next((one for one in labels if one.title == part and one.code), None)
    if label is None or label.code is None or label.code[1] != "SCT":
        return {"text": part}
    return _concept(_SNOMED, label.code[0], label.code[2]) | {"text": part}


def _concept(system: str, code: str, display: str) -> Resource:
    return {"coding": [{"system": system, "code": code, "display": display}]}


def _instant(report: Report) -> str:
    return datetime.fromisoformat(report.provenance.created).isoformat(timespec="seconds")


def _root(report: Report) -> uuid.UUID:
    """What the identifiers of a report are made of.

    The same for the same report, so that sending it twice makes no second copy. Names and times may
    be those of two scans, their numbers and lungs are not.
    """
    made, found = report.provenance, report.findings
    numbers = [f"{score.name} {score.value!r} {score.parts!r}" for score in report.scores]
    lungs = [str(zlib.crc32(one.tobytes())) for one in found.lungs.slices]
    told = (made.created, made.system, found.scan.source.name, *numbers, *lungs)
    uids = made.input_uids.values()
    return uuid.uuid5(_NAMESPACE, "\n".join([*map(printable, told), *uids]))


def _id(root: uuid.UUID, *parts: str) -> str:
    return str(uuid.uuid5(root, "\n".join(parts)))


def _url(resource: Resource) -> str:
    return f"urn:uuid:{resource['id']}"

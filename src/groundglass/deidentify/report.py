"""A report whose scan, notes and provenance no longer name anybody."""

import re
from collections.abc import Collection, Iterable
from dataclasses import fields, replace

import highdicom as hd
import numpy as np
from pydicom import Dataset

from groundglass.deidentify import SETTING
from groundglass.deidentify.headers import EDITION, cleaned, patient_of
from groundglass.deidentify.notes import without_names
from groundglass.deidentify.pseudonyms import Pseudonyms
from groundglass.findings import Findings
from groundglass.mask import Mask
from groundglass.report import Provenance, Report
from groundglass.scan import CTScan, CTSlices, Note, Scan
from groundglass.write.dicom_source import burned_in

_UID = re.compile(r"\b\d+(?:\.\d+){3,}\b")

_FIXED = ("tolerate",)
"""Settings whose values are names of ours; others may name a file, a series or a person."""

_DONE_WITH_DATES = {
    "remove": "Dates and times were removed.",
    "shift": "All dates were moved by the same number of days; times were kept.",
    "keep": "Dates and times were kept, all but the birth date.",
}


def without_identity(report: Report, dates: str, key: bytes | None) -> Report:
    """See :func:`groundglass.deidentify.deidentify`, which checks the arguments."""
    pseudonyms, source = Pseudonyms(key), report.findings.scan.source
    headers = cleaned(source.headers, dates, pseudonyms) if source.headers else ()
    scan = _scan(report.findings.scan, headers, pseudonyms)
    names = _names_of(report.findings.scan)
    said_of_class = report.classification and replace(
        report.classification,
        notes=_all_without_names(report.classification.notes, names, pseudonyms),
    )
    said = Note("deidentified", _told(headers, dates, key))
    return replace(
        report,
        findings=_on(scan, report.findings),
        detections=report.detections and replace(report.detections, scan=scan),
        classification=said_of_class,
        notes=(*_all_without_names(report.notes, names, pseudonyms), said),
        provenance=_provenance(report.provenance, dates, key, pseudonyms),
    )


def _scan(scan: Scan, headers: tuple[Dataset, ...], pseudonyms: Pseudonyms) -> Scan:
    known = patient_of(scan.source.headers[0]) if headers else ("file", scan.source.name)
    source = replace(
        scan.source,
        name=pseudonyms.name(*known),
        headers=headers,
        notes=_all_without_names(scan.source.notes, _names_of(scan), pseudonyms),
        stored=scan.source.stored and _in_other_frame(scan.source.stored, pseudonyms),
    )
    if isinstance(scan, CTSlices):
        numbered = tuple(f"picture_{n:03d}" for n in range(1, len(scan.names) + 1))
        return replace(scan, names=numbered, source=source)
    grid = _in_other_frame(scan.voxels.get_geometry(), pseudonyms)
    return CTScan(grid.with_array(scan.voxels.array), source)


def _on(scan: Scan, found: Findings) -> Findings:
    """The same masks on the scan without names."""
    held = {field.name: getattr(found, field.name) for field in fields(found)}
    masks = {
        name: Mask.on(scan, mask.slices, mask.labels)
        for name, mask in held.items()
        if isinstance(mask, Mask)
    }
    return replace(found, scan=scan, **masks)


def _in_other_frame(grid: hd.VolumeGeometry, pseudonyms: Pseudonyms) -> hd.VolumeGeometry:
    frame = grid.frame_of_reference_uid
    return hd.VolumeGeometry(
        np.asarray(grid.affine),
        grid.spatial_shape,
        coordinate_system="PATIENT",
        frame_of_reference_uid=pseudonyms.uid(frame) if frame else None,
    )


def _names_of(scan: Scan) -> tuple[str, ...]:
    """What the scan and its pictures are called."""
    pictures = scan.names if isinstance(scan, CTSlices) else ()
    return tuple(name for name in (scan.source.name, *pictures) if name)


def _all_without_names(
    notes: Iterable[Note], names: Collection[str], pseudonyms: Pseudonyms
) -> tuple[Note, ...]:
    """The notes without names, and with other identifiers."""
    told = ((note.name, without_names(note.message, names)) for note in notes)
    return tuple(
        Note(name, _UID.sub(lambda found: pseudonyms.uid(found[0]), message))
        for name, message in told
    )


def _provenance(
    made: Provenance, dates: str, key: bytes | None, pseudonyms: Pseudonyms
) -> Provenance:
    told = {name: value if name in _FIXED else "..." for name, value in made.settings.items()}
    done = f"dates {dates}, key {'made for this run' if key is None else 'given'}"
    return made.model_copy(
        update={
            "settings": {**told, SETTING: done},
            "input_uids": {name: pseudonyms.uid(uid) for name, uid in made.input_uids.items()},
            "regions_source": without_names(made.regions_source),
            "corrections": tuple(
                one.model_copy(update={"by": "", "file": "..."}) for one in made.corrections
            ),
        }
    )


def _told(headers: tuple[Dataset, ...], dates: str, key: bytes | None) -> str:
    if not headers:
        return "The name of the scan was replaced by a pseudonym; the file held no DICOM header."
    by = "one made for this run and thrown away" if key is None else "the one given"
    burned = ", and a header says that something is burned into them" if burned_in(headers) else ""
    return (
        "Patient and study were de-identified by the Basic Application Level Confidentiality "
        f"Profile (DICOM PS3.15 {EDITION}). {_DONE_WITH_DATES[dates]} Identifiers were replaced "
        f"with a key, {by}: references point at a de-identified copy of the series, not at the "
        f"stored one. Pixels were not changed{burned}."
    )

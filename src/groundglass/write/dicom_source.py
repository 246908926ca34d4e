"""The DICOM series that results refer to, with headers that conform to the standard."""

import logging
import re
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
from highdicom.base import SOPClass
from numpy.typing import NDArray
from pydicom import Dataset, config
from pydicom.datadict import dictionary_VR
from pydicom.uid import RE_VALID_UID, UID, CTImageStorage, ExplicitVRLittleEndian
from pydicom.valuerep import validate_value

from groundglass.errors import OutputError
from groundglass.report import Report
from groundglass.scan import CTScan, Scan
from groundglass.version import __version__
from groundglass.write.dicom_deidentified import KEYWORDS, deidentification_of

MANUFACTURER = "groundglass"
"""Stands near the beginning of every object, so that it can be told as ours."""

_PATIENT_AND_STUDY = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
"""Attributes that every object must hold, empty where they are not known (type 2)."""

_NAMES = ("PatientName", "ReferringPhysicianName")

_KEPT_WHERE_VALID = ("IssuerOfPatientID", "PatientAge", "StudyDescription")

_GEOMETRY = (
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SliceThickness",
    "NumberOfFrames",
)

_SHARED, _PER_FRAME = ("PixelMeasuresSequence", "PlaneOrientationSequence"), "PlanePositionSequence"
"""Functional groups of a multi-frame object that hold its geometry."""

_FRAMES = "PerFrameFunctionalGroupsSequence"

_SAME_PLACE_MM = 0.3
"""How far a slice may lie from its place on the even grid that it was read to."""

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "groundglass")

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class SourceSeries:
    """The series that was read, as results refer to it.

    Attributes:
        images: Its headers from head to feet, one for each object, of which a multi-frame one
            holds several slices: patient, study, identifiers and geometry alone, all of them
            valid; names are empty.
        names: Names of patient and physician by keyword, which :func:`save` fills in: highdicom
            would show one that it finds odd in a warning.
        geometry: Grid of the volume as it was stored.
        replaced: What was missing or invalid in the headers and what stands in its place, one
            sentence each, for the comments of every object.
    """

    images: tuple[Dataset, ...]
    names: Mapping[str, object]
    geometry: hd.VolumeGeometry
    replaced: tuple[str, ...]

    @property
    def is_multi_frame(self) -> bool:
        """Whether its objects hold several slices each."""
        return _FRAMES in self.images[0]

    def place(self, volume: hd.Volume) -> NDArray[np.generic]:
        """Voxels on the grid of the scan, turned to the axes of the stored series.

        Raises:
            OutputError: If the volume lies on another grid.
        """
        turned = volume.match_orientation(self.geometry)
        if not turned.geometry_equal(self.geometry, tol=1e-3):
            raise OutputError(
                f"found a mask of {volume.spatial_shape} voxels that does not lie on the grid of "
                f"its series of {self.geometry.spatial_shape}, expected the same grid turned; "
                "read the scan with groundglass.read"
            )
        array: NDArray[np.generic] = turned.array
        return array

    def in_stored_order(self) -> tuple[Dataset, ...] | None:
        """One header for each slice of the geometry, in its order.

        ``None`` where slices and headers do not go together one to one: a multi-frame object, a
        gap that was filled, a tilted stack on a wider grid.
        """
        slices, *shape = self.geometry.spatial_shape
        if self.is_multi_frame or len(self.images) != slices:
            return None
        normal, start = self.geometry.unit_vectors()[0], np.asarray(self.geometry.position)
        places = np.array([i.ImagePositionPatient for i in self.images], float) - start
        along = places @ normal
        ordered = tuple(self.images[i] for i in np.argsort(along))
        off = places - np.outer(along, normal)
        steps = np.sort(along) - np.arange(slices) * self.geometry.spacing[0]
        if max(np.abs(off).max(), np.abs(steps).max()) > _SAME_PLACE_MM:
            return None
        return ordered if all([i.Rows, i.Columns] == shape for i in ordered) else None

    def image_at(self, index: int) -> tuple[Dataset, int | None]:
        """The image nearest to a slice of the geometry; of a multi-frame object also its frame."""
        normal = self.geometry.unit_vectors()[0]
        wanted = np.asarray(self.geometry.position) + index * self.geometry.spacing[0] * normal
        held = list(self._slices())
        positions = np.array([position for *_, position in held], float)
        image, frame, _ = held[int(np.argmin(np.abs((positions - wanted) @ normal)))]
        return image, frame

    def _slices(self) -> Iterator[tuple[Dataset, int | None, Sequence[float]]]:
        """Every stored slice: its object, its frame in a multi-frame one, its position."""
        for image in self.images:
            if _FRAMES not in image:
                yield image, None, image.ImagePositionPatient
            for number, group in enumerate(image.get(_FRAMES, ()), start=1):
                yield image, number, group.PlanePositionSequence[0].ImagePositionPatient


def require_series(scan: Scan) -> CTScan:
    """The scan, if it was read from a DICOM series.

    Raises:
        OutputError: If it was read from another format.
    """
    if isinstance(scan, CTScan) and scan.source.headers and scan.source.stored is not None:
        return scan
    raise OutputError(
        f"found '{scan.source.name}' read as {scan.source.format}, which has no series that DICOM "
        "results could refer to, expected a DICOM series; choose other formats or give the series"
    )


def source_series(scan: Scan) -> SourceSeries:
    """The series of a scan, with every missing or invalid attribute replaced and told.

    Nothing is made up about the patient: what is missing or invalid is left empty. Identifiers
    cannot be empty; an invalid one is replaced by one computed from it, always the same.

    Raises:
        OutputError: If the scan was not read from a DICOM series.
    """
    scan = require_series(scan)
    stored = scan.source.stored
    assert stored is not None
    headers, replaced = scan.source.headers, Counter[str]()
    first = _patient_and_study(headers[0], replaced)
    names = {keyword: first[keyword].value for keyword in _NAMES}
    for keyword in _NAMES:
        setattr(first, keyword, None)
    frame = _uid(headers[0], "FrameOfReferenceUID", replaced, scan.source.name)
    study = _uid(headers[0], "StudyInstanceUID", replaced, scan.source.name)
    series = _uid(headers[0], "SeriesInstanceUID", replaced, study)
    images, seen = [], set[str]()
    for number, header in enumerate(headers):
        image = Dataset()
        image.update(first)
        image.StudyInstanceUID, image.SeriesInstanceUID = study, series
        image.FrameOfReferenceUID = frame
        image.SOPClassUID = header.get("SOPClassUID") or CTImageStorage
        image.SOPInstanceUID = _uid(header, "SOPInstanceUID", replaced, f"{series} {number}", seen)
        seen.add(image.SOPInstanceUID)
        image.Modality = "CT"
        image.Rows, image.Columns = int(header.Rows), int(header.Columns)
        for keyword in _GEOMETRY:
            if keyword in header:
                image[keyword] = header[keyword]
        if _FRAMES in header:
            _add_groups(image, header)
        elif not image.get("SliceThickness"):
            image.SliceThickness = f"{stored.spacing[0]:.6g}"  # masks are as thick as voxels
            replaced["SliceThickness was missing: the distance of slices stands in"] += 1
        images.append(image)
    told = tuple(
        f"{what}{f' ({count} times)' if count > 1 else ''}." for what, count in replaced.items()
    )
    if told:
        _logger.warning("Source headers do not conform to the standard: %s", " ".join(told))
    return SourceSeries(tuple(images), names, _in_frame(stored, frame), told)


def burned_in(headers: Iterable[Dataset]) -> bool:
    """Whether a header of a scan says that something is burned into its slices."""
    return any(str(header.get("BurnedInAnnotation", "")).upper() == "YES" for header in headers)


def derived_uid(*parts: object) -> UID:
    """Unique identifier computed from other values, the same for the same values (PS3.5 B.2)."""
    text = "\n".join(str(part) for part in parts)
    return UID(f"2.25.{uuid.uuid5(_NAMESPACE, text).int}")


def identity(report: Report, series: SourceSeries, kind: str, number: int) -> dict[str, Any]:
    """What every object says about itself: identifiers, equipment, time.

    Args:
        report: What is written.
        series: The series it refers to.
        kind: What the object is, in a few words; its series description.
        number: Series number of objects of this kind.
    """
    made = report.provenance
    told = (series.images[0].SeriesInstanceUID, made.created, made.version, made.system, kind)
    created = datetime.fromisoformat(made.created)
    return {
        "series_instance_uid": derived_uid("series", *told),
        "sop_instance_uid": derived_uid("instance", *told),
        "series_number": number,
        "instance_number": 1,
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": shorten(made.system or MANUFACTURER, 64),
        "software_versions": made.version or __version__,
        "device_serial_number": made.weights_sha256[:16] or "none",
        "series_description": shorten(f"groundglass: {kind}", 64),
        "content_date": created.date(),
        "content_time": created.time(),
        "specific_character_set": "ISO_IR 192",
    }


def blank_object(
    series: SourceSeries,
    sop_class: UID,
    modality: str,
    about: dict[str, Any],
    transfer_syntax: UID = ExplicitVRLittleEndian,
) -> Dataset:
    """An object of the study of a series that holds patient, study and equipment alone.

    Args:
        series: The series whose patient and study it belongs to.
        sop_class: What it is.
        modality: Modality of its series, such as ``DOC``.
        about: What :func:`identity` says.
        transfer_syntax: How it is encoded.
    """
    first = series.images[0]
    made = SOPClass(
        study_instance_uid=first.StudyInstanceUID,
        sop_class_uid=sop_class,
        modality=modality,
        transfer_syntax_uid=transfer_syntax,
        patient_id=first.PatientID,
        patient_birth_date=first.PatientBirthDate,
        patient_sex=first.PatientSex,
        accession_number=first.AccessionNumber,
        study_id=first.StudyID,
        study_date=first.StudyDate,
        study_time=first.StudyTime,
        referring_physician_name=first.ReferringPhysicianName,
        **about,
    )
    made.copy_patient_and_study_information(first)
    return made


def reference(image: Dataset, frame: int | None = None) -> Dataset:
    """Reference to an image, or to one of its frames, counted from 1."""
    item = Dataset()
    item.ReferencedSOPClassUID = image.SOPClassUID
    item.ReferencedSOPInstanceUID = image.SOPInstanceUID
    if frame is not None:
        item.ReferencedFrameNumber = frame
    return item


def comments(report: Report, series: SourceSeries) -> str:
    """What a reader of an object must know: every note of the report, and what was replaced."""
    notes = [f"{note.name}: {note.message}" for note in report.notes]
    return " ".join([*notes, *(f"header: {told}" for told in series.replaced)])


def save(dataset: Dataset, report: Report, series: SourceSeries, file: Path) -> Path:
    """Write an object; the same report gives the same bytes."""
    created = datetime.fromisoformat(report.provenance.created)
    for keyword, name in series.names.items():
        dataset.add_new(keyword, "PN", name)  # the old element may be shared
    for keyword in (*_KEPT_WHERE_VALID, *KEYWORDS):  # not every class of highdicom copies them
        if keyword in series.images[0]:
            setattr(dataset, keyword, series.images[0][keyword].value)
    dataset.InstanceCreationDate = created.strftime("%Y%m%d")
    dataset.InstanceCreationTime = created.strftime("%H%M%S")
    for equipment in dataset.get("ContributingEquipmentSequence", []):
        equipment.ContributionDateTime = created.strftime("%Y%m%d%H%M%S")
    dataset.save_as(file, enforce_file_format=True)
    return file


def shorten(text: str, length: int) -> str:
    """Text that fits into a value of limited length and holds no backslash."""
    plain = text.replace("\\", "/")
    return plain if len(plain) <= length else plain[: length - 3] + "..."


def _patient_and_study(header: Dataset, replaced: Counter[str]) -> Dataset:
    kept = Dataset()
    for keyword in _PATIENT_AND_STUDY:
        value = header.get(keyword)
        if keyword not in header:
            replaced[f"{keyword} was missing and was left empty"] += 1
        elif value not in (None, "") and not _is_valid(keyword, value):
            replaced[f"{keyword} was not valid and was left empty"] += 1
            value = None
        setattr(kept, keyword, None if value == "" else value)
    for keyword in _KEPT_WHERE_VALID:
        value = header.get(keyword)
        if value not in (None, "") and _is_valid(keyword, value):
            setattr(kept, keyword, value)
        elif value not in (None, ""):
            replaced[f"{keyword} was not valid and was left out"] += 1
    kept.update(deidentification_of(header))
    return kept


def _is_valid(keyword: str, value: object) -> bool:
    several = isinstance(value, Iterable) and not isinstance(value, str) and keyword[-4:] != "Name"
    if several or (keyword == "PatientSex" and value not in ("M", "F", "O")):
        return False
    try:
        validate_value(dictionary_VR(keyword), str(value), config.RAISE)
    except ValueError:
        return False
    return True


def _uid(
    header: Dataset,
    keyword: str,
    replaced: Counter[str],
    otherwise: str,
    seen: Iterable[str] = (),
) -> UID:
    """A valid identifier: the header's own, or one computed from it or from its context."""
    found = str(header.get(keyword) or "")
    if re.fullmatch(RE_VALID_UID, found) and len(found) <= 64 and found not in seen:
        return UID(found)
    made = derived_uid(keyword, found, otherwise)
    why = "missing" if not found else "used twice" if found in seen else "not valid"
    one_by_one = f" ('{shorten(found, 64)}' by '{made}')" if keyword != "SOPInstanceUID" else ""
    replaced[f"{keyword} was {why} and was replaced by a computed one{one_by_one}"] += 1
    return made


def _add_groups(image: Dataset, header: Dataset) -> None:
    """The groups that hold the geometry, orientation and spacing once for all frames."""
    frames = header.PerFrameFunctionalGroupsSequence
    shared, common = header.get("SharedFunctionalGroupsSequence") or [Dataset()], Dataset()
    for keyword in _SHARED:
        holder = frames[0] if keyword in frames[0] else shared[0]
        common[keyword] = holder[keyword]
    image.SharedFunctionalGroupsSequence = [common]
    placed = []
    for frame in frames:
        own = Dataset()
        own[_PER_FRAME] = frame[_PER_FRAME] if _PER_FRAME in frame else shared[0][_PER_FRAME]
        placed.append(own)
    image.PerFrameFunctionalGroupsSequence = placed


def _in_frame(stored: hd.VolumeGeometry, frame: UID) -> hd.VolumeGeometry:
    return hd.VolumeGeometry(
        np.asarray(stored.affine),
        stored.spatial_shape,
        coordinate_system="PATIENT",
        frame_of_reference_uid=frame,
    )

"""Scores as a DICOM structured report: TID 1500 in a Comprehensive 3D SR.

Groups of measurements, each with its finding site: both lungs, each part that a score has, and
the largest lesions with their volume and their place in millimeters. Where the segmentation is
written as well, parts refer to its segments.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from pydicom import Dataset
from pydicom.sr.codedict import codes

from groundglass.labels import Label
from groundglass.report import NOT_A_MEDICAL_DEVICE, Report
from groundglass.score import Score
from groundglass.write import dicom_seg
from groundglass.write.dicom_segments import SCHEME, Segment, coded, largest_lesions
from groundglass.write.dicom_source import (
    MANUFACTURER,
    SourceSeries,
    comments,
    derived_uid,
    identity,
    save,
    shorten,
    source_series,
)

FILE = "structured_report.dcm"
SERIES_NUMBER = 9002
KIND = "severity scores"
WHOLE = "both lungs"

Group = (
    hd.sr.MeasurementsAndQualitativeEvaluations
    | hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations
)
"""Measurements of one place, with (TID 1411) or without (TID 1501) a segment."""

_UNITS = {
    "%": codes.UCUM.Percent,
    "ml": hd.sr.CodedConcept("ml", "UCUM", "milliliter"),
    "HU": codes.UCUM.HounsfieldUnit,
    "mm": codes.UCUM.Millimeter,
}

_PUBLIC_CODES = {"lung_volume_ml": codes.SCT.Volume}
"""Scores whose meaning a public code has, the finding site given."""


def write(report: Report, folder: Path) -> list[Path]:
    """Write ``structured_report.dcm`` into an existing folder.

    It refers to the segments of the segmentations that lie in the folder already.

    Raises:
        OutputError: If the scan was not read from a DICOM series.
    """
    series = source_series(report.findings.scan)
    files = [folder / name for name in (dicom_seg.FILE, dicom_seg.LOBES_FILE)]
    masks = [pydicom.dcmread(f, stop_before_pixels=True) for f in files if f.exists()]
    made = structured_report(report, series, masks)
    return [save(made, report, series, folder / FILE)]


def structured_report(report: Report, series: SourceSeries, masks: Sequence[Dataset]) -> Dataset:
    """The scores as a structured report that refers to segments of the same name."""
    groups = [*_scores(report, series, masks), *_lesions(report, series)]
    content = hd.sr.MeasurementReport(
        observation_context=_observer(report),
        procedure_reported=codes.LN.CTChestReport,
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    for text in filter(None, (NOT_A_MEDICAL_DEVICE, comments(report, series))):
        content[0].ContentSequence.append(
            hd.sr.TextContentItem(codes.DCM.Comment, text, hd.sr.RelationshipTypeValues.CONTAINS)
        )
    made: Dataset = hd.sr.Comprehensive3DSR(
        evidence=[*series.images, *masks],
        content=content,
        is_complete=True,
        coding_schemes=[_scheme()],
        **identity(report, series, KIND, SERIES_NUMBER),
    )
    return made


def concept(score: Score) -> hd.sr.CodedConcept:
    """What a score measures: a public code, or its name in our own scheme."""
    if public := _PUBLIC_CODES.get(score.name):
        return hd.sr.CodedConcept.from_code(public)
    return hd.sr.CodedConcept(score.name, SCHEME, shorten(score.title.capitalize(), 64))


def _scores(report: Report, series: SourceSeries, masks: Sequence[Dataset]) -> Iterator[Group]:
    parts = dict.fromkeys(part for score in report.scores for part in score.parts)
    whole = [(score, score.value) for score in report.scores]
    if not whole:
        return  # quality control withheld them; the comments say why
    yield _group(report, series, WHOLE, whole, ())
    for part in parts:
        values = [(s, s.parts[part]) for s in report.scores if part in s.parts]
        yield _group(report, series, part, values, masks)


def _group(
    report: Report,
    series: SourceSeries,
    part: str,
    values: Sequence[tuple[Score, float]],
    masks: Sequence[Dataset],
) -> Group:
    label = _label_of(part)
    uid = derived_uid("scores", series.images[0].SeriesInstanceUID, part)
    known: dict[str, Any] = {
        "finding_sites": [_site(part, label)],
        "algorithm_id": _algorithm(report),
        "measurements": [
            hd.sr.Measurement(concept(score), value, _unit(score.unit)) for score, value in values
        ],
        "qualitative_evaluations": [
            _meaning(score) for score, _ in values if score.meaning and part == WHOLE
        ],
    }
    segment = next(_segments(masks, part), None)
    if segment is None:
        return hd.sr.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=hd.sr.TrackingIdentifier(uid, part), **known
        )
    holder, described = segment
    return hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(described.TrackingUID, part),
        referenced_segment=hd.sr.ReferencedSegment(
            holder.SOPClassUID,
            holder.SOPInstanceUID,
            int(described.SegmentNumber),
            source_series=hd.sr.SourceSeriesForSegmentation(series.images[0].SeriesInstanceUID),
        ),
        finding_type=codes.SCT.AnatomicalStructure,
        **known,
    )


def _lesions(report: Report, series: SourceSeries) -> Iterator[Group]:
    """The largest lesions, each with its volume and the place of its middle."""
    for segment in largest_lesions(report.findings):
        yield hd.sr.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=hd.sr.TrackingIdentifier(
                dicom_seg.tracking_uid(segment, series), segment.name
            ),
            finding_type=coded(segment.label),
            finding_sites=[_site(WHOLE, None)],
            algorithm_id=_algorithm(report),
            measurements=[_volume(segment, series)],
        )


def _volume(segment: Segment, series: SourceSeries) -> hd.sr.Measurement:
    place = hd.sr.CoordinatesForMeasurement3D(
        graphic_type=hd.sr.GraphicTypeValues3D.POINT,
        graphic_data=np.array([segment.center_mm]),
        frame_of_reference_uid=series.images[0].FrameOfReferenceUID,
        purpose=codes.DCM.CenterOfMass,
    )
    return hd.sr.Measurement(
        codes.SCT.Volume, segment.volume_ml, _UNITS["ml"], referenced_coordinates=[place]
    )


def _segments(masks: Sequence[Dataset], part: str) -> Iterator[tuple[Dataset, Dataset]]:
    """Segments of that name, each with the object that holds it."""
    for holder in masks:
        for segment in holder.SegmentSequence:
            if segment.SegmentLabel == part:
                yield holder, segment


def _label_of(part: str) -> Label | None:
    """The label that a part of a score is named after, if it has a public code."""
    labels = (label for kind in Label.__subclasses__() for label in kind)
    return next((one for one in labels if one.title == part and one.code), None)


def _site(part: str, label: Label | None) -> hd.sr.FindingSite:
    if part == WHOLE:
        return hd.sr.FindingSite(codes.SCT.Lung, laterality=codes.SCT.Bilateral)
    if label is not None:
        return hd.sr.FindingSite(coded(label))
    return hd.sr.FindingSite(
        hd.sr.CodedConcept(part.replace(" ", "_"), SCHEME, shorten(part.capitalize(), 64))
    )


def _unit(unit: str) -> hd.sr.CodedConcept:
    return hd.sr.CodedConcept.from_code(_UNITS.get(unit, codes.UCUM.NoUnits))


def _meaning(score: Score) -> hd.sr.QualitativeEvaluation:
    """What a graded score says in words, such as ``CT-1: up to 25 % of the lungs``."""
    words = score.meaning or ""
    value = words.partition(":")[0] if ":" in words else f"{score.value:g}"
    grade = hd.sr.CodedConcept(shorten(value, 16), SCHEME, shorten(words, 64))
    return hd.sr.QualitativeEvaluation(name=concept(score), value=grade)


def _scheme() -> CodingSchemeIdentificationItem:
    """Who answers for our own codes."""
    return CodingSchemeIdentificationItem(
        designator=SCHEME,
        name="Names of the scores of groundglass",
        responsible_organization=MANUFACTURER,
    )


def _algorithm(report: Report) -> hd.sr.AlgorithmIdentification:
    made = report.provenance
    parameters = [f"lungs={made.lungs_method}"]
    if made.weights_sha256:
        parameters.insert(0, f"weights_sha256={made.weights_sha256}")
    return hd.sr.AlgorithmIdentification(
        name=f"groundglass {made.system}",
        version=made.version,
        parameters=parameters,
        family=codes.DCM.ArtificialIntelligence,
        manufacturer=MANUFACTURER,
    )


def _observer(report: Report) -> hd.sr.ObservationContext:
    device = hd.sr.DeviceObserverIdentifyingAttributes(
        uid=derived_uid("device", report.provenance.version, report.provenance.system),
        name="groundglass",
        manufacturer_name=MANUFACTURER,
        model_name=report.provenance.system,
        serial_number=report.provenance.version,
    )
    return hd.sr.ObservationContext(
        observer_device_context=hd.sr.ObserverContext(
            observer_type=codes.DCM.Device, observer_identifying_attributes=device
        )
    )

"""Outlines as a DICOM RT Structure Set, for planning systems that take no segmentations.

Outlines run halfway between the voxels inside and those outside. A hole is an outline within an
outline, which readers take as such; what is exact to the voxel is the segmentation.
"""

from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import ImplicitVRLittleEndian, RTStructureSetStorage
from skimage.measure import find_contours

from groundglass.report import Report
from groundglass.write.dicom_segments import Segment, algorithm_type, coded, kinds
from groundglass.write.dicom_source import (
    MANUFACTURER,
    SourceSeries,
    blank_object,
    comments,
    identity,
    reference,
    save,
    shorten,
    source_series,
)

FILE = "structure_set.dcm"
SERIES_NUMBER = 9006
KIND = "outlines"

TOLERANCE_PX = 0.2
"""How far an outline may leave the edges of the voxels for having fewer points."""

_STUDY_CLASS = "1.2.840.10008.3.1.2.3.1"
"""Detached Study Management, which the standard wants named here although it is retired."""


def write(report: Report, folder: Path) -> list[Path]:
    """Write ``structure_set.dcm`` into an existing folder.

    Raises:
        OutputError: If the scan was not read from a DICOM series.
    """
    series = source_series(report.findings.scan)
    return [save(structure_set(report, series), report, series, folder / FILE)]


def structure_set(report: Report, series: SourceSeries) -> Dataset:
    """Outlines of lungs, lobes where they are known, and kinds of lesions."""
    found = report.findings
    masks = [mask for mask in (found.lungs, found.lobes, found.lesions) if mask is not None]
    segments = [segment for mask in masks for segment in kinds(mask)]
    about = identity(report, series, KIND, SERIES_NUMBER)
    date, time = about.pop("content_date"), about.pop("content_time")
    made = blank_object(series, RTStructureSetStorage, "RTSTRUCT", about, ImplicitVRLittleEndian)
    created = datetime.combine(date, time)
    made.FrameOfReferenceUID = series.images[0].FrameOfReferenceUID
    made.PositionReferenceIndicator = None
    made.OperatorsName = None
    made.StructureSetLabel = MANUFACTURER
    made.StructureSetDescription = shorten(comments(report, series), 1024) or None
    made.StructureSetDate, made.StructureSetTime = created.strftime("%Y%m%d %H%M%S").split()
    made.ApprovalStatus = "UNAPPROVED"
    made.ReferencedFrameOfReferenceSequence = [_frame_of_reference(series)]
    numbered = list(enumerate(segments, start=1))
    made.StructureSetROISequence = [_region(n, s, series, report) for n, s in numbered]
    made.ROIContourSequence = [_outlined(n, s, report, series) for n, s in numbered]
    made.RTROIObservationsSequence = [_observed(n, s) for n, s in numbered]
    return made


def _frame_of_reference(series: SourceSeries) -> Dataset:
    held, study, frame = Dataset(), Dataset(), Dataset()
    held.SeriesInstanceUID = series.images[0].SeriesInstanceUID
    held.ContourImageSequence = [reference(image) for image in series.images]
    study.ReferencedSOPClassUID = _STUDY_CLASS
    study.ReferencedSOPInstanceUID = series.images[0].StudyInstanceUID
    study.RTReferencedSeriesSequence = [held]
    frame.FrameOfReferenceUID = series.images[0].FrameOfReferenceUID
    frame.RTReferencedStudySequence = [study]
    return frame


def _region(number: int, segment: Segment, series: SourceSeries, report: Report) -> Dataset:
    made = report.provenance
    item = Dataset()
    item.ROINumber = number
    item.ReferencedFrameOfReferenceUID = series.images[0].FrameOfReferenceUID
    item.ROIName = segment.name
    item.ROIGenerationAlgorithm = algorithm_type(report, segment.label)
    weights = f", weights sha256 {made.weights_sha256}" if made.weights_sha256 else ""
    item.ROIGenerationDescription = shorten(f"{made.system} {made.version}{weights}", 64)
    return item


def _outlined(number: int, segment: Segment, report: Report, series: SourceSeries) -> Dataset:
    item, color = Dataset(), segment.label.color
    item.ROIDisplayColor = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    item.ContourSequence = []
    placed = series.place(report.findings.lungs.voxels.with_array(segment.voxels))
    images = cache(series.image_at)
    for index, points_mm in _outlines(placed, series):
        image, frame = images(index)
        contour = Dataset()
        contour.ContourImageSequence = [reference(image, frame)]
        contour.ContourGeometricType = "CLOSED_PLANAR"
        contour.NumberOfContourPoints = len(points_mm)
        contour.ContourData = [f"{mm:.3f}" for mm in points_mm.ravel()]
        item.ContourSequence.append(contour)
    item.ReferencedROINumber = number
    return item


def _outlines(
    voxels: NDArray[np.generic], series: SourceSeries
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Every closed outline with its slice, its points in LPS millimeters, shape (point, 3)."""
    for index, inside in enumerate(voxels):
        if not inside.any():
            continue
        framed = np.pad(inside.astype(np.float32), 1)  # what touches the edge is closed there
        for outline in find_contours(framed, 0.5):  # type: ignore[no-untyped-call]
            corners = cv2.approxPolyDP(outline[:-1].astype(np.float32), TOLERANCE_PX, True)
            points = corners[:, 0].astype(np.float64) - 1
            places = np.column_stack([np.full(len(points), index), points])
            yield index, series.geometry.map_indices_to_reference(places)


def _observed(number: int, segment: Segment) -> Dataset:
    item = Dataset()
    item.ObservationNumber = number
    item.ReferencedROINumber = number
    item.RTROIIdentificationCodeSequence = [coded(segment.label)]
    item.RTROIInterpretedType = None
    item.ROIInterpreter = None
    return item

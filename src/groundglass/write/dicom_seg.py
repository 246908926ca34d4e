"""Masks as a DICOM Segmentation with one bit a voxel: what nearly every archive and viewer takes.

One object holds the lungs, each kind of lesion and the largest lesions one by one; segments may
overlap. A second one holds the lobes, where they are known. The label map (``dicom_labelmap``) is
smaller, but the standard knows it since 2024 only.
"""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import UID

from groundglass.labels import Label
from groundglass.mask import Mask
from groundglass.report import Report
from groundglass.write.dicom_segments import (
    Named,
    Segment,
    algorithm_type,
    category,
    coded,
    kinds,
    largest_lesions,
    names,
)
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

FILE = "segmentation.dcm"
LOBES_FILE = "segmentation_lobes.dcm"
SERIES_NUMBER = 9001
KIND = "lungs and lesions"


def write(report: Report, folder: Path) -> list[Path]:
    """Write ``segmentation.dcm`` into an existing folder.

    Where the lobes are known, ``segmentation_lobes.dcm`` holds them.

    Raises:
        OutputError: If the scan was not read from a DICOM series.
    """
    series, lobes = source_series(report.findings.scan), report.findings.lobes
    files = [save(binary_segmentation(report, series), report, series, folder / FILE)]
    if lobes is not None and lobes.array.any():
        made = of_one_mask(report, series, lobes, "lobes")
        files.append(save(made, report, series, folder / LOBES_FILE))
    return files


def binary_segmentation(report: Report, series: SourceSeries) -> Dataset:
    """Lungs, kinds of lesions and the largest lesions as one Segmentation object."""
    found = report.findings
    segments = [*kinds(found.lungs), *kinds(found.lesions), *largest_lesions(found)]
    stacked = np.empty((len(segments), *series.geometry.spatial_shape), np.uint8)
    for layer, segment in zip(stacked, segments, strict=True):
        layer[:] = series.place(found.lungs.voxels.with_array(segment.voxels))
    return segmentation(report, series, segments, np.moveaxis(stacked, 0, -1), KIND)


def of_one_mask(
    report: Report, series: SourceSeries, mask: Mask, kind: str, **encoding: Any
) -> Dataset:
    """A mask that is not empty as a Segmentation; labels without a voxel are left out.

    Args:
        report: What is written.
        series: The series it refers to.
        mask: Mask on the grid of its scan.
        kind: What the object is, in a few words.
        encoding: As for :func:`segmentation`.
    """
    segments, numbers = names(mask), np.zeros(256, np.uint8)
    for number, segment in enumerate(segments, start=1):
        numbers[int(segment.label)] = number
    voxels = numbers[series.place(mask.voxels).astype(np.uint8, copy=False)]
    return segmentation(report, series, segments, voxels, kind, **encoding)


def segmentation(
    report: Report,
    series: SourceSeries,
    segments: Sequence[Named],
    voxels: NDArray[np.uint8],
    kind: str,
    **encoding: Any,
) -> Dataset:
    """A Segmentation object of a series.

    Args:
        report: What is written.
        series: The series it refers to.
        segments: Its segments, numbered from 1.
        voxels: In the axes of the stored series: 0 and 1 with one channel for each segment, or
            segment numbers.
        kind: What the object is, in a few words.
        encoding: ``segmentation_type`` and ``transfer_syntax_uid`` of a label map.
    """
    about = identity(report, series, kind, SERIES_NUMBER)
    images = series.in_stored_order()
    made: Dataset = hd.seg.Segmentation(
        source_images=images or series.images,
        pixel_array=voxels if images else _volume(voxels, series),
        segment_descriptions=_descriptions(report, segments, series),
        content_label="LUNGS_LESIONS",
        content_description=shorten(kind, 64),
        **{"segmentation_type": "BINARY", **encoding},
        **about,
    )
    made.ContentCreatorName = ""
    dimensions = derived_uid("dimensions", made.SOPInstanceUID)  # highdicom draws one by chance
    for item in (*made.DimensionOrganizationSequence, *made.DimensionIndexSequence):
        item.DimensionOrganizationUID = dimensions
    if told := comments(report, series):
        made.ImageComments = shorten(told, 10240)
    return made


def tracking_uid(segment: Named, series: SourceSeries) -> UID:
    """Identifier of a segment by which a structured report can speak of it.

    That of a single lesion goes by its voxels: after a correction, or by another system, the lesion
    of the same number may be another one.
    """
    told = [series.images[0].SeriesInstanceUID, segment.name]
    if isinstance(segment, Segment) and segment.single:
        told.append(sha256(np.packbits(segment.voxels).tobytes()).hexdigest())
    return derived_uid("segment", *told)


def algorithm(report: Report) -> Any:
    """What found the segments: system, version, weights and how the lungs were found."""
    made = report.provenance
    parameters = [f"lungs={made.lungs_method}"]
    if made.weights_sha256:
        parameters.insert(0, f"weights_sha256={made.weights_sha256}")
    return hd.AlgorithmIdentificationSequence(
        name=f"groundglass {made.system}",
        version=made.version,
        family=codes.DCM.ArtificialIntelligence,
        source=MANUFACTURER,
        parameters={"all": "; ".join(parameters)},
    )


def _descriptions(
    report: Report, segments: Sequence[Named], series: SourceSeries
) -> list[hd.seg.SegmentDescription]:
    by = algorithm(report)
    return [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=segment.name,
            segmented_property_category=category(segment.label),
            segmented_property_type=coded(segment.label),
            algorithm_type=algorithm_type(report, segment.label),
            algorithm_identification=by,
            display_color=_color(segment.label),
            tracking_id=segment.name,
            tracking_uid=tracking_uid(segment, series),
        )
        for number, segment in enumerate(segments, start=1)
    ]


def _color(label: Label) -> hd.color.CIELabColor:
    red, green, blue = (int(label.color[i : i + 2], 16) for i in (1, 3, 5))
    return hd.color.CIELabColor.from_rgb(red, green, blue)


def _volume(voxels: NDArray[np.uint8], series: SourceSeries) -> hd.Volume:
    channels: Any = {}
    if voxels.ndim == 4:
        channels = {"SegmentNumber": list(range(1, voxels.shape[-1] + 1))}
    geometry = series.geometry
    return hd.Volume(
        voxels,
        geometry.affine,
        coordinate_system="PATIENT",
        frame_of_reference_uid=geometry.frame_of_reference_uid,
        channels=channels,
    )

"""The slices that a reader should see first, as a DICOM Key Object Selection."""

from collections.abc import Sequence
from pathlib import Path

import highdicom as hd
import numpy as np
from pydicom import Dataset
from pydicom.sr.codedict import codes

from groundglass.labels import OPACITIES
from groundglass.report import Report
from groundglass.write.dicom_source import (
    MANUFACTURER,
    SourceSeries,
    comments,
    identity,
    save,
    source_series,
)
from groundglass.write.key_slices import key_slices
from groundglass.write.slices import SliceRow

FILE = "key_images.dcm"
SERIES_NUMBER = 9003
KIND = "key images"
COUNT = 6
DESCRIPTION = "Slices with most opacity, chosen by groundglass; to be checked by a physician."


def write(report: Report, folder: Path) -> list[Path]:
    """Write ``key_images.dcm`` into an existing folder.

    Raises:
        OutputError: If the scan was not read from a DICOM series.
    """
    series = source_series(report.findings.scan)
    return [save(key_images(report, series), report, series, folder / FILE)]


def key_images(report: Report, series: SourceSeries) -> Dataset:
    """References to the stored slices that carry most of the lesions, not next to each other."""
    chosen = [series.image_at(index) for index in key_stored_slices(report, series)]
    images = list({id(image): image for image, _ in chosen}.values())
    content = hd.ko.KeyObjectSelection(
        document_title=codes.DCM.OfInterest,
        referenced_objects=images,
        description=f"{DESCRIPTION} {comments(report, series)}".rstrip(),
    )
    _refer_to_frames(content, chosen)
    about = identity(report, series, KIND, SERIES_NUMBER)
    kept = ("series_instance_uid", "sop_instance_uid", "series_number", "instance_number")
    more = ("series_description", "content_date", "content_time", "specific_character_set")
    made: Dataset = hd.ko.KeyObjectSelectionDocument(
        evidence=images,
        content=content,
        manufacturer=MANUFACTURER,
        **{name: about[name] for name in (*kept, *more)},
    )
    return made


def key_stored_slices(report: Report, series: SourceSeries) -> list[int]:
    """Slices of the series as it was stored, which need not be axial."""
    found = report.findings
    lungs = series.place(found.lungs.voxels) != 0
    opacity = np.isin(series.place(found.lesions.voxels), [int(k) for k in OPACITIES]) & lungs
    rows = [
        SliceRow(
            index=index,
            lung_pixels={"lungs": int(np.count_nonzero(lung))},
            opacity_pixels={"lungs": int(np.count_nonzero(lesion))},
        )
        for index, (lung, lesion) in enumerate(zip(lungs, opacity, strict=True))
    ]
    return key_slices(rows, COUNT, float(series.geometry.spacing[0]))


def _refer_to_frames(
    content: hd.ko.KeyObjectSelection, chosen: Sequence[tuple[Dataset, int | None]]
) -> None:
    """Name the chosen frames of each multi-frame object."""
    for item in content[0].ContentSequence:
        if item.ValueType == "IMAGE":
            (held,) = item.ReferencedSOPSequence
            uid = held.ReferencedSOPInstanceUID
            frames = [frame for image, frame in chosen if image.SOPInstanceUID == uid and frame]
            if frames:
                held.ReferencedFrameNumber = frames

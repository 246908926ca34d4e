"""Masks as DICOM Label Map Segmentations: one number a voxel, compressed, a tenth of the size.

Numbers cannot overlap, so that lungs and lesions are two objects. The largest lesions one by one
are in the other format alone (see ``dicom_seg``).
"""

from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.uid import JPEGLSLossless

from groundglass.mask import Mask
from groundglass.report import Report
from groundglass.write.dicom_seg import segmentation
from groundglass.write.dicom_segments import kinds
from groundglass.write.dicom_source import SourceSeries, save, source_series


def write(report: Report, folder: Path) -> list[Path]:
    """Write ``segmentation_lungs.dcm`` and ``segmentation_lesions.dcm`` into an existing folder.

    A scan without lesions has no object of lesions: what was not found has no segment.

    Raises:
        OutputError: If the scan was not read from a DICOM series.
    """
    found, series = report.findings, source_series(report.findings.scan)
    files = []
    for name, mask in (("lungs", found.lungs), ("lesions", found.lesions)):
        if any(voxels.any() for voxels in mask.slices):
            made = label_map(report, series, mask, name)
            files.append(save(made, report, series, folder / f"segmentation_{name}.dcm"))
    return files


def label_map(report: Report, series: SourceSeries, mask: Mask, name: str) -> Dataset:
    """A mask that is not empty as a Label Map Segmentation; labels without a voxel are left out."""
    segments, numbers = kinds(mask), np.zeros(256, np.uint8)
    for number, segment in enumerate(segments, start=1):
        numbers[int(segment.label)] = number
    return segmentation(
        report,
        series,
        segments,
        numbers[series.place(mask.voxels).astype(np.uint8)],
        f"{name} as label map",
        segmentation_type="LABELMAP",
        transfer_syntax_uid=JPEGLSLossless,
    )

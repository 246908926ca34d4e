"""Masks as DICOM Label Map Segmentations: one number a voxel, compressed to a fraction.

Numbers cannot overlap, so that lungs, lobes, regions and lesions are objects of their own. The
largest lesions one by one are in the other format alone (see ``dicom_seg``).
"""

from pathlib import Path

from pydicom import Dataset
from pydicom.uid import RLELossless

from groundglass.mask import Mask
from groundglass.report import Report
from groundglass.write.dicom_seg import of_one_mask
from groundglass.write.dicom_source import SourceSeries, save, source_series


def write(report: Report, folder: Path) -> list[Path]:
    """Write ``labelmap_lungs.dcm`` and ``labelmap_lesions.dcm`` into an existing folder.

    ``labelmap_lobes.dcm`` and ``labelmap_regions.dcm`` as well, where they are known. A scan
    without lesions has no object of lesions: what was not found has no segment.

    Raises:
        OutputError: If the scan was not read from a DICOM series.
    """
    found, series = report.findings, source_series(report.findings.scan)
    files = []
    for name in ("lungs", "lobes", "regions", "lesions"):
        mask: Mask | None = getattr(found, name)
        if mask is not None and mask.array.any():
            made = label_map(report, series, mask, name)
            files.append(save(made, report, series, folder / f"labelmap_{name}.dcm"))
    return files


def label_map(report: Report, series: SourceSeries, mask: Mask, name: str) -> Dataset:
    """A mask that is not empty as a Label Map Segmentation.

    Run-length encoded: JPEG-LS is a third of that, but DCMTK refuses it for segmentations.
    """
    return of_one_mask(
        report,
        series,
        mask,
        f"{name} as label map",
        segmentation_type="LABELMAP",
        transfer_syntax_uid=RLELossless,
    )

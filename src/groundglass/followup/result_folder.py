"""A folder of results read back: its record, and its masks on the grid they were written on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import highdicom as hd
import nibabel as nib
import numpy as np

from groundglass.deidentify import SETTING
from groundglass.errors import GeometryError, UnreadableScanError
from groundglass.findings import Findings
from groundglass.followup.grid import placed, same_place
from groundglass.labels import Label, Lesion, Lobe, Lung, Region
from groundglass.mask import Mask
from groundglass.provenance import input_uids
from groundglass.read import read
from groundglass.read.damage import damage_explained
from groundglass.read.grid import geometry_of
from groundglass.report import Outcome, Quality
from groundglass.scan import AXES, CTGrid, CTScan, Note, Source
from groundglass.write.record import ReportRecord, read_record
from groundglass.write.slices import slice_table

RECORD = "report.json"

MASKS: dict[str, type[Label]] = {"lungs": Lung, "lesions": Lesion, "lobes": Lobe, "regions": Region}

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What a folder of results holds.

    Attributes:
        record: Its ``report.json``.
        findings: Its masks, on the scan where that was given, else on the grid alone.
    """

    record: ReportRecord
    findings: Findings


def is_result(path: Path) -> bool:
    """Whether a path is a folder of results, rather than a scan."""
    return (path / RECORD).is_file()


def quality_of(result: Result) -> Quality | None:
    """What quality control found; ``None`` where it was not done."""
    told = result.record.quality
    return None if told is None else Quality(checks=tuple(told.checks))


def read_result(folder: Path, scan: Path | None = None, series: str | None = None) -> Result:
    """The results that ``groundglass analyze`` wrote into a folder.

    Args:
        folder: Folder with ``report.json`` and the masks of a CT volume.
        scan: The scan that was analyzed, wherever it lies now; without it there are no
            Hounsfield units.
        series: Series to read from it; by default the one that the result was asked of.

    Raises:
        UnreadableScanError: If the folder holds no results of a volume, a mask is missing, the
            masks are not those that the record counted, or the result was asked of a series that
            de-identification took the name of.
        GeometryError: If the scan is another one than the result is of.
    """
    record = read_record(folder / RECORD)
    if record.scan.kind != "volume":
        raise UnreadableScanError(
            f"found the result of pictures in '{folder.name}', expected that of a CT volume; "
            "analyze the scan from DICOM, NIfTI, MetaImage or NRRD"
        )
    stored = {name: _stored(folder, name) for name in MASKS if _is_expected(record, name)}
    own = stored["lungs"].get_geometry()
    grid = _grid(record, own) if scan is None else _scan(record, own, scan, series)
    masks = {
        name: Mask.on(grid, placed(volume, grid.voxels.get_geometry(), name).array, MASKS[name])
        for name, volume in stored.items()
    }
    findings = Findings(grid, **masks)
    _check_counts(record, findings, folder)
    return Result(record, findings)


def _is_expected(record: ReportRecord, name: str) -> bool:
    return name in ("lungs", "lesions") or bool(getattr(record, name))


def _stored(folder: Path, name: str) -> hd.Volume:
    """A mask in the axes of its file."""
    file = folder / f"{name}.nii.gz"
    if not file.is_file():
        raise UnreadableScanError(
            f"found no '{file.name}' in '{folder.name}', expected the masks beside report.json; "
            "analyze the scan again with --format nifti beside the other formats"
        )
    with damage_explained(file, "a mask of groundglass"):
        image: Any = nib.load(file)
        numbers = np.asarray(image.dataobj, np.uint8)
        geometry = geometry_of(_RAS_TO_LPS @ image.affine, numbers.shape)
    return geometry.with_array(numbers)


def _source(record: ReportRecord, own: hd.VolumeGeometry) -> Source:
    """What the result says of its scan."""
    told = record.scan
    notes = tuple(Note(note.name, note.message) for note in record.notes)
    return Source(told.name, told.format, told.description, notes, stored=own)


def _grid(record: ReportRecord, own: hd.VolumeGeometry) -> CTScan:
    return CTGrid.on(own.to_patient_orientation(AXES), _source(record, own))


def _scan(record: ReportRecord, own: hd.VolumeGeometry, path: Path, series: str | None) -> CTScan:
    """The scan, read with the settings of the result; refused where it is another one.

    Of a result that was de-identified the scan lends its Hounsfield units alone: its name and
    headers say who it was, and identifiers of the result are not those that it has.
    """
    settings = record.provenance.settings
    nameless = SETTING in settings
    if nameless and "series" in settings and series is None:
        raise UnreadableScanError(
            f"found the de-identified result '{record.scan.name}' of one series of several, which "
            f"it no longer names, expected to be told which one of '{path.name}' it is; name it "
            "with --series as when it was analyzed, or leave --scan out"
        )
    series = series or (None if nameless else settings.get("series"))
    scan = read(path, series=series, tolerate=settings.get("tolerate", "").split())
    grid = own.to_patient_orientation(AXES)
    if not isinstance(scan, CTScan) or not same_place(scan.voxels.get_geometry(), grid):
        raise GeometryError(
            f"found '{path.name}' on another grid than the masks of '{record.scan.name}', "
            "expected the scan that was analyzed; name that one"
        )
    if nameless:
        return CTScan(grid.with_array(scan.voxels.array), _source(record, own))
    before, now = record.provenance.input_uids, input_uids(scan.source)
    if before and now and before != now:
        raise GeometryError(
            f"found '{path.name}', another DICOM series than the one that was analyzed, expected "
            "that one; name it"
        )
    return scan


def _check_counts(record: ReportRecord, findings: Findings, folder: Path) -> None:
    """Refuse masks that were changed since the record was written.

    Where scores were withheld, nothing was counted.
    """
    if record.quality is not None and record.quality.outcome is Outcome.WITHHELD:
        return
    table = slice_table(findings)
    if len(record.slices) != len(table):
        raise UnreadableScanError(
            f"found masks of {len(table)} slices in '{folder.name}', expected the "
            f"{len(record.slices)} that report.json counted; analyze the scan again"
        )
    for before, now in zip(record.slices, table, strict=True):
        same = (
            before.lung_pixels == now.lung_pixels
            and before.opacity_pixels == now.opacity_pixels
            and before.lesion_pixels == now.lesion_pixels
        )
        if not same:
            raise UnreadableScanError(
                f"found masks in '{folder.name}' that differ from what report.json counted on "
                f"slice {now.index + 1}, expected the masks as they were written; analyze the scan "
                "again and save the edited mask under another name"
            )

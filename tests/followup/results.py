"""A small result on disk, as analyze would write it, and edited masks for it."""

from dataclasses import replace
from functools import cache

import nibabel as nib
import numpy as np
import SimpleITK as sitk  # noqa: N813 - the name its own manual uses

from groundglass.labels import Region
from groundglass.mask import Mask
from groundglass.report import Outcome, Quality, QualityCheck, Report
from groundglass.severity import score_all
from groundglass.write import write
from tests.write.dicom_series import PHANTOM, PROVENANCE, report_of, store

FORMATS = ("json", "csv", "nifti")


@cache
def first_regions():
    """One region of each lobe, so that a result has regions without a search for fissures."""
    return np.array([0, 1, 4, 6, 11, 16], np.uint8)[PHANTOM.lobes.array]


def result(tmp_path, *, formats=FORMATS, scan=None, change=None):
    """Folder with the result of the phantom, after a change, and the folder of its scan."""
    scan = scan or store(tmp_path / "scan")
    report = report_of(scan, lobes=True)
    found = report.findings
    assert found.lobes is not None
    regions = Mask.on(found.scan, first_regions(), Region)
    findings = type(found)(found.scan, found.lungs, found.lesions, found.lobes, regions)
    scores, notes = score_all(findings)
    provenance = PROVENANCE.model_copy(
        update={"settings": {"tolerate": "thick-slices"}, "regions_source": "hand"}
    )
    notes = (*found.scan.source.notes, *notes)
    made = Report(findings, scores, provenance, notes)
    write(made if change is None else change(made), tmp_path / "result", formats)
    return tmp_path / "result", scan


def quality(outcome):
    """Quality control that found one thing."""
    check = QualityCheck(
        name="lungs-cut",
        title="Lungs at the edge",
        outcome=outcome,
        measured="one",
        limit="none",
        source="hand",
        message="The scan ends within the lungs.",
    )
    return Quality(checks=(check,))


def withheld(report):
    """The report as quality control withholds it."""
    return replace(report, scores=(), quality=quality(Outcome.WITHHELD))


def lesions_of(folder):
    """The lesions of a result as an ITK image: array axes slice, row, column as stored."""
    return sitk.ReadImage(str(folder / "lesions.nii.gz"))


def edited(folder, change, name="edited.nii.gz"):
    """A copy of the lesions with ``change`` done to the array."""
    image = lesions_of(folder)
    numbers = sitk.GetArrayFromImage(image)
    lungs = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "lungs.nii.gz")))
    change(numbers, lungs)
    after = sitk.GetImageFromArray(numbers)
    after.CopyInformation(image)
    file = folder.parent / name
    sitk.WriteImage(after, str(file), True)
    return file


def reoriented(file, name="turned.nii.gz"):
    """The same voxels in space with the axes in another order and direction."""
    image = nib.load(file)
    turned = nib.as_closest_canonical(image).as_reoriented([[2, 1], [0, -1], [1, 1]])
    nib.save(turned, file.parent / name)
    return file.parent / name

"""A phantom stored as DICOM in any direction, analyzed with its own truth, and read by others."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813 - the name its own manual uses
from scipy.spatial.transform import Rotation

from groundglass.data.phantom import make_phantom
from groundglass.data.phantom_files import turned, write_dicom
from groundglass.findings import Findings
from groundglass.mask import Mask
from groundglass.read import read
from groundglass.report import Provenance, Report
from groundglass.severity import score_all
from tests.read.tiny_chest import enhanced, save

PHANTOM = make_phantom(3, shape=(40, 48, 64))

OBLIQUE = Rotation.from_euler("xyz", (9, -7, 14), degrees=True).as_matrix()

ORIENTATIONS = {
    "axial": "FPL",
    "negated": "HAR",
    "coronal": "PFL",
    "sagittal": "LFP",
    "oblique": OBLIQUE @ PHANTOM.scan.voxels.direction,
}

PROVENANCE = Provenance(
    version="0.1.0",
    created="2025-03-04T05:06:07+00:00",
    system="baseline_unet",
    weights_sha256="ab" * 32,
    lungs_method="threshold",
    device="cpu",
)


def store(folder: Path, orientation="FPL", *, multi_frame=False, change=None, phantom=PHANTOM):
    """The phantom as a series, after a change to its data sets."""
    folder.mkdir(parents=True)
    if multi_frame:
        save([enhanced(turned(phantom.scan.voxels, orientation))], folder)
    else:
        write_dicom(phantom.scan, folder, orientation)
    if change is not None:
        for path in sorted(folder.iterdir()):
            dataset = pydicom.dcmread(path)
            with pydicom.config.disable_value_validation():
                change(dataset)
                dataset.save_as(path)
    return folder


def report_of(folder: Path, *, lesions=True, lobes=False, phantom=PHANTOM) -> Report:
    """What groundglass would report if it found exactly what is there."""
    scan = read(folder, tolerate=("thick-slices",))
    lungs = Mask.on(scan, phantom.lungs.array, phantom.lungs.labels)
    found = phantom.lesions.array if lesions else np.zeros_like(phantom.lesions.array)
    known = Mask.on(scan, phantom.lobes.array, phantom.lobes.labels) if lobes else None
    findings = Findings(scan, lungs, Mask.on(scan, found, phantom.lesions.labels), known)
    scores, notes = score_all(findings)
    return Report(findings, scores, PROVENANCE, (*scan.source.notes, *notes))


def program(name: str, package: str) -> str:
    """Path of another project's program; the test is skipped where it is not installed."""
    beside_python = Path(sys.executable).parent  # where pip puts programs
    found = shutil.which(name) or shutil.which(name, path=beside_python)
    if found is None:
        pytest.skip(f"{name} is not installed ({package})")
    return found


def errors_of(file: Path) -> list[str]:
    """What dicom3tools' validator finds against the standard."""
    validator = program("dciodvfy", "Debian: dicom3tools")
    run = subprocess.run([validator, str(file)], capture_output=True, text=True, check=False)
    said = (run.stdout + run.stderr).splitlines()
    assert said, "the validator said nothing, so it did not know the object"
    return [line for line in said if line.startswith(("Error", "Abort"))]


def segments_of(file: Path) -> dict[str, sitk.Image]:
    """Every segment as an image in space, from the attributes alone, with pydicom and ITK."""
    dataset = pydicom.dcmread(file)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    along = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    normal = np.cross(along[:3], along[3:])
    frames = list(zip(dataset.pixel_array, dataset.PerFrameFunctionalGroupsSequence, strict=True))
    images = {}
    for segment in dataset.SegmentSequence:
        if segment.SegmentNumber == 0:
            continue  # the background of a label map
        placed = []
        for pixels, group in frames:
            position = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
            if "SegmentIdentificationSequence" in group:
                number = group.SegmentIdentificationSequence[0].ReferencedSegmentNumber
                belongs = pixels if number == segment.SegmentNumber else None
            else:
                belongs = (pixels == segment.SegmentNumber).astype(np.uint8)
            if belongs is not None and belongs.any():
                placed.append((position @ normal, position, belongs))
        placed.sort(key=lambda one: one[0])
        measures = shared.PixelMeasuresSequence[0]
        step_mm = float(measures.SpacingBetweenSlices)
        places = [round((at - placed[0][0]) / step_mm) for at, *_ in placed]
        stack = np.zeros((places[-1] + 1, *placed[0][2].shape), np.uint8)
        stack[places] = [pixels for *_, pixels in placed]
        image = sitk.GetImageFromArray(stack)
        rows_mm, columns_mm = (float(mm) for mm in measures.PixelSpacing)
        image.SetSpacing((columns_mm, rows_mm, step_mm))
        image.SetOrigin(placed[0][1].tolist())
        image.SetDirection(np.stack([along[:3], along[3:], normal], axis=1).ravel().tolist())
        images[segment.SegmentLabel] = image
    return images


def center_mm(image: sitk.Image) -> np.ndarray:
    """Mean position of the voxels of an image in LPS millimeters, by ITK."""
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.Execute(image)
    return np.array(shape.GetCentroid(1))


def expected_center_mm(mask: Mask, number: int) -> np.ndarray:
    voxels = np.argwhere(mask.array == number)
    return mask.geometry.map_indices_to_reference(voxels).mean(axis=0)


def reference_data() -> Path:
    """Folder of the real data; the test is skipped where there is none."""
    root = Path(__file__).parents[2]
    folder = Path(os.environ.get("GROUNDGLASS_DATA", root / ".." / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no real data: set GROUNDGLASS_DATA")
    return folder

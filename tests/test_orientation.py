"""Any orientation, any format, any order of files: the same scan, the same places in mm."""

import zipfile
from collections.abc import Callable
from itertools import permutations, product
from pathlib import Path
from tempfile import TemporaryDirectory

import highdicom as hd
import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless
from scipy.spatial.transform import Rotation

from groundglass.data.phantom import DEFAULT_LESIONS, make_phantom
from groundglass.data.phantom_files import turned as turn
from groundglass.data.phantom_files import (
    write_dicom,
    write_mha,
    write_nifti,
    write_nrrd,
    write_phantom,
)
from groundglass.labels import Lesion
from groundglass.mask import Mask
from groundglass.read import READERS, read
from groundglass.scan import AXES, CTScan
from groundglass.write.masks import nifti_image
from tests.read.tiny_chest import MARKER_HU, enhanced, marker_position, save, tiny_chest

CHEST = tiny_chest()

ORIENTATIONS = sorted(
    "".join(letters) for axes in permutations(("FH", "AP", "LR")) for letters in product(*axes)
)
"""All 48."""


def write_shuffled(scan: CTScan, folder: Path, orientation: str) -> Path:
    return write_dicom(scan, folder, orientation, shuffled=True)


def write_zip(scan: CTScan, folder: Path, orientation: str) -> Path:
    write_dicom(scan, folder, orientation, shuffled=True)
    archive = folder / "scan.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for path in folder.glob("*.dcm"):
            opened.write(path, f"patient/series/{path.name}")
    return archive


def write_enhanced(scan: CTScan, folder: Path, orientation: str) -> Path:
    return save([enhanced(turn(scan.voxels, orientation))], folder)


def write_plain_nifti(scan: CTScan, folder: Path, orientation: str) -> Path:
    path = folder / "scan.nii"
    nib.save(turn(scan.voxels, orientation).to_nibabel(), path)
    return path


Writer = Callable[[CTScan, Path, str], Path]

WRITERS: dict[str, Writer] = {
    "classic": write_shuffled,
    "enhanced": write_enhanced,
    "zip": write_zip,
    "nifti.gz": write_nifti,
    "nifti": write_plain_nifti,
    "metaimage": write_mha,
    "nrrd": write_nrrd,
}


def lying(angles: tuple[float, float, float]) -> CTScan:
    """The chest of a patient who lies a little askew."""
    voxels = CHEST.voxels
    turned = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ voxels.direction
    return CTScan(turn(voxels, turned), CHEST.source)


def read_back(write: Writer, patient: CTScan, orientation: str) -> CTScan:
    with TemporaryDirectory() as folder:
        scan = read(write(patient, Path(folder), orientation))
    assert isinstance(scan, CTScan)
    return scan


def test_the_chest_has_no_symmetry_that_could_hide_a_flip() -> None:
    seen = [
        CHEST.voxels.to_patient_orientation(code).array for code in ORIENTATIONS if code != AXES
    ]
    assert len(ORIENTATIONS) == 48
    assert not any(np.array_equal(array, CHEST.slices) for array in seen)


def test_every_volume_format_is_drawn_here() -> None:
    found = {read_back(write, CHEST, AXES).source.format for write in WRITERS.values()}
    assert found == set(READERS) - {"pictures"}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@settings(max_examples=settings.default.max_examples // 6)
@given(
    orientation=st.sampled_from(ORIENTATIONS),
    angles=st.just((0.0, 0.0, 0.0)) | st.tuples(*[st.floats(-9, 9)] * 3),
)
def test_any_orientation_of_any_patient_reads_to_the_same_scan(write, orientation, angles) -> None:
    patient = lying(angles)
    scan = read_back(write, patient, orientation)
    np.testing.assert_array_equal(scan.slices, patient.slices)
    np.testing.assert_allclose(scan.voxels.affine, patient.voxels.affine, atol=1e-3)
    np.testing.assert_allclose(marker_position(scan), marker_position(patient), atol=1e-3)
    lies_where_it_was_stored(scan, turn(patient.voxels, orientation))


def lies_where_it_was_stored(scan: CTScan, stored: hd.Volume) -> None:
    """A mask made on the scan can be laid on the file: same grid, same order, same place in mm."""
    geometry = scan.source.stored
    assert geometry is not None
    marker = np.where(scan.slices >= MARKER_HU - 5, int(Lesion.CONSOLIDATION), 0)
    mask = Mask.on(scan, marker, Lesion)
    if scan.source.format == "dicom":  # slices have no order of their own but their normal's
        normal = np.cross(stored.direction[:, 2], stored.direction[:, 1])
        np.testing.assert_allclose(geometry.unit_vectors()[0], normal, atol=1e-4)
    else:
        back = mask.voxels.match_geometry(geometry, tol=1e-3)
        np.testing.assert_array_equal(back.array > 0, stored.array >= MARKER_HU - 5)
        np.testing.assert_allclose(geometry.affine, stored.affine, atol=1e-3)
    written = nifti_image(mask, scan)
    voxels = np.argwhere(np.asarray(written.dataobj) > 0)
    position = nib.affines.apply_affine(written.affine, voxels).mean(axis=0)
    np.testing.assert_allclose(position * [-1, -1, 1], marker_position(scan), atol=1e-3)


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless, RLELossless], ids=str)
def test_a_compressed_series_reads_to_the_same_scan(tmp_path, syntax) -> None:
    write_dicom(CHEST, tmp_path, transfer_syntax=syntax, shuffled=True)
    np.testing.assert_array_equal(read(tmp_path).slices, CHEST.slices)


@pytest.mark.parametrize("orientation", ["FPL", "HPL", "FAL", "HAR"])
def test_headers_come_from_head_to_feet(orientation) -> None:
    scan = read_back(WRITERS["classic"], CHEST, orientation)
    heights = [float(h.ImagePositionPatient[2]) for h in scan.source.headers]
    slices = np.array([[index, 0, 0] for index in range(len(scan.slices))])
    places = scan.voxels.map_indices_to_reference(slices)[:, 2]
    np.testing.assert_allclose(heights, places, atol=1e-3)
    assert heights == sorted(heights, reverse=True)


PHANTOM = make_phantom(shape=(32, 104, 104), lesions=DEFAULT_LESIONS)


@pytest.mark.parametrize(
    ("format", "orientation"),
    [("dicom", "HAR"), ("nifti", None), ("nifti", "PLF"), ("mha", "LAH"), ("nrrd", "RPF")],
)
def test_the_phantom_reads_with_its_lungs_and_lesions_in_place(format, orientation, tmp_path):
    scan = read(write_phantom(PHANTOM, tmp_path, format, orientation=orientation))
    np.testing.assert_array_equal(scan.slices, PHANTOM.scan.slices)
    np.testing.assert_allclose(scan.voxels.affine, PHANTOM.scan.voxels.affine, atol=1e-3)
    for name, mask in (("lungs", PHANTOM.lungs), ("lesions", PHANTOM.lesions)):
        truth = nib.load(tmp_path / "truth" / f"{name}.nii.gz")
        voxels = hd.Volume.from_nibabel(truth).to_patient_orientation(AXES)
        assert voxels.geometry_equal(scan.voxels, tol=1e-3)
        np.testing.assert_array_equal(voxels.array, mask.array)

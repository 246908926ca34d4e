"""NIfTI, MetaImage and NRRD as researchers keep them: any type, any byte order, rescaled."""

import gzip

import nibabel as nib
import numpy as np
import pytest
import SimpleITK

from groundglass.read import read
from tests.read.tiny_chest import marker_position, tiny_chest

CHEST = tiny_chest()
NIFTI = CHEST.voxels.to_nibabel()
STORED = np.asarray(NIFTI.dataobj)


@pytest.mark.parametrize("dtype", ["int16", "int32", "float32", "float64", "int64"])
def test_any_type_of_number_reads_to_the_same_scan(dtype, tmp_path) -> None:
    image = nib.Nifti1Image(STORED.astype(dtype), NIFTI.affine, dtype=dtype)
    nib.save(image, tmp_path / "scan.nii")
    scan = read(tmp_path / "scan.nii")
    assert scan.slices.dtype == np.int16
    np.testing.assert_array_equal(scan.slices, CHEST.slices)
    assert scan.source.description == {
        "format": "nifti",
        "spacing": "10 x 3.5 x 3.25 mm",
        "size": "12 x 64 x 80",
    }
    assert scan.source.headers == ()


@pytest.mark.parametrize("slope", [1.0, 0.5])
def test_a_rescale_in_the_header_is_applied(slope, tmp_path) -> None:
    stored = ((STORED.astype(int) + 1024) / slope).astype(np.uint16)
    image = nib.Nifti1Image(stored, NIFTI.affine)
    image.header.set_slope_inter(slope, -1024)
    nib.save(image, tmp_path / "scan.nii.gz")
    np.testing.assert_array_equal(read(tmp_path / "scan.nii.gz").slices, CHEST.slices)


def test_a_rescale_without_a_slope_is_none(tmp_path) -> None:
    nib.save(NIFTI, tmp_path / "scan.nii")
    whole = bytearray((tmp_path / "scan.nii").read_bytes())
    whole[112:120] = np.array([0, 500], "<f4").tobytes()
    (tmp_path / "scan.nii").write_bytes(whole)
    np.testing.assert_array_equal(read(tmp_path / "scan.nii").slices, CHEST.slices)


def test_big_endian_reads_to_the_same_scan(tmp_path) -> None:
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    nib.save(nib.Nifti1Image(STORED.astype(">i2"), NIFTI.affine, header), tmp_path / "scan.nii")
    assert (tmp_path / "scan.nii").read_bytes()[:4] == b"\0\0\x01\x5c"
    np.testing.assert_array_equal(read(tmp_path / "scan.nii").slices, CHEST.slices)


@pytest.mark.parametrize("packed", [False, True])
def test_version_2_reads_to_the_same_scan(packed, tmp_path) -> None:
    path = tmp_path / "scan.nii"
    nib.save(nib.Nifti2Image(STORED, NIFTI.affine), path)
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    np.testing.assert_array_equal(read(path).slices, CHEST.slices)


def test_a_fourth_dimension_of_one_is_dropped(tmp_path) -> None:
    nib.save(nib.Nifti1Image(STORED[..., None], NIFTI.affine), tmp_path / "scan.nii")
    np.testing.assert_array_equal(read(tmp_path / "scan.nii").slices, CHEST.slices)


def test_the_qform_serves_where_there_is_no_sform(tmp_path) -> None:
    image = nib.Nifti1Image(STORED, NIFTI.affine)
    image.set_qform(NIFTI.affine, code=1)
    image.set_sform(None, code=0)
    nib.save(image, tmp_path / "scan.nii")
    scan = read(tmp_path / "scan.nii")
    np.testing.assert_array_equal(scan.slices, CHEST.slices)
    np.testing.assert_allclose(scan.voxels.affine, CHEST.voxels.affine, atol=1e-3)


def test_rounding_in_the_affine_is_made_straight(tmp_path) -> None:
    affine = NIFTI.affine.copy()
    affine[0, 1] += 0.0005
    nib.save(nib.Nifti1Image(STORED, affine), tmp_path / "scan.nii")
    scan = read(tmp_path / "scan.nii")
    np.testing.assert_allclose(scan.voxels.affine, CHEST.voxels.affine, atol=1e-3)


@pytest.mark.parametrize("name", ["scan.mha", "scan.mhd", "scan.nrrd", "scan.nhdr"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", ["int16", "float64"])
def test_itk_formats_read_to_the_same_scan(name, packed, dtype, tmp_path, capfd) -> None:
    image = CHEST.voxels.astype(dtype).to_simpleitk()
    SimpleITK.WriteImage(image, str(tmp_path / name), useCompression=packed)
    scan = read(tmp_path / name)
    np.testing.assert_array_equal(scan.slices, CHEST.slices)
    np.testing.assert_allclose(scan.voxels.affine, CHEST.voxels.affine, atol=1e-3)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("space", "signs"),
    [
        ("LPS", (1, 1, 1)),
        ("left posterior superior", (1, 1, 1)),
        ("RAS", (-1, -1, 1)),
        ("right-anterior-superior", (-1, -1, 1)),
        ("las", (1, -1, 1)),
    ],
)
def test_a_space_of_nrrd_tells_the_sides_of_the_patient(space, signs, tmp_path) -> None:
    file = tmp_path / "scan.nrrd"
    SimpleITK.WriteImage(CHEST.voxels.to_simpleitk(), str(file))
    stored = file.read_bytes().replace(b"left-posterior-superior", space.encode())
    file.write_bytes(stored)
    expected = marker_position(CHEST) * signs
    np.testing.assert_allclose(marker_position(read(file)), expected, atol=1e-2)


def test_a_library_that_prints_is_kept_quiet(tmp_path, capfd) -> None:
    """nibabel prints of a wrong qfac by itself."""
    nib.save(NIFTI, tmp_path / "scan.nii")
    whole = bytearray((tmp_path / "scan.nii").read_bytes())
    whole[76:80] = np.array([0.5], "<f4").tobytes()
    (tmp_path / "scan.nii").write_bytes(whole)
    read(tmp_path / "scan.nii")
    assert capfd.readouterr() == ("", "")

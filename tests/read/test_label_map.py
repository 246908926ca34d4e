"""Masks made elsewhere: numbers kept, places kept, and what is no mask refused."""

import highdicom as hd
import nibabel as nib
import numpy as np
import pydicom
import pytest

from groundglass.errors import UnreadableScanError
from groundglass.read.label_map import read_label_map
from groundglass.write import dicom_seg
from tests.read.tiny_chest import tiny_chest
from tests.write.dicom_series import report_of, store

CHEST = tiny_chest().voxels
NUMBERS = (np.arange(CHEST.array.size).reshape(CHEST.shape) % 300).astype(np.uint16)


def in_ras(array):
    return CHEST.with_array(array).to_patient_orientation("RAS")


def nifti(path, array):
    """A NIfTI file of an array in any type."""
    image = in_ras(array).to_nibabel()
    nib.save(nib.Nifti1Image(in_ras(array).array, image.affine, dtype=array.dtype), path)
    return path


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32, np.float64])
def test_any_type_of_number_gives_the_same_labels(dtype, tmp_path):
    found = read_label_map(nifti(tmp_path / "mask.nii.gz", NUMBERS.astype(dtype)))
    np.testing.assert_array_equal(found.voxels.array, NUMBERS)
    np.testing.assert_allclose(found.voxels.affine, CHEST.affine, atol=1e-3)
    assert found.numbers == list(range(1, 300))
    assert found.names == {}


def test_a_rescale_in_the_header_is_applied(tmp_path):
    image = in_ras(NUMBERS).to_nibabel()
    stored = nib.Nifti1Image(in_ras(NUMBERS * 2).array, image.affine)
    stored.header.set_slope_inter(0.5, 0)
    nib.save(stored, tmp_path / "scaled.nii")
    found = read_label_map(tmp_path / "scaled.nii")
    np.testing.assert_array_equal(found.voxels.array, NUMBERS)


@pytest.mark.parametrize(
    "array",
    [
        pytest.param(NUMBERS / 7, id="fractions"),
        pytest.param(NUMBERS.astype(np.int16) - 100, id="negative"),
        pytest.param(np.where(NUMBERS > 9, np.nan, 1.0), id="no number"),
        pytest.param(NUMBERS.astype(np.int32) * 1000, id="too large"),
    ],
)
def test_values_that_are_no_label_numbers_are_refused(array, tmp_path):
    with pytest.raises(UnreadableScanError, match="expected label numbers"):
        read_label_map(nifti(tmp_path / "mask.nii", array))


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(UnreadableScanError, match=r"found no file 'mask\.nii'"):
        read_label_map(tmp_path / "mask.nii")


@pytest.fixture(scope="module")
def segmentation(tmp_path_factory):
    """Our own segmentation of lungs, lesions and the largest lesions, which overlap."""
    folder = tmp_path_factory.mktemp("segmentation")
    report = report_of(store(folder / "scan"))
    dicom_seg.write(report, folder)
    return report.findings, folder / dicom_seg.FILE


def test_wanted_segments_are_read_with_their_names(segmentation):
    findings, file = segmentation
    found = read_label_map(file, wanted=lambda names: names[0] in ("right lung", "left lung"))
    assert [names[0] for names in found.names.values()] == ["right lung", "left lung"]
    inside = findings.lungs.array.any(axis=(1, 2))  # DICOM leaves empty slices out
    np.testing.assert_array_equal(found.voxels.array, findings.lungs.array[inside])
    assert found.cropped


def test_segments_that_overlap_are_refused(segmentation):
    with pytest.raises(UnreadableScanError, match="segments that overlap"):
        read_label_map(segmentation[1])


def test_segments_that_nobody_wants_are_listed(segmentation):
    with pytest.raises(UnreadableScanError, match="found the segments right lung, left lung"):
        read_label_map(segmentation[1], wanted=lambda _: False)


def test_fractional_segments_are_refused(segmentation, tmp_path):
    dataset = pydicom.dcmread(segmentation[1])
    dataset.SegmentationType = hd.seg.SegmentationTypeValues.FRACTIONAL.value
    dataset.SegmentationFractionalType = "PROBABILITY"
    dataset.MaximumFractionalValue = 255
    dataset.save_as(tmp_path / "fractional.dcm")
    with pytest.raises(UnreadableScanError, match="fractional segments"):
        read_label_map(tmp_path / "fractional.dcm")


def test_a_ct_slice_in_place_of_a_segmentation_is_refused(tmp_path):
    scan = next(store(tmp_path / "scan").iterdir())
    with pytest.raises(UnreadableScanError, match=r"DICOM of another kind \(CT\)"):
        read_label_map(scan)

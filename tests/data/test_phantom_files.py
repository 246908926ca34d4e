import json

import highdicom as hd
import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from pydicom.uid import JPEGLSLossless, RLELossless

from groundglass.data.phantom import make_phantom
from groundglass.data.phantom_files import FORMATS, turned, write_dicom, write_phantom
from groundglass.errors import GeometryError, OutputError, UnknownNameError

TURN = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]


CT_KEYWORDS = (
    *("PatientID", "PatientSex", "StudyID", "StudyDate", "StudyTime", "AccessionNumber"),
    *("ReferringPhysicianName", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber"),
    *("FrameOfReferenceUID", "PositionReferenceIndicator", "ImageType", "AcquisitionNumber"),
    *("KVP", "SliceThickness", "PixelSpacing", "Rows", "RescaleIntercept", "RescaleSlope"),
    *("PhotometricInterpretation", "BitsStored", "InstanceNumber"),
)


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(shape=(12, 40, 48))


def read_back(path, format):
    if format == "dicom":
        volume = hd.get_volume_from_series([pydicom.dcmread(p) for p in path.iterdir()])
    elif format == "nifti":
        volume = hd.Volume.from_nibabel(nib.load(path))
    else:
        volume = hd.Volume.from_simpleitk(sitk.ReadImage(path), coordinate_system="PATIENT")
    return volume


@pytest.mark.parametrize("format", ["dicom", "nifti", "mha", "nrrd"])
@pytest.mark.parametrize("orientation", [None, "FPL", "LAH", "ARF", TURN])
def test_every_orientation_keeps_the_patient_in_place(phantom, tmp_path, format, orientation):
    path = write_phantom(phantom, tmp_path, format, orientation=orientation)
    kept = orientation if orientation is not None else "FPL"
    expected = turned(phantom.scan.voxels, kept)
    back = read_back(path, format).match_geometry(expected, tol=1e-3)
    assert np.array_equal(back.array, expected.array)


@pytest.mark.parametrize("format", [f for f in FORMATS if f != "pictures"])
def test_truth_lies_beside_the_scan_and_on_it(phantom, tmp_path, format):
    scan = read_back(write_phantom(phantom, tmp_path, format, orientation="LPH"), format)
    lungs = hd.Volume.from_nibabel(nib.load(tmp_path / "truth" / "lungs.nii.gz"))
    back = lungs.match_geometry(scan, tol=1e-3).to_patient_orientation("FPL")
    assert np.array_equal(back.array, phantom.lungs.array)
    truth = json.loads((tmp_path / "truth" / "truth.json").read_text())
    assert truth == phantom.truth


def test_pictures_show_the_lungs_dark_and_their_masks_have_the_same_names(phantom, tmp_path):
    folder = write_phantom(phantom, tmp_path, "pictures")
    names = sorted(p.name for p in folder.iterdir())
    assert len(names) == 12
    picture = sitk.GetArrayFromImage(sitk.ReadImage(folder / names[6]))
    lungs = sitk.GetArrayFromImage(sitk.ReadImage(tmp_path / "truth" / "lungs" / names[6]))
    assert np.array_equal(lungs, phantom.lungs.array[6])
    assert np.median(picture[lungs > 0]) < 90
    with pytest.raises(GeometryError, match="pictures"):
        write_phantom(phantom, tmp_path / "turned", "pictures", orientation="RAS")


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_compressed_slices_hold_the_same_voxels(phantom, tmp_path, syntax):
    write_dicom(phantom.scan, tmp_path, transfer_syntax=syntax)
    slices = [pydicom.dcmread(p) for p in sorted(tmp_path.iterdir())]
    assert {s.file_meta.TransferSyntaxUID for s in slices} == {syntax}
    voxels = np.stack([s.pixel_array.astype(int) + s.RescaleIntercept for s in slices])
    assert np.array_equal(voxels, phantom.scan.slices)


def test_shuffled_slices_are_out_of_order_and_missing_ones_are_missing(phantom, tmp_path):
    write_dicom(phantom.scan, tmp_path, shuffled=True, missing={3, 4})
    slices = [pydicom.dcmread(p) for p in sorted(tmp_path.iterdir())]
    heights = np.array([s.ImagePositionPatient[2] for s in slices])
    assert len(heights) == 10
    assert (np.diff(heights) > 0).any()
    assert (np.diff(heights) < 0).any()
    gaps = np.diff(np.sort(heights))
    assert gaps.max() == pytest.approx(3 * gaps.min())


def test_dicom_files_are_complete_and_name_no_patient(phantom, tmp_path):
    write_dicom(phantom.scan, tmp_path)
    dataset = pydicom.dcmread(tmp_path / "IM0001.dcm")
    assert str(dataset.PatientName) == "Phantom^Synthetic"
    assert dataset.SOPInstanceUID.is_valid
    assert dataset.PatientBirthDate == ""
    # types 1 and 2 of the modules of a CT image, DICOM PS3.3 A.3
    for keyword in CT_KEYWORDS:
        assert keyword in dataset, keyword


def test_a_folder_that_holds_a_scan_is_refused(phantom, tmp_path):
    write_phantom(phantom, tmp_path, "mha")
    with pytest.raises(OutputError, match="empty folder"):
        write_phantom(phantom, tmp_path, "mha")


def test_an_unknown_format_is_refused_with_the_known_ones(phantom, tmp_path):
    with pytest.raises(UnknownNameError, match=r"dicom, mha, nifti, nrrd, pictures"):
        write_phantom(phantom, tmp_path, "jpeg2000")


@pytest.mark.parametrize("orientation", ["FPX", "FPH", "FP", np.ones((3, 3)), np.eye(2)])
def test_an_orientation_that_is_none_is_refused(phantom, tmp_path, orientation):
    with pytest.raises(GeometryError, match=r"found (orientation|directions)"):
        write_phantom(phantom, tmp_path, "nifti", orientation=orientation)

import numpy as np
import pydicom
import pytest

from groundglass.deidentify import deidentify
from groundglass.write import dicom_capture
from tests.write.dicom_series import ORIENTATIONS, errors_of, report_of, store


@pytest.mark.parametrize("name", ["axial", "sagittal"])
def test_key_slices_are_axial_pictures_with_the_lesions_in_color(tmp_path, name):
    found = report_of(store(tmp_path / "scan", ORIENTATIONS[name]))
    files = dicom_capture.write(found, tmp_path)
    assert [f.name for f in files] == [f"key_slice_{n}.dcm" for n in range(1, len(files) + 1)]
    assert len(files) > 2
    header = found.findings.scan.source.headers[0]
    instances = set()
    for file in files:
        assert errors_of(file) == []
        made = pydicom.dcmread(file)
        instances.add(made.SOPInstanceUID)
        assert made.StudyInstanceUID == header.StudyInstanceUID
        assert list(made.PatientOrientation) == ["L", "P"]
        pixels = made.pixel_array.astype(int)
        colored = np.ptp(pixels, axis=-1) > 40
        assert 20 < np.count_nonzero(colored) < 0.5 * colored.size
        assert "not a medical device" in made.ImageComments
    assert len(instances) == len(files)


def test_the_right_lung_is_on_the_left_of_the_picture(tmp_path):
    """The right upper lobe is the larger one of the phantom's lesions in the first key slices."""
    found = report_of(store(tmp_path / "scan", ORIENTATIONS["negated"]))
    plain = report_of(store(tmp_path / "other", ORIENTATIONS["axial"]))
    for name, one in (("negated", found), ("axial", plain)):
        (tmp_path / name).mkdir()
        dicom_capture.write(one, tmp_path / name)
    pictures = [
        pydicom.dcmread(tmp_path / name / "key_slice_1.dcm").pixel_array.astype(int)
        for name in ("negated", "axial")
    ]
    np.testing.assert_allclose(*pictures, atol=2)
    assert np.abs(pictures[0] - pictures[0][:, ::-1]).mean() > 5


def burned(dataset):
    dataset.BurnedInAnnotation = "YES"


def test_what_is_burned_into_the_slices_is_said_of_their_pictures_too(tmp_path):
    named = report_of(store(tmp_path / "named", change=burned))
    plain = report_of(store(tmp_path / "plain"))
    for found, said in ((named, "YES"), (plain, "NO")):
        (tmp_path / said).mkdir()
        made = pydicom.dcmread(dicom_capture.write(found, tmp_path / said)[0])
        assert made.BurnedInAnnotation == said
        (note,) = [n for n in deidentify(found).notes if n.name == "deidentified"]
        assert ("burned into" in note.message) == (said == "YES")

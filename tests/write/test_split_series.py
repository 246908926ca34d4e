"""A series in several multi-frame objects: each reference names the object of its slice."""

import numpy as np
import pydicom
import pytest

from groundglass.data.phantom_files import turned
from groundglass.errors import OutputError
from groundglass.write import check_formats, write
from groundglass.write.dicom_key_images import key_stored_slices
from groundglass.write.dicom_source import source_series
from tests.read.tiny_chest import enhanced, save
from tests.write.dicom_series import PHANTOM, errors_of, report_of, store


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    """A report on the phantom in two objects, the lower slices in the first, and its results."""
    folder = tmp_path_factory.mktemp("split")
    volume = turned(PHANTOM.scan.voxels, "FPL")
    parts = [enhanced(volume[start : start + 20]) for start in (20, 0)]
    for number, part in enumerate(parts, start=1):
        uid = f"1.2.826.1.1.{number}"
        part.SOPInstanceUID = part.file_meta.MediaStorageSOPInstanceUID = uid
        part.InstanceNumber = number
    found = report_of(save(parts, folder / "scan"))
    write(found, folder / "out", ["sr", "ko", "rtstruct", "sc"])
    return found, folder / "out"


def position_of(found, reference, frame):
    """Position of a frame of the object that a reference names."""
    held = {h.SOPInstanceUID: h for h in found.findings.scan.source.headers}
    groups = held[reference.ReferencedSOPInstanceUID].PerFrameFunctionalGroupsSequence
    return np.array(groups[frame - 1].PlanePositionSequence[0].ImagePositionPatient, float)


def test_key_images_are_frames_of_the_object_that_holds_them(split):
    found, out = split
    series = source_series(found.findings.scan)
    chosen = key_stored_slices(found, series)
    assert min(chosen) < 20 <= max(chosen)
    content = pydicom.dcmread(out / "key_images.dcm").ContentSequence
    references = [i.ReferencedSOPSequence[0] for i in content if i.ValueType == "IMAGE"]
    named = [
        position_of(found, one, frame)
        for one in references
        for frame in np.atleast_1d(one.ReferencedFrameNumber)
    ]
    expected = series.geometry.map_indices_to_reference(np.array([[i, 0, 0] for i in chosen]))
    assert sorted(np.array(named)[:, 2]) == pytest.approx(sorted(expected[:, 2]), abs=0.01)


def test_outlines_are_of_the_frame_that_they_lie_on(split):
    found, out = split
    referred = set()
    for region in pydicom.dcmread(out / "structure_set.dcm").ROIContourSequence:
        for contour in region.ContourSequence:
            (reference,) = contour.ContourImageSequence
            frame = int(reference.ReferencedFrameNumber)
            place = position_of(found, reference, frame)
            assert float(contour.ContourData[2]) == pytest.approx(place[2], abs=0.01)
            referred.add(reference.ReferencedSOPInstanceUID)
    assert len(referred) == 2


@pytest.mark.parametrize("name", ["key_images.dcm", "structure_set.dcm", "structured_report.dcm"])
def test_the_validator_finds_no_error(split, name):
    assert errors_of(split[1] / name) == []


@pytest.mark.parametrize("format", ["seg", "seg-labelmap"])
def test_a_segmentation_is_refused_before_the_work(split, format):
    scan = split[0].findings.scan
    with pytest.raises(OutputError, match=f"in 2 multi-frame objects, expected one.* for {format}"):
        check_formats(["json", format], scan)
    check_formats(["json", "ko", "sr", "rtstruct", "sc"], scan)


def test_one_object_with_all_slices_may_have_a_segmentation(tmp_path):
    scan = report_of(store(tmp_path / "scan", multi_frame=True)).findings.scan
    check_formats(["seg", "seg-labelmap"], scan)

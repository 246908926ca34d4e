"""DICOM as hospitals keep it: old encodings, strange headers, one slice, copies."""

import logging
import shutil
import warnings

import numpy as np
import pydicom
import pytest
from highdicom.legacy import LegacyConvertedEnhancedCTImage
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
)

from groundglass.errors import UnreadableScanError
from groundglass.read import read
from groundglass.scan import CTScan
from tests.read.broken_dicom import directory_alone
from tests.read.tiny_chest import datasets, dicom_folder, enhanced, save, tiny_chest

CHEST = tiny_chest()


def notes(scan: CTScan) -> dict[str, str]:
    return {note.name: note.message for note in scan.source.notes}


def test_a_series_carries_its_facts_and_names_nobody(tmp_path, caplog) -> None:
    def named(parts):
        for part in parts:
            part.PatientName, part.PatientID = "Doe^Jane", "ID-4711"
            part.PatientBirthDate = "19500102"
            part.SeriesDescription = part.StudyDescription = "thorax of Doe"

    with caplog.at_level(logging.DEBUG):
        scan = read(dicom_folder(tmp_path / "scan", named))
    assert scan.source.format == "dicom"
    assert scan.source.name == "scan"
    assert scan.source.description == {
        "modality": "CT",
        "manufacturer": "groundglass",
        "model": "phantom",
        "kernel": "PHANTOM",
        "slice thickness": "10 mm",
        "tube voltage": "120 kV",
        "patient position": "HFS",
        "spacing": "10 x 3.5 x 3.25 mm",
        "size": "12 x 64 x 80",
    }
    told = f"{scan!r} {scan.source!r} {caplog.text}"
    assert not [word for word in ("Doe", "4711", "1950") if word in told]
    assert scan.source.headers[0].PatientName == "Doe^Jane"
    assert all("PixelData" not in header for header in scan.source.headers)


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian], ids=lambda s: s.name
)
def test_other_encodings_read_to_the_same_scan(tmp_path, syntax) -> None:
    parts = datasets()
    for part in parts:
        part.file_meta.TransferSyntaxUID = syntax
    np.testing.assert_array_equal(read(save(parts, tmp_path)).slices, CHEST.slices)


def test_big_endian_reads_to_the_same_scan(tmp_path) -> None:
    for part in datasets():
        part.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
        part.PixelData = np.frombuffer(part.PixelData, "<u2").astype(">u2").tobytes()
        path = tmp_path / f"{part.InstanceNumber}.dcm"
        pydicom.dcmwrite(path, part, implicit_vr=False, little_endian=False)
    np.testing.assert_array_equal(read(tmp_path).slices, CHEST.slices)


@pytest.mark.parametrize("syntax", [None, ImplicitVRLittleEndian])
def test_files_without_preamble_and_suffix_read_to_the_same_scan(tmp_path, syntax) -> None:
    for number, part in enumerate(datasets()):
        del part.file_meta
        part.save_as(tmp_path / f"I{number}", implicit_vr=syntax is not None, little_endian=True)
    np.testing.assert_array_equal(read(tmp_path).slices, CHEST.slices)


def test_transfer_syntaxes_may_be_mixed_in_one_series(tmp_path) -> None:
    parts = datasets()
    for part in parts[::3]:
        part.compress(JPEGLSLossless)
    np.testing.assert_array_equal(read(save(parts, tmp_path)).slices, CHEST.slices)


def test_signed_values_and_a_rescale_of_each_slice_are_converted_exactly(tmp_path) -> None:
    parts = datasets()
    for number, part in enumerate(parts):
        hu = CHEST.slices[number].astype(int)
        part.PixelRepresentation = 1
        part.BitsStored, part.HighBit = 16, 15
        part.RescaleSlope, part.RescaleIntercept = (1, -24) if number % 2 else (0.5, 3)
        stored = hu + 24 if number % 2 else (hu - 3) * 2
        part.PixelData = stored.astype("<i2").tobytes()
    scan = read(save(parts, tmp_path))
    np.testing.assert_array_equal(scan.slices, CHEST.slices)
    assert notes(scan)["rescale-varies"].startswith("Found 2 different rescales")


def test_headers_that_break_the_standard_warn_nobody(tmp_path, capfd) -> None:
    parts = datasets()
    for part in parts:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            part.StudyInstanceUID = "not a UID"
            part.ManufacturerModelName = "x" * 80
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = save(parts, tmp_path)
    scan = read(folder)
    assert scan.source.headers[0].StudyInstanceUID == "not a UID"
    assert scan.source.description["model"] == "x" * 64
    assert capfd.readouterr() == ("", "")


def test_other_files_and_nested_folders_do_not_matter(tmp_path) -> None:
    folder = dicom_folder(tmp_path / "scan")
    for number, path in enumerate(sorted(folder.iterdir())):
        target = folder / f"disk{number % 3}" / "DICOM"
        target.mkdir(parents=True, exist_ok=True)
        path.rename(target / f"{number * 7 % 12}")
    (folder / "README").write_text("burned by the hospital")
    (folder / "viewer.exe").write_bytes(bytes(200))
    (folder / "._IM0001.dcm").write_bytes(b"resource fork")
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX" / "IM0001.dcm").write_bytes(b"resource fork")
    scan = read(folder)
    np.testing.assert_array_equal(scan.slices, CHEST.slices)
    assert set(notes(scan)) == {"coarse-slices"}


def test_a_slice_stored_twice_is_read_once(tmp_path) -> None:
    folder = dicom_folder(tmp_path / "scan")
    shutil.copy(folder / "IM0004.dcm", folder / "copy of IM0004.dcm")
    scan = read(folder)
    np.testing.assert_array_equal(scan.slices, CHEST.slices)
    assert notes(scan)["copies"].startswith("Found 1 slice stored again")


def test_one_slice_file_is_a_scan_of_one_slice(tmp_path) -> None:
    folder = dicom_folder(tmp_path / "scan")
    scan = read(folder / "IM0006.dcm")
    np.testing.assert_array_equal(scan.slices, CHEST.slices[5:6])
    assert scan.spacing_mm == pytest.approx((10.0, 3.5, 3.25))
    place = CHEST.voxels.map_indices_to_reference(np.array([[5, 0, 0]]))[0]
    np.testing.assert_allclose(scan.voxels.position, place, atol=1e-4)
    assert "thickness, 10 mm" in notes(scan)["single-slice"]


def test_one_enhanced_file_has_one_header_and_its_facts(tmp_path) -> None:
    scan = read(next(save([enhanced(CHEST.voxels)], tmp_path).iterdir()))
    np.testing.assert_array_equal(scan.slices, CHEST.slices)
    assert len(scan.source.headers) == 1
    assert scan.source.description["kernel"] == "PHANTOM"
    assert "single-slice" not in notes(scan)


def test_a_compressed_enhanced_file_reads_to_the_same_scan(tmp_path) -> None:
    whole = enhanced(CHEST.voxels)
    whole.compress(JPEGLSLossless)
    np.testing.assert_array_equal(read(save([whole], tmp_path)).slices, CHEST.slices)


def test_a_gap_between_frames_is_refused_like_one_between_files(tmp_path) -> None:
    whole = enhanced(CHEST.voxels)
    frames = whole.PerFrameFunctionalGroupsSequence
    lowest = min(frames, key=lambda f: f.PlanePositionSequence[0].ImagePositionPatient[2])
    place = lowest.PlanePositionSequence[0]
    x, y, z = place.ImagePositionPatient
    place.ImagePositionPatient = [x, y, float(z) - 20]
    with pytest.raises(UnreadableScanError, match="2 of 14 slices missing in 1 gap"):
        read(save([whole], tmp_path))


@pytest.mark.parametrize(
    ("values", "name", "words"),
    [
        ({"GantryDetectorTilt": 7.5}, "tilt-in-header", "tilt of 7.5 degrees"),
        ({"SliceThickness": 1}, "spaced-slices", "slices 1 mm thick every 10 mm"),
        ({"LossyImageCompression": "01"}, "lossy", "compressed with loss"),
    ],
)
def test_what_the_header_says_besides_is_noted(values, name, words, tmp_path) -> None:
    def change(parts):
        for part in parts:
            for keyword, value in values.items():
                setattr(part, keyword, value)

    scan = read(dicom_folder(tmp_path / "scan", change))
    assert words in notes(scan)[name]
    np.testing.assert_array_equal(scan.slices, CHEST.slices)


def test_positions_rounded_to_tenths_of_a_millimeter_are_even(tmp_path) -> None:
    parts = datasets()
    for number, part in enumerate(parts):
        x, y, _ = part.ImagePositionPatient
        part.ImagePositionPatient = [x, y, round(-9.4375 * number, 1)]
    scan = read(save(parts, tmp_path))
    assert scan.spacing_mm[0] == pytest.approx(9.4375, abs=0.01)


def test_a_file_is_told_by_its_content_whatever_its_name(tmp_path) -> None:
    folder = dicom_folder(tmp_path / "scan")
    for path in list(folder.iterdir()):
        path.rename(path.with_suffix(".png"))
    assert read(folder).source.format == "dicom"


def test_a_directory_beside_the_slices_does_not_matter(tmp_path) -> None:
    directory_alone(tmp_path / "scan")
    scan = read(dicom_folder(tmp_path / "scan"))
    np.testing.assert_array_equal(scan.slices, CHEST.slices)
    assert set(notes(scan)) == {"coarse-slices"}


def test_a_series_converted_to_an_enhanced_object_reads_to_the_same_scan(tmp_path) -> None:
    whole = LegacyConvertedEnhancedCTImage(
        datasets(),
        series_instance_uid="1.2.826.3",
        series_number=1,
        sop_instance_uid="1.2.826.3.1",
        instance_number=1,
    )
    scan = read(save([whole], tmp_path))
    np.testing.assert_array_equal(scan.slices, CHEST.slices)
    np.testing.assert_allclose(scan.voxels.affine, CHEST.voxels.affine, atol=1e-4)


def test_more_pixels_than_rows_need_are_noted(tmp_path) -> None:
    def change(parts):
        parts[3].PixelData += bytes(160)

    scan = read(dicom_folder(tmp_path / "scan", change))
    assert notes(scan)["surplus-pixels"].startswith("Found 1 slice with more pixels")
    np.testing.assert_array_equal(scan.slices, CHEST.slices)


def test_a_frame_of_reference_that_is_no_uid_is_left_out(tmp_path) -> None:
    parts = datasets()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for part in parts:
            part.FrameOfReferenceUID = "frame of Doe"
        folder = save(parts, tmp_path)
    assert read(folder).voxels.frame_of_reference_uid is None


def no_rescale(frame):
    del frame.PixelValueTransformationSequence


def slope_of_nothing(frame):
    frame.PixelValueTransformationSequence[0].RescaleSlope = 0


def atomic_numbers(frame):
    frame.PixelValueTransformationSequence[0].RescaleType = "Z_EFF"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (no_rescale, "1 of 12 slices without RescaleSlope"),
        (slope_of_nothing, "a RescaleSlope of 0"),
        (atomic_numbers, "values in Z_EFF"),
    ],
)
def test_every_frame_of_an_enhanced_object_has_to_be_in_hounsfield_units(
    tmp_path, change, words
) -> None:
    whole = enhanced(CHEST.voxels)
    change(whole.PerFrameFunctionalGroupsSequence[5])
    with pytest.raises(UnreadableScanError, match=words):
        read(save([whole], tmp_path))


def test_frames_that_nothing_places_are_refused(tmp_path) -> None:
    parts = datasets()
    parts[0].NumberOfFrames = len(parts)
    parts[0].PixelData = b"".join(part.PixelData for part in parts)
    with pytest.raises(UnreadableScanError, match="12 frames in one CT Image object"):
        read(save(parts[:1], tmp_path / "classic"))
    whole = enhanced(CHEST.voxels)
    whole.NumberOfFrames = 3_000_000
    with pytest.raises(UnreadableScanError, match="functional groups for 12"):
        read(save([whole], tmp_path / "enhanced"))


def test_slices_in_other_units_are_no_copies(tmp_path) -> None:
    def lower(parts):
        for part in datasets():
            part.RescaleIntercept -= 1000
            part.SOPInstanceUID = f"1.2.9.{len(parts)}"
            part.file_meta.MediaStorageSOPInstanceUID = part.SOPInstanceUID
            parts.append(part)

    with pytest.raises(UnreadableScanError, match="duplicates"):
        read(dicom_folder(tmp_path, lower))


def test_a_series_is_not_told_by_a_uid_that_is_none(tmp_path) -> None:
    """Where there is no number, the identifier stands in; an invalid one may be a name."""

    def two(parts):
        parts += datasets()[:5]
        for k, part in enumerate(parts):
            del part.SeriesNumber
            part.SeriesInstanceUID = "DOE.JANE.1" if k < 12 else "ROE.JOHN.2"
            part.SOPInstanceUID = part.file_meta.MediaStorageSOPInstanceUID = f"1.2.9.{k}"

    with pydicom.config.disable_value_validation():
        told = notes(read(dicom_folder(tmp_path, two)))["series"]
    assert "chose one without number (12 slices" in told
    assert "DOE" not in told
    assert "ROE" not in told

"""Radiographs: read as a screen shows them, and told apart from CT slices."""

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from groundglass.data.class_importers import import_cxr_figure1
from groundglass.data.importers import import_medseg
from groundglass.errors import UnreadableScanError
from groundglass.read import read
from groundglass.read.chest_picture import ChestPicture, tell_picture
from groundglass.read.radiograph import is_radiograph, read_radiograph
from tests.read.broken_others import gray_slice, radiograph, soft_tissue_slice

DATA = Path(os.environ.get("GROUNDGLASS_DATA", Path(__file__).parents[3] / "shared" / "data"))


def write_dx(path: Path, stored: np.ndarray, **changes: object) -> Path:
    """A DX image of 12 bits."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        setattr(dataset, keyword, generate_uid())
    dataset.Modality = "DX"
    dataset.PatientName = "Phantom^Synthetic"
    dataset.PatientID = dataset.StudyID = dataset.AccessionNumber = ""
    dataset.PatientBirthDate = dataset.PatientSex = dataset.StudyDate = dataset.StudyTime = ""
    dataset.ReferringPhysicianName = dataset.Manufacturer = ""
    dataset.SeriesNumber = dataset.InstanceNumber = 1
    dataset.ViewPosition = "PA"
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = 0, 1, "US"
    dataset.WindowCenter, dataset.WindowWidth = 2048, 4096
    dataset.PresentationLUTShape = "IDENTITY"
    dataset.PixelData = stored.astype("<u2").tobytes()
    for keyword, value in changes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    dataset.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture
def chest() -> np.ndarray:
    return radiograph()


INVERSE = {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"}


@pytest.mark.parametrize("window", [{}, {"WindowCenter": None, "WindowWidth": None}])
def test_both_photometric_interpretations_show_air_dark(
    chest: np.ndarray, tmp_path: Path, window: dict[str, object]
) -> None:
    stored = chest.astype(np.uint16) * 16
    plain = read_radiograph(write_dx(tmp_path / "plain.dcm", stored, **window))
    inverse = read_radiograph(
        write_dx(tmp_path / "inverse.dcm", 4095 - stored, **INVERSE, **window)
    )
    assert np.abs(plain.pixels.astype(int) - inverse.pixels).max() <= 2
    assert plain.pixels[64, 38] < plain.pixels[10, 64]


def test_the_window_of_the_header_is_applied_after_the_rescale(
    chest: np.ndarray, tmp_path: Path
) -> None:
    stored = chest.astype(np.uint16) * 4
    path = write_dx(tmp_path / "x.dcm", stored, RescaleSlope=2, WindowCenter=1020, WindowWidth=2040)
    assert np.abs(read_radiograph(path).pixels.astype(int) - chest).max() <= 2


def lookup_table(bits: int, words: bool) -> Dataset:
    """One that shows the 12 bits of ``write_dx`` as they are."""
    item = Dataset()
    item.LUTDescriptor = [4096, 0, bits]
    entries = np.rint(np.arange(4096) * ((2**bits - 1) / 4095)).astype("<u2")
    item.add_new("LUTData", *(("OW", entries.tobytes()) if words else ("US", entries.tolist())))
    return item


@pytest.mark.parametrize("words", [True, False])
@pytest.mark.parametrize("bits", [10, 12, 15, 16])
def test_lookup_tables_of_every_depth_are_applied(
    chest: np.ndarray, tmp_path: Path, bits: int, words: bool
) -> None:
    table = {"VOILUTSequence": [lookup_table(bits, words)], "WindowCenter": 100}
    stored = chest.astype(np.uint16) * 16
    plain = read_radiograph(write_dx(tmp_path / "x.dcm", stored, **table)).pixels
    assert np.abs(plain.astype(int) - chest).max() <= 1
    inverse = read_radiograph(write_dx(tmp_path / "y.dcm", 4095 - stored, **table, **INVERSE))
    assert np.abs(inverse.pixels.astype(int) - chest).max() <= 1


def test_an_empty_list_of_lookup_tables_leaves_the_window(
    chest: np.ndarray, tmp_path: Path
) -> None:
    stored = chest.astype(np.uint16) * 4
    window = {"WindowCenter": 510, "WindowWidth": 1020}
    plain = read_radiograph(write_dx(tmp_path / "x.dcm", stored, **window))
    empty = read_radiograph(write_dx(tmp_path / "y.dcm", stored, VOILUTSequence=[], **window))
    assert np.array_equal(plain.pixels, empty.pixels)


@pytest.mark.parametrize("window", [{}, {"WindowCenter": None, "WindowWidth": None}])
def test_bits_that_hold_no_value_are_not_shown(
    chest: np.ndarray, tmp_path: Path, window: dict[str, object]
) -> None:
    stored = chest.astype(np.uint16) * 16
    plain = read_radiograph(write_dx(tmp_path / "x.dcm", stored, **window)).pixels
    drawn = stored.copy()
    drawn[20:40, 20:60] |= 0x1000  # an overlay, as old files have it
    assert np.array_equal(
        read_radiograph(write_dx(tmp_path / "y.dcm", drawn, **window)).pixels, plain
    )
    short = (stored.astype(int) - 2048) & 0x0FFF
    signed = {"PixelRepresentation": 1, **window}
    if not window:
        signed["WindowCenter"] = 0
    path = write_dx(tmp_path / "z.dcm", short.astype(np.uint16), **signed)
    assert np.abs(read_radiograph(path).pixels.astype(int) - plain).max() <= 1


def test_nothing_of_the_patient_is_kept(chest: np.ndarray, tmp_path: Path) -> None:
    found = read_radiograph(write_dx(tmp_path / "x.dcm", chest.astype(np.uint16)))
    assert found.source.description["view"] == "PA"
    assert "Phantom" not in str(found.source)
    assert found.source.headers == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"Modality": "CT"}, "groundglass analyze"),
        ({"ViewPosition": "LL"}, "--tolerate derived"),
        ({"PresentationIntentType": "FOR PROCESSING"}, "FOR PRESENTATION"),
        ({"BodyPartExamined": "HAND"}, "--tolerate body-part"),
        ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}, "in color .RGB."),
        ({"PatientOrientation": ["A", "F"]}, "rows run to A and columns to F"),
    ],
)
def test_what_is_no_frontal_radiograph_is_refused(
    chest: np.ndarray, tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    path = write_dx(tmp_path / "x.dcm", chest.astype(np.uint16), **changes)
    with pytest.raises(UnreadableScanError, match=words):
        read_radiograph(path)


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (["L", "F"], lambda shown: shown),
        (["R", "F"], np.fliplr),
        (["LH", "HR"], np.flipud),
        (["R", "H"], lambda shown: np.rot90(shown, 2)),
        (["F", "L"], np.transpose),
        (["H", "L"], lambda shown: np.rot90(shown, -1)),
        (["F", "R"], lambda shown: np.rot90(shown, 1)),
    ],
)
def test_a_picture_is_turned_as_its_header_says(
    chest: np.ndarray, tmp_path: Path, orientation: list[str], turn: Callable[..., np.ndarray]
) -> None:
    chest = chest[:, :100].copy()
    chest[:20, :10] = 0  # a mark at the patient's right shoulder
    stored = np.ascontiguousarray(turn(chest)).astype(np.uint16) * 16
    path = write_dx(tmp_path / "x.dcm", stored, PatientOrientation=orientation)
    found = read_radiograph(path)
    assert np.abs(found.pixels.astype(int) - chest).max() <= 2
    assert [note.name for note in found.source.notes] == ["turned"] * (orientation != ["L", "F"])


def test_padding_is_black_and_does_not_set_the_range(chest: np.ndarray, tmp_path: Path) -> None:
    stored = chest.astype(np.uint16) * 4
    stored[:, :5] = 4095
    nothing = {"WindowCenter": None, "WindowWidth": None}
    path = write_dx(tmp_path / "x.dcm", stored, **nothing, PixelPaddingValue=4095)
    found = read_radiograph(path)
    assert not found.pixels[:, :5].any()
    assert found.pixels[:, 5:].max() == 255
    assert found.pixels[:, 5:].min() == 0


CONTRADICTING = [("MONOCHROME1", "IDENTITY"), ("MONOCHROME2", "INVERSE")]


@pytest.mark.parametrize("window", [{}, {"WindowCenter": None, "WindowWidth": None}])
@pytest.mark.parametrize(("interpretation", "lut"), CONTRADICTING)
def test_values_are_inverted_where_either_word_says_so(
    chest: np.ndarray, tmp_path: Path, interpretation: str, lut: str, window: dict[str, object]
) -> None:
    stored = 4095 - chest.astype(np.uint16) * 16
    words = {"PhotometricInterpretation": interpretation, "PresentationLUTShape": lut}
    found = read_radiograph(write_dx(tmp_path / "x.dcm", stored, **words, **window))
    assert found.pixels[64, 38] < found.pixels[10, 64]
    assert "gray-scale" in [note.name for note in found.source.notes]


@pytest.mark.parametrize(("center", "width"), [(2048, None), (None, 4096), (2048, 0)])
def test_half_a_window_is_none(
    chest: np.ndarray, tmp_path: Path, center: int | None, width: int | None
) -> None:
    stored = chest.astype(np.uint16) * 4
    path = write_dx(tmp_path / "x.dcm", stored, WindowCenter=center, WindowWidth=width)
    found = read_radiograph(path)
    assert (found.pixels.min(), found.pixels.max()) == (0, 255)
    assert "unknown" in found.source.notes[0].message or "width 0" in found.source.notes[0].message


def test_a_part_of_the_body_may_be_said_wrongly(chest: np.ndarray, tmp_path: Path) -> None:
    stored = chest.astype(np.uint16)
    path = write_dx(tmp_path / "x.dcm", stored, BodyPartExamined="ABDOMEN")
    found = read_radiograph(path, tolerate=["body-part"])
    assert [note.name for note in found.source.notes] == ["body-part"]
    said = write_dx(tmp_path / "y.dcm", stored, BodyPartExamined="PORT CHEST")
    assert not read_radiograph(said).source.notes


def test_a_ct_command_says_that_a_dicom_radiograph_is_one(
    chest: np.ndarray, tmp_path: Path
) -> None:
    path = write_dx(tmp_path / "x.dcm", chest.astype(np.uint16))
    assert is_radiograph(path)
    with pytest.raises(UnreadableScanError, match="found a radiograph"):
        read(path)


@pytest.mark.parametrize(
    ("picture", "kind"),
    [
        (radiograph(), ChestPicture.RADIOGRAPH),
        (gray_slice(), ChestPicture.LUNG_WINDOW),
        (soft_tissue_slice(), ChestPicture.SOFT_TISSUE_WINDOW),
    ],
)
def test_pictures_are_told_apart(picture: np.ndarray, kind: ChestPicture) -> None:
    assert tell_picture(picture) is kind


def test_a_slice_is_refused_where_a_radiograph_is_wanted(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "slice.png"), gray_slice())
    with pytest.raises(UnreadableScanError, match="--tolerate ct-slice"):
        read_radiograph(tmp_path / "slice.png")
    tolerated = read_radiograph(tmp_path / "slice.png", tolerate=["ct-slice"])
    assert [note.name for note in tolerated.source.notes] == ["ct-slice"]


def test_one_radiograph_among_many_slices_is_noted(tmp_path: Path) -> None:
    for k in (4, 5, 6):
        cv2.imwrite(str(tmp_path / f"{k}.png"), gray_slice(k))
    cv2.imwrite(str(tmp_path / "7.png"), radiograph())
    assert [note.name for note in read(tmp_path).source.notes] == ["radiograph"]


@pytest.mark.reference
@pytest.mark.skipif(not DATA.is_dir(), reason="GROUNDGLASS_DATA is not there")
def test_pictures_that_no_limit_was_set_on_are_told_apart() -> None:
    """Held-out slices pass but for one in thirty; most radiographs of another set are told."""
    slices = [c for c in import_medseg(DATA / "medseg") if c.split == "test"]
    kinds = [tell_picture(case.read_image()) for case in slices]
    assert sum(kind is not ChestPicture.LUNG_WINDOW for kind in kinds) <= 1
    shown = [tell_picture(c.read_image()) for c in import_cxr_figure1(DATA / "cxr-figure1")]
    assert np.mean([kind is ChestPicture.RADIOGRAPH for kind in shown]) > 0.9


def test_a_radiograph_behind_a_link_has_the_name_of_the_link(
    chest: np.ndarray, tmp_path: Path
) -> None:
    (tmp_path / "case_07").symlink_to(write_dx(tmp_path / "DOE_JOHN_1950.dcm", chest))
    assert read_radiograph(tmp_path / "case_07").source.name == "case_07"

"""Zip archives are unpacked safely, and nothing of them stays on the disk."""

import tempfile
import warnings
import zipfile

import numpy as np
import pytest
from PIL import Image

from groundglass.errors import UnknownNameError, UnreadableScanError
from groundglass.read import archive, read
from tests.read.broken_others import gray_slice
from tests.read.tiny_chest import dicom_folder, tiny_chest


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder in which temporary folders are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def packed(tmp_path, method=zipfile.ZIP_DEFLATED):
    path = tmp_path / "patient.zip"
    folder = dicom_folder(tmp_path / "scan")
    with zipfile.ZipFile(path, "w", method) as opened:
        for file in folder.iterdir():
            opened.write(file, f"DICOM\\{file.name}" if "3" in file.name else f"DICOM/{file.name}")
    return path


def test_nothing_of_an_archive_stays_on_the_disk(tmp_path, temporary) -> None:
    scan = read(packed(tmp_path))
    np.testing.assert_array_equal(scan.slices, tiny_chest().slices)
    assert scan.source.name == "patient.zip"
    assert list(temporary.iterdir()) == []


def test_nothing_stays_after_an_error_either(tmp_path, temporary) -> None:
    path = packed(tmp_path)
    with pytest.raises(UnknownNameError):
        read(path, series="7")
    assert list(temporary.iterdir()) == []


def test_two_files_of_one_name_are_both_read(tmp_path) -> None:
    path = tmp_path / "patient.zip"
    with zipfile.ZipFile(path, "w") as opened, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the name is there already
        for number, file in enumerate(sorted(dicom_folder(tmp_path / "scan").iterdir())):
            opened.write(file, f"IM{number % 9}.dcm")
    np.testing.assert_array_equal(read(path).slices, tiny_chest().slices)


def test_an_archive_beside_the_slices_is_told_of(tmp_path) -> None:
    folder = dicom_folder(tmp_path / "scan")
    (folder / "rest.zip").write_bytes(packed(tmp_path / "other").read_bytes())
    (note,) = [note for note in read(folder).source.notes if note.name == "other-files"]
    assert note.message == "Read the dicom files and left out 1 zip archive."


def test_a_bomb_is_not_unpacked(tmp_path, temporary, monkeypatch) -> None:
    monkeypatch.setattr(archive, "LARGEST_CONTENT_BYTES", 100_000)
    with pytest.raises(UnreadableScanError, match=r"12 files of 0\.0 GiB, expected at most"):
        read(packed(tmp_path))
    assert list(temporary.iterdir()) == []


def test_an_archive_of_pictures_is_read(tmp_path) -> None:
    Image.fromarray(gray_slice()).save(tmp_path / "a.png")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as opened:
        opened.write(tmp_path / "a.png", "set/a.png")
    assert read(tmp_path / "set.zip").names == ("a",)


def test_a_name_that_the_disk_cannot_hold_is_shortened(tmp_path) -> None:
    folder = dicom_folder(tmp_path / "scan")
    with zipfile.ZipFile(tmp_path / "long.zip", "w") as opened:
        for number, file in enumerate(folder.iterdir()):
            opened.write(file, f"{'x' * 300}/{number}{'y' * 300}.dcm")
    np.testing.assert_array_equal(read(tmp_path / "long.zip").slices, tiny_chest().slices)

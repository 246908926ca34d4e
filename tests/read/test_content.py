"""Files are told apart by content, and no reader loads before it is needed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from groundglass.errors import UnreadableScanError
from groundglass.read import READERS, TOLERABLE, read
from groundglass.read.content import kind_of
from tests.read.broken_others import gray_slice, picture
from tests.read.broken_volumes import itk, nifti
from tests.read.tiny_chest import dicom_folder


def one_dicom(folder):
    return dicom_folder(folder) / "IM0001.dcm"


KINDS = {
    "dicom": one_dicom,
    "nifti": nifti(name="scan.nii.gz"),
    "metaimage": itk("scan.mha"),
    "nrrd": itk("scan.nrrd"),
    "pictures": picture(gray_slice(), "slice.tif"),
}


@pytest.mark.parametrize("name", ["noname", "wrong.txt", "wrong.dcm", "wrong.nii.gz", "wrong.png"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_reads_whatever_it_is_called(kind, name, tmp_path) -> None:
    path = tmp_path / name
    shutil.copy(KINDS[kind](tmp_path / "sound"), path)
    assert kind_of(path) == kind
    assert read(path).source.format == kind


@pytest.mark.parametrize("kind", ["nifti", "metaimage", "nrrd", "pictures"])
def test_a_folder_of_one_file_reads_like_the_file(kind, tmp_path) -> None:
    path = KINDS[kind](tmp_path / "folder")
    (tmp_path / "folder" / "notes.txt").write_text("about the scan")
    scan = read(path.parent)
    assert scan.source.format == kind
    assert scan.source.name == "folder"


def test_a_header_with_its_voxels_beside_it_reads_from_file_and_folder(tmp_path) -> None:
    path = itk("scan.mhd")(tmp_path / "folder")
    assert read(path).slices.shape == read(path.parent).slices.shape == (12, 64, 80)


def test_every_kind_is_a_reader() -> None:
    assert set(KINDS) == set(READERS)


def test_names_of_tolerances_can_be_typed() -> None:
    assert all(name == name.lower() and " " not in name for name in TOLERABLE)


def test_the_names_load_without_the_libraries() -> None:
    code = (
        "import sys; from groundglass.read import READERS, TOLERABLE, read; "
        "print({'pydicom', 'highdicom', 'nibabel', 'SimpleITK', 'PIL', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_file_that_may_not_be_read_says_so(tmp_path, monkeypatch) -> None:
    path = KINDS["nifti"](tmp_path / "folder")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(UnreadableScanError, match=r"'scan\.nii\.gz' closed \(Permission denied\)"):
        read(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x1f\x8b\x08\x00broken", "a gzip archive that is not NIfTI"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (bytes(257) + b"ustar" + bytes(250), "a tar archive"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (b"BM" + bytes(60), "a BMP picture"),
        (bytes(600), "a file of unknown content"),
    ],
)
def test_what_is_no_scan_is_called_by_its_name(content, words, tmp_path) -> None:
    (tmp_path / "scan").write_bytes(content)
    with pytest.raises(UnreadableScanError, match=f"'scan', {words}, expected DICOM"):
        read(tmp_path / "scan")


@pytest.mark.parametrize("kind", ["dicom", "nifti"])
def test_a_scan_behind_a_link_has_the_name_of_the_link(kind, tmp_path) -> None:
    file = KINDS[kind](tmp_path / "DOE_JOHN_1950")
    (tmp_path / "case_07").symlink_to(file.parent if kind == "dicom" else file)
    assert read(tmp_path / "case_07").source.name == "case_07"


def test_a_folder_in_two_dots_has_its_own_name(tmp_path, monkeypatch) -> None:
    below = KINDS["nifti"](tmp_path / "scan").parent / "below"
    below.mkdir()
    monkeypatch.chdir(below)
    assert read(Path("..")).source.name == "scan"


def test_linked_folders_are_read_once(tmp_path) -> None:
    whole = dicom_folder(tmp_path / "whole")
    scan, other = tmp_path / "scan", tmp_path / "other"
    scan.mkdir()
    other.mkdir()
    for number, file in enumerate(sorted(whole.iterdir())):
        file.rename((scan if number < 9 else other) / file.name)
    (scan / "rest").symlink_to(other)
    (scan / "rest again").symlink_to(other)
    (other / "round").symlink_to(scan)
    found = read(scan)
    assert len(found.slices) == 12
    assert "copies" not in [note.name for note in found.source.notes]


def test_a_link_that_leads_nowhere_is_refused(tmp_path) -> None:
    folder = dicom_folder(tmp_path / "scan")
    (folder / "IM0012.dcm").rename(tmp_path / "IM0012.dcm")
    (folder / "IM0012.dcm").symlink_to(tmp_path / "gone.dcm")
    with pytest.raises(UnreadableScanError, match=r"found 'IM0012\.dcm' closed \(No such file"):
        read(folder)


def test_a_subfolder_that_may_not_be_read_is_refused(tmp_path, monkeypatch) -> None:
    folder = dicom_folder(tmp_path / "scan")
    (folder / "closed").mkdir()
    scandir = os.scandir

    def refuse(path: str) -> object:  # the tests may run as root, who may read all
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UnreadableScanError, match=r"found 'closed' closed \(Permission denied\)"):
        read(folder)

"""Bytes lost or flipped on the way: one line of error, or a scan, never a crash."""

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageFile
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from groundglass.errors import GroundglassError, UnreadableScanError
from groundglass.read import damage, read
from groundglass.scan import CTScan, CTSlices
from tests.read.broken_others import gray_slice, picture
from tests.read.broken_volumes import itk, nifti
from tests.read.tiny_chest import datasets, enhanced, save, tiny_chest


def one_slice(folder: Path) -> Path:
    return next(save(datasets()[5:6], folder).iterdir())


def compressed(syntax):
    def build(folder: Path) -> Path:
        part = datasets()[5]
        part.compress(syntax)
        return next(save([part], folder).iterdir())

    return build


def multi_frame(folder: Path) -> Path:
    return next(save([enhanced(tiny_chest().voxels)], folder).iterdir())


SOUND = {
    "dicom": (one_slice, 1600),
    "enhanced": (multi_frame, 6000),
    "jpeg 2000": (compressed(JPEG2000Lossless), 3000),
    "jpeg-ls": (compressed(JPEGLSLossless), 3000),
    "rle": (compressed(RLELossless), 3000),
    "nifti": (nifti(), 352),
    "nifti.gz": (nifti(name="scan.nii.gz"), 2000),
    "metaimage": (itk("scan.mha"), 420),
    "nrrd": (itk("scan.nrrd"), 450),
    "png": (picture(gray_slice()), 300),
    "jpeg": (picture(gray_slice(), "slice.jpg"), 700),
    "tiff": (picture(gray_slice(), "slice.tif"), 400),
}
"""Builder of a sound file, and how many of its first bytes are its header."""


def reads_or_refuses(content: bytes, folder: Path) -> None:
    path = folder / "damaged"
    path.write_bytes(content)
    try:
        scan = read(path)
    except GroundglassError as error:
        message = str(error)
        assert message.startswith("found ")
        assert message.isprintable()
    else:
        assert isinstance(scan, CTScan | CTSlices)
        assert len(scan.slices) > 0


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("sound")
    return {
        name: build(folder / str(number)).read_bytes()
        for number, (name, (build, _)) in enumerate(SOUND.items())
    }


@pytest.mark.parametrize("kind", SOUND)
@given(data=st.data())
def test_flipped_bytes_in_a_header_never_crash(kind, sound, data) -> None:
    content = bytearray(sound[kind])
    places = st.integers(0, min(SOUND[kind][1], len(content)) - 1)
    for place in data.draw(st.lists(places, min_size=1, max_size=4)):
        content[place] ^= data.draw(st.sampled_from([1, 2, 16, 128, 255]))
    with TemporaryDirectory() as folder:
        reads_or_refuses(bytes(content), Path(folder))


@pytest.mark.parametrize("kind", SOUND)
@given(share=st.floats(0, 0.98))
def test_a_file_cut_anywhere_is_refused(kind, sound, share) -> None:
    content = sound[kind]
    with TemporaryDirectory() as folder:
        path = Path(folder, "cut")
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(UnreadableScanError, match=r"^found "):
            read(path)


def test_a_cut_picture_is_refused_whatever_another_library_told_pillow(tmp_path, monkeypatch):
    """WeasyPrint has Pillow fill up what a cut file lacks, for the whole process."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    whole, cut = tmp_path / "whole.png", tmp_path / "cut.png"
    cv2.imwrite(str(whole), gray_slice())
    content = whole.read_bytes()
    cut.write_bytes(content[: len(content) * 3 // 4])
    with pytest.raises(UnreadableScanError, match="damaged"):
        read(cut)
    assert ImageFile.LOAD_TRUNCATED_IMAGES
    assert isinstance(read(whole), CTSlices)


def test_the_reason_of_a_library_is_short_and_names_no_folder(tmp_path) -> None:
    path = tmp_path / "scan.nii"

    def decode() -> None:
        warnings.warn("not shown", UserWarning, stacklevel=1)
        raise ValueError(f"cannot\nread {path} - did you know that " + "x" * 500)

    with (
        pytest.raises(UnreadableScanError) as caught,
        damage.damage_explained(path, "a scan"),
    ):
        decode()
    assert str(caught.value) == (
        "found 'scan.nii' damaged (cannot read scan.nii), expected a scan; "
        "copy or export the file again"
    )


def test_a_user_who_stops_the_program_is_no_damage(tmp_path) -> None:
    with pytest.raises(KeyboardInterrupt), damage.damage_explained(tmp_path, "a scan"):
        raise KeyboardInterrupt


def test_a_file_too_large_for_the_memory_says_so(tmp_path) -> None:
    with (
        pytest.raises(UnreadableScanError, match="too large for the memory"),
        damage.damage_explained(tmp_path, "a scan"),
    ):
        raise MemoryError

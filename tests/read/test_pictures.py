"""Pictures: gray values as they are, in the order people number files."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from groundglass.errors import UnreadableScanError
from groundglass.read import read
from groundglass.scan import CTSlices
from tests.read.broken_others import gray_slice, photograph
from tests.read.tiny_chest import dicom_folder

GRAY = gray_slice()


def note_names(slices: CTSlices) -> list[str]:
    return [note.name for note in slices.source.notes]


def save(path, pixels, **options) -> None:
    Image.fromarray(pixels).save(path, **options)


def test_a_folder_is_read_in_the_order_of_its_numbers(tmp_path) -> None:
    for number in (10, 9, 1, 2, 11):
        save(tmp_path / f"Slice {number}.png", np.roll(GRAY, number, axis=1))
    (tmp_path / "index.csv").write_text("not a picture")
    slices = read(tmp_path)
    assert isinstance(slices, CTSlices)
    assert slices.names == ("Slice 1", "Slice 2", "Slice 9", "Slice 10", "Slice 11")
    for name, pixels in zip(slices.names, slices.slices, strict=True):
        np.testing.assert_array_equal(pixels, np.roll(GRAY, int(name.split()[1]), axis=1))
    assert slices.source.description == {"pictures": "5", "size": "128 x 160 px"}
    assert slices.source.notes == ()
    assert slices.source.stored is None


def test_pictures_may_differ_in_size(tmp_path) -> None:
    save(tmp_path / "a.png", GRAY)
    save(tmp_path / "b.png", GRAY[:100, :90])
    slices = read(tmp_path)
    assert [pixels.shape for pixels in slices.slices] == [(128, 160), (100, 90)]
    assert slices.source.description["size"] == "100 x 90 to 128 x 160 px"


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P"])
def test_gray_in_any_disguise_keeps_its_values(mode, tmp_path) -> None:
    Image.fromarray(GRAY).convert(mode).save(tmp_path / "a.png")
    slices = read(tmp_path / "a.png")
    np.testing.assert_array_equal(slices.slices[0], GRAY)
    assert slices.names == ("a",)
    assert slices.source.notes == ()


def test_a_color_jpeg_of_a_gray_slice_is_gray(tmp_path) -> None:
    Image.fromarray(GRAY).convert("RGB").save(tmp_path / "a.jpg", quality=95)
    slices = read(tmp_path / "a.jpg")
    assert np.abs(slices.slices[0].astype(int) - GRAY).mean() < 3
    assert slices.source.notes == ()


def test_a_colored_arrow_is_noted(tmp_path) -> None:
    marked = np.stack([GRAY] * 3, axis=-1)
    marked[10:20, 10:30] = (255, 0, 0)
    save(tmp_path / "a.png", marked)
    slices = read(tmp_path)
    assert note_names(slices) == ["colored-marks"]
    assert (slices.slices[0][10:20, 10:30] == 76).all()
    np.testing.assert_array_equal(slices.slices[0][30:], GRAY[30:])


def test_one_photograph_among_slices_is_named(tmp_path) -> None:
    save(tmp_path / "a.png", GRAY)
    save(tmp_path / "holiday.png", photograph())
    with pytest.raises(UnreadableScanError, match="first 'holiday'"):
        read(tmp_path)


def test_transparent_pixels_lie_on_black(tmp_path) -> None:
    layers = np.dstack([GRAY, GRAY, GRAY, np.full_like(GRAY, 255)])
    layers[:8, :, 3] = 0
    save(tmp_path / "a.png", layers)
    slices = read(tmp_path)
    assert note_names(slices) == ["alpha"]
    assert (slices.slices[0][:8] == 0).all()
    np.testing.assert_array_equal(slices.slices[0][8:], GRAY[8:])


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_share_one_range(suffix, tmp_path) -> None:
    deep = GRAY.astype(np.uint16) * 16
    save(tmp_path / f"a.{suffix}", deep)
    save(tmp_path / f"b.{suffix}", deep // 2)
    slices = read(tmp_path)
    assert note_names(slices) == ["sixteen-bit"]
    low, high = int((deep // 2).min()), int(deep.max())
    for pixels, stored in zip(slices.slices, (deep, deep // 2), strict=True):
        expected = (stored.astype(float) - low) * 255 / (high - low)
        np.testing.assert_allclose(pixels, expected, atol=0.51)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_tiff_whose_white_is_zero_is_no_negative(bits, tmp_path) -> None:
    gray = GRAY if bits == 8 else GRAY.astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "a.tif", np.invert(gray), photometric="miniswhite")
    tifffile.imwrite(tmp_path / "b.tif", gray, photometric="minisblack")
    inverted, plain = read(tmp_path).slices
    np.testing.assert_array_equal(inverted, plain)


def test_the_pages_of_a_tiff_are_slices(tmp_path) -> None:
    pages = [Image.fromarray(np.roll(GRAY, shift, axis=0)) for shift in (0, 5, 9)]
    pages[0].save(tmp_path / "stack.tiff", save_all=True, append_images=pages[1:])
    slices = read(tmp_path / "stack.tiff")
    assert slices.names == ("stack_001", "stack_002", "stack_003")
    np.testing.assert_array_equal(slices.slices[2], np.roll(GRAY, 9, axis=0))


def test_a_picture_beside_a_dicom_series_is_left_out_with_a_note(tmp_path) -> None:
    dicom_folder(tmp_path)
    save(tmp_path / "preview.png", GRAY)
    scan = read(tmp_path)
    assert scan.source.notes[0].message == ("Read the dicom files and left out 1 other scan file.")

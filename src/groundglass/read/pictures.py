"""Pictures of axial CT slices: PNG, JPEG and TIFF, one or a folder of them."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from groundglass.errors import UnreadableScanError
from groundglass.read.chest_picture import check_slices
from groundglass.read.damage import cut_files_refused, damage_explained
from groundglass.read.request import Request
from groundglass.read.wording import counted, times
from groundglass.scan import CTSlices, Source

SMALLEST_SIDE_PX, LARGEST_SIDE_PX = 64, 8192
FEWEST_GRAYS = 9
"""A picture with fewer different values is a mask, not a slice."""

GRAY_TOLERANCE = 12
"""Difference between color channels that JPEG leaves in a gray picture."""

LARGEST_COLORED_SHARE = 0.05
"""Share of colored pixels up to which they are marks on a gray slice."""

_DIGITS = "0123456789"
_EXIF_ORIENTATION = 0x0112
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0
_EXPECTED = "a PNG, JPEG or TIFF picture"


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One decoded picture.

    Attributes:
        name: Its file's name without suffix, with the page for files of several.
        pixels: Gray values, shape (row, column), uint8 or 16-bit.
        colored: Share of pixels that were colored, 0 to 1.
        transparent: Whether it had transparent pixels.
    """

    name: str
    pixels: NDArray[np.generic]
    colored: float
    transparent: bool


def read_pictures(paths: Sequence[Path], request: Request) -> CTSlices:
    """Pictures of axial slices, sorted as people sort numbered files.

    Args:
        paths: Picture files.
        request: What was asked for.

    Raises:
        UnreadableScanError: If a picture is damaged, no gray slice, or shares its name.
    """
    pictures = decode_pictures(paths)
    _refuse_shared_names(pictures)
    report_color(pictures, request)
    slices = eight_bits(pictures, request)
    check_slices([picture.name for picture in pictures], slices, request.oddities)
    source = Source(
        name=request.name,
        format="pictures",
        description={"pictures": str(len(pictures)), "size": _sizes(slices)},
        notes=request.oddities.notes,
    )
    return CTSlices(tuple(picture.name for picture in pictures), slices, source)


def decode_pictures(paths: Sequence[Path]) -> list[Picture]:
    """Every picture of the files, pages of TIFF files one by one, in natural order."""
    return [picture for path in natural_order(paths) for picture in _pictures_in(path)]


def natural_order(paths: Sequence[Path]) -> list[Path]:
    """Paths with numbers in their names in the order of the numbers: 2 before 10."""

    def key(path: Path) -> list[tuple[int, int, str]]:
        parts = [part for part in re.split(r"([0-9]+)", path.name.lower()) if part]
        return [(0, int(part), "") if part[0] in _DIGITS else (1, 0, part) for part in parts]

    return sorted(paths, key=lambda path: (key(path), str(path)))


def _pictures_in(path: Path) -> list[Picture]:
    with damage_explained(path, _EXPECTED), cut_files_refused(), Image.open(path) as image:
        _check_header(image, path)
        count = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
        pages = ImageSequence.Iterator(image) if count > 1 else [image]
        pictures = []
        for number, page in enumerate(pages):
            _check_header(page, path)
            page.load()
            name = path.stem if count == 1 else f"{path.stem}_{number + 1:03d}"
            pictures.append(_picture(page, name))
    for picture in pictures:
        _refuse_no_slice(picture)
    return pictures


def _check_header(image: Any, path: Path) -> None:
    width, height = image.size
    if min(width, height) < SMALLEST_SIDE_PX or max(width, height) > LARGEST_SIDE_PX:
        raise UnreadableScanError(
            f"found '{path.name}' with {height} x {width} pixels, expected {SMALLEST_SIDE_PX} to "
            f"{LARGEST_SIDE_PX} on each side; give the slice in its full size"
        )
    if image.getexif().get(_EXIF_ORIENTATION, 1) not in (0, 1):
        raise UnreadableScanError(
            f"found '{path.name}' marked as turned (EXIF orientation), expected it upright as it "
            "is stored; save it again upright, so that left and right are certain"
        )


def _picture(image: Any, name: str) -> Picture:
    mode = image.mode
    if mode in ("L", "I;16", "I;16L", "I;16B", "I;16N", "I", "F"):
        pixels = np.asarray(image)
        pixels = pixels.astype(pixels.dtype.newbyteorder("="))
        tags = getattr(image, "tag_v2", {})
        if mode.startswith("I;16") and tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
            pixels = np.invert(pixels)  # Pillow turns such pictures of 8 bits alone
        return Picture(name, pixels, 0.0, False)
    if mode == "1":
        return Picture(name, np.asarray(image.convert("L")), 0.0, False)
    if mode not in ("P", "PA", "LA", "RGB", "RGBA", "CMYK", "YCbCr", "RGBX", "La", "RGBa"):
        raise UnreadableScanError(
            f"found picture '{name}' of pixel type {mode}, expected 8-bit or 16-bit gray; "
            "save it as gray PNG"
        )
    colors = np.asarray(image.convert("RGBA")).astype(np.int16)
    alpha = colors[..., 3:]
    on_black = (colors[..., :3] * (alpha / 255.0)).round().astype(np.int16)
    spread = on_black.max(axis=-1) - on_black.min(axis=-1)
    gray = on_black @ np.array([299, 587, 114]) / 1000.0
    # A gray pixel keeps its very value.
    gray = np.where(spread == 0, on_black[..., 0], np.rint(gray)).astype(np.uint8)
    colored = float(np.mean(spread > GRAY_TOLERANCE))
    return Picture(name, gray, colored, bool((alpha < 255).any()))


def _refuse_no_slice(picture: Picture) -> None:
    pixels = picture.pixels
    if pixels.dtype.kind == "f":
        raise UnreadableScanError(
            f"found picture '{picture.name}' with decimal values, expected 8-bit or 16-bit gray; "
            "give the scan as DICOM, NIfTI, MetaImage or NRRD"
        )
    values = np.unique(pixels)
    if values.size < FEWEST_GRAYS:
        raise UnreadableScanError(
            f"found picture '{picture.name}' with {counted(values.size, 'different gray value')}, "
            "expected a CT slice; it looks blank or like a mask, take it out of the folder"
        )
    if int(values[0]) < 0:
        raise UnreadableScanError(
            f"found picture '{picture.name}' with values down to {int(values[0])}, expected gray "
            "from 0; if these are Hounsfield units, give DICOM, NIfTI, MetaImage or NRRD"
        )


def _refuse_shared_names(pictures: Sequence[Picture]) -> None:
    counts = Counter(picture.name for picture in pictures)
    shared = [name for name, count in counts.items() if count > 1]
    if shared:
        raise UnreadableScanError(
            f"found {counts[shared[0]]} pictures called '{shared[0]}', expected different names "
            "without their suffixes; rename them"
        )


def report_color(pictures: Sequence[Picture], request: Request) -> None:
    """Note transparent pixels and colored marks; colored pictures are refused or tolerated."""
    if any(picture.transparent for picture in pictures):
        request.oddities.note("alpha", "Found transparent pixels; they were laid on black.")
    plain = [p for p in pictures if p.colored > LARGEST_COLORED_SHARE]
    if plain:
        request.oddities.tolerate(
            "color",
            found=f"{counted(len(plain), 'colored picture')}, first '{plain[0].name}' with "
            f"{plain[0].colored:.0%} colored pixels",
            expected="gray CT slices",
            advice="give the slices without overlay",
            done="they were turned to gray by their luminance",
        )
    marked = sum(0 < p.colored <= LARGEST_COLORED_SHARE for p in pictures)
    if marked:
        request.oddities.note(
            "colored-marks",
            f"Found colored marks on {marked} of {len(pictures)} pictures; they were turned "
            "to gray.",
        )


def eight_bits(pictures: Sequence[Picture], request: Request) -> tuple[NDArray[np.uint8], ...]:
    """Gray values 0 to 255; deeper pictures share one range, so that they stay comparable."""
    deep = [p.pixels for p in pictures if p.pixels.dtype.itemsize > 1]
    if deep:
        low, high = min(int(p.min()) for p in deep), max(int(p.max()) for p in deep)
        request.oddities.note(
            "sixteen-bit",
            f"Found {counted(len(deep), 'picture')} of more than 8 bits; their range, {low} to "
            f"{high}, was scaled to 0 to 255.",
        )
    slices = []
    for picture in pictures:
        pixels = picture.pixels
        if pixels.dtype.itemsize > 1:
            pixels = np.rint((pixels.astype(np.float64) - low) * (255.0 / (high - low)))
        slices.append(np.ascontiguousarray(pixels, dtype=np.uint8))
    return tuple(slices)


def _sizes(slices: Sequence[NDArray[np.uint8]]) -> str:
    shapes = sorted({(pixels.shape[0], pixels.shape[1]) for pixels in slices})
    first, last = (times(shape) for shape in (shapes[0], shapes[-1]))
    return f"{first} px" if len(shapes) == 1 else f"{first} to {last} px"

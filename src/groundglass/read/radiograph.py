"""Chest radiographs: DX and CR images in DICOM, and pictures."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
from numpy.typing import NDArray

from groundglass.errors import UnreadableScanError
from groundglass.read.chest_picture import ChestPicture, tell_picture
from groundglass.read.content import description_of, kind_of
from groundglass.read.damage import damage_explained
from groundglass.read.dicom_files import Header, read_header
from groundglass.read.oddities import Oddities
from groundglass.read.pictures import decode_pictures, eight_bits, report_color
from groundglass.read.request import Request, given_name
from groundglass.read.wording import counted, plain
from groundglass.scan import Radiograph, Source

RADIOGRAPH_MODALITIES = ("CR", "DX", "RG")
"""DICOM modalities that are read as radiographs."""

_FACTS = {
    "modality": "Modality",
    "manufacturer": "Manufacturer",
    "model": "ManufacturerModelName",
    "view": "ViewPosition",
}
_FRONTAL_VIEWS = ("", "AP", "PA")
_EXPECTED = "a radiograph in DICOM"


def read_radiograph(path: Path, *, tolerate: Collection[str] = ()) -> Radiograph:
    """The chest radiograph that a file holds.

    The gray values of a DICOM image are those that a screen would show: its rescale, window or
    lookup table and photometric interpretation are applied.

    Args:
        path: DX or CR image in DICOM, or a PNG, JPEG or TIFF picture.
        tolerate: Names in ``groundglass.read.TOLERABLE``; ``ct-slice`` reads a picture that looks
            like a CT slice, ``derived`` an image of raw detector values or another view.

    Raises:
        UnreadableScanError: If it is no frontal radiograph, or cannot be read faithfully.
        UnknownNameError: If a name to tolerate does not exist.
    """
    oddities = Oddities(tolerate)
    path = Path(path)
    if path.is_dir():
        raise UnreadableScanError(
            f"found the folder '{path.name}', expected one radiograph; give its file, or analyze "
            "a CT with weights that learned from CT"
        )
    if not path.is_file():
        raise UnreadableScanError(
            f"found no file at '{path}', expected a radiograph in DICOM or as a picture; "
            "check the path"
        )
    request = Request(given_name(path), None, oddities, single_file=True)
    kind = kind_of(path)
    if kind == "dicom":
        return _read_dicom(path, request)
    if kind == "pictures":
        return _read_picture(path, request)
    raise UnreadableScanError(
        f"found '{path.name}', {kind or description_of(path)}, expected a radiograph: DX or CR in "
        "DICOM, PNG, JPEG or TIFF; give the radiograph itself"
    )


def is_radiograph(path: Path) -> bool:
    """Whether a file seems to hold a radiograph: by its header, or by the looks of a picture."""
    if not path.is_file():
        return False
    kind = kind_of(path)
    if kind == "dicom":
        return read_header(path).text("Modality") in RADIOGRAPH_MODALITIES
    if kind != "pictures":
        return False
    quiet = Request(path.name, None, Oddities(("color",)), single_file=True)
    pictures = eight_bits(decode_pictures([path]), quiet)
    return len(pictures) == 1 and tell_picture(pictures[0]) is ChestPicture.RADIOGRAPH


def _read_picture(path: Path, request: Request) -> Radiograph:
    pictures = decode_pictures([path])
    if len(pictures) != 1:
        raise UnreadableScanError(
            f"found {counted(len(pictures), 'page')} in '{path.name}', expected one radiograph; "
            "save each as a picture of its own"
        )
    report_color(pictures, request)
    pixels = eight_bits(pictures, request)[0]
    kind = tell_picture(pixels)
    if kind in (ChestPicture.LUNG_WINDOW, ChestPicture.SOFT_TISSUE_WINDOW):
        request.oddities.tolerate(
            "ct-slice",
            found=f"'{path.name}', which looks like {kind.value}",
            expected="a chest radiograph",
            advice="analyze it as CT",
            done="it was read as a radiograph",
        )
    elif kind is ChestPicture.NEITHER:
        request.oddities.note("not-a-chest", f"Found a picture that looks like {kind.value}.")
    return _radiograph(pixels, "pictures", {}, request)


def _read_dicom(path: Path, request: Request) -> Radiograph:
    header = read_header(path)
    modality = plain(header.text("Modality"))
    if modality not in RADIOGRAPH_MODALITIES:
        raise UnreadableScanError(
            f"found '{path.name}' of modality {modality or 'unknown'}, expected a radiograph "
            f"({', '.join(RADIOGRAPH_MODALITIES)}); analyze CT with groundglass analyze"
        )
    if header.frames > 1:
        raise UnreadableScanError(
            f"found '{path.name}' with {header.frames} frames, expected one radiograph; "
            "give a single image"
        )
    _check_view(header, request.oddities)
    with damage_explained(path, _EXPECTED):
        shown = _shown(pydicom.dcmread(path, force=True), request.oddities)
    facts = {title: plain(header.text(keyword)) for title, keyword in _FACTS.items()}
    return _radiograph(shown, "dicom", {k: v for k, v in facts.items() if v}, request)


def _check_view(header: Header, oddities: Oddities) -> None:
    view = header.text("ViewPosition").upper()
    if view not in _FRONTAL_VIEWS:
        oddities.tolerate(
            "derived",
            found=f"a radiograph of view {plain(view)}",
            expected="a frontal one (PA or AP)",
            advice="give the frontal view",
            done="it was read as if it were frontal",
        )
    if header.text("PresentationIntentType").upper() == "FOR PROCESSING":
        oddities.tolerate(
            "derived",
            found="raw detector values (FOR PROCESSING)",
            expected="a radiograph made to be looked at",
            advice="give the image FOR PRESENTATION",
            done="they were read as they are",
        )


def _shown(dataset: Any, oddities: Oddities) -> NDArray[np.uint8]:
    """Gray values 0 to 255 as a screen shows them, air dark."""
    image = hd.Image.from_dataset(dataset, copy=False)
    windowed = bool(dataset.get("VOILUTSequence") or dataset.get("WindowCenter") is not None)
    gray = image.get_frame(
        1,
        dtype=np.float32,
        apply_voi_transform=windowed,
        voi_output_range=(0.0, 255.0),
        apply_presentation_lut=windowed,
    )
    if not windowed:
        low, high = float(gray.min()), float(gray.max())
        if high <= low:
            raise UnreadableScanError(
                "found a radiograph of one gray value, expected a chest; export the image again"
            )
        oddities.note("no-window", "Found no window in the header; the full range was shown.")
        gray = (gray - low) * (255.0 / (high - low))
        if str(dataset.PhotometricInterpretation) == "MONOCHROME1":
            gray = 255.0 - gray
    return np.ascontiguousarray(np.clip(np.rint(gray), 0, 255), dtype=np.uint8)


def _radiograph(
    pixels: NDArray[np.uint8], form: str, facts: dict[str, str], request: Request
) -> Radiograph:
    rows, columns = pixels.shape
    source = Source(
        name=request.name,
        format=form,
        description={**facts, "size": f"{rows} x {columns} px"},
        notes=request.oddities.notes,
    )
    return Radiograph(pixels, source)

"""Chest radiographs: DX and CR images in DICOM, and pictures."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
from numpy.typing import NDArray

from groundglass.errors import UnreadableScanError
from groundglass.read.chest_picture import ChestPicture, tell_picture
from groundglass.read.content import description_of, kind_of
from groundglass.read.damage import damage_explained
from groundglass.read.dicom_files import Header, read_header
from groundglass.read.dicom_pixels import decoded
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
_CHEST_WORDS = ("CHEST", "THORAX", "TORAX", "LUNG")
_EXPECTED = "a radiograph in DICOM"


def read_radiograph(path: Path, *, tolerate: Collection[str] = ()) -> Radiograph:
    """The chest radiograph that a file holds.

    The gray values of a DICOM image are those that a screen would show: its rescale, window or
    lookup table and photometric interpretation are applied, padding is black, and it is turned so
    that the patient's right is at the left and the head above.

    Args:
        path: DX or CR image in DICOM, or a PNG, JPEG or TIFF picture.
        tolerate: Names in ``groundglass.read.TOLERABLE``; ``ct-slice`` reads a picture that looks
            like a CT slice, ``derived`` an image of raw detector values or another view,
            ``body-part`` one that says it is of another part of the body.

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
    _check_body_part(header, request.oddities)
    interpretation = header.text("PhotometricInterpretation")
    if interpretation not in ("MONOCHROME1", "MONOCHROME2", ""):
        raise UnreadableScanError(
            f"found '{path.name}' in color ({plain(interpretation)}), expected a radiograph in "
            "gray; give the image as it came from the detector"
        )
    with damage_explained(path, _EXPECTED):
        dataset = decoded(path)
        _prepare_tables(dataset)
        shown = _shown(dataset, request.oddities)
    shown = _upright(shown, header, request.oddities)
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


def _check_body_part(header: Header, oddities: Oddities) -> None:
    part = header.text("BodyPartExamined").upper()
    if part and not any(word in part for word in _CHEST_WORDS):
        oddities.tolerate(
            "body-part",
            found=f"a radiograph of body part {plain(part)}",
            expected="one of the chest",
            advice="give a chest radiograph",
            done="it was read as if it were of the chest",
        )


def _upright(pixels: NDArray[np.uint8], header: Header, oddities: Oddities) -> NDArray[np.uint8]:
    """The picture with rows to the patient's left and columns to the feet, as its header tells."""
    stated = [part.strip().upper() for part in header.text("PatientOrientation").split("\\")]
    along_row, along_column = (part[:1] for part in (*stated, "", "")[:2])
    if not along_row and not along_column:
        return pixels
    if {along_row, along_column} not in ({"L", "F"}, {"R", "F"}, {"L", "H"}, {"R", "H"}):
        oddities.tolerate(
            "derived",
            found=f"a radiograph whose rows run to {plain(stated[0]) or 'nowhere'} and columns to "
            f"{plain(along_column) or 'nowhere'}",
            expected="a frontal one, rows to L or R and columns to F or H",
            advice="give the frontal view",
            done="it was read as it stands",
        )
        return pixels
    if along_row == "L" and along_column == "F":
        return pixels
    turned = pixels.T if along_row in "FH" else pixels
    if "R" in (along_row, along_column):
        turned = turned[:, ::-1]
    if "H" in (along_row, along_column):
        turned = turned[::-1]
    oddities.note(
        "turned",
        f"Found rows that run to {along_row} and columns to {along_column}; the picture was turned "
        "so that they run to the patient's left and to the feet.",
    )
    return np.ascontiguousarray(turned)


def _shown(dataset: Any, oddities: Oddities) -> NDArray[np.uint8]:
    """Gray values 0 to 255 as a screen shows them, air dark and padding black.

    Values are inverted where the photometric interpretation or the presentation LUT says so; they
    mean the same, and an export that corrects one alone is common.
    """
    image = hd.Image.from_dataset(dataset, copy=False)
    windowed = _has_window(dataset, oddities)
    gray = image.get_frame(
        1,
        dtype=np.float32,
        apply_voi_transform=windowed,
        voi_output_range=(0.0, 255.0),
        apply_presentation_lut=False,
    )
    padding = _padding(dataset, image.get_stored_frame(1))
    if not windowed:
        gray = _full_range(gray, padding)
    interpretation = str(dataset.PhotometricInterpretation)
    lut = str(dataset.get("PresentationLUTShape") or "")
    inverse = interpretation == "MONOCHROME1" or lut == "INVERSE"
    if inverse and lut and (interpretation == "MONOCHROME1") != (lut == "INVERSE"):
        oddities.note(
            "gray-scale",
            f"Found {plain(interpretation)} with presentation LUT {plain(lut)}, which contradict "
            "each other; the values were inverted.",
        )
    gray = np.where(padding, 0.0, 255.0 - gray if inverse else gray)
    return np.ascontiguousarray(np.clip(np.rint(gray), 0, 255), dtype=np.uint8)


def _prepare_tables(dataset: Any) -> None:
    """Bring lookup tables to 16 bits an entry, as few programs know others, and drop an empty list.

    Radiographs have tables of 8 or 10 to 16 bits (DICOM PS3.3 C.8.11.3.1.5), highdicom takes 8
    and 16.
    """
    if "VOILUTSequence" in dataset and not dataset.VOILUTSequence:
        del dataset.VOILUTSequence
    for item in dataset.get("VOILUTSequence", ()):
        count, first, bits = item.LUTDescriptor
        if bits not in range(10, 16):
            continue
        data = item.LUTData
        entries = np.frombuffer(data, "<u2") if isinstance(data, bytes) else np.asarray(data)
        wide = np.rint(entries * (65535.0 / (2**bits - 1)))
        item.LUTDescriptor = [count, first, 16]
        item.add_new("LUTData", "OW", np.minimum(wide, 65535).astype("<u2").tobytes())


def _has_window(dataset: Any, oddities: Oddities) -> bool:
    """Whether the header has a lookup table, or a window with center and width."""
    if dataset.get("VOILUTSequence"):
        return True
    center, width = (_first(dataset.get(name)) for name in ("WindowCenter", "WindowWidth"))
    if center is not None and width is not None and width >= 1:
        return True
    found = "no window in the header"
    if center is not None or width is not None:
        found = f"a window of center {_word(center)} and width {_word(width)} in the header"
    oddities.note("no-window", f"Found {found}; the full range was shown.")
    return False


def _first(value: Any) -> float | None:
    """The first of one or several numbers; ``None`` where there is none."""
    values = [value] if value is None or isinstance(value, int | float | str) else list(value)
    return None if not values or values[0] in (None, "") else float(values[0])


def _word(number: float | None) -> str:
    return "unknown" if number is None else f"{number:g}"


def _padding(dataset: Any, stored: NDArray[Any]) -> NDArray[np.bool_]:
    """Where stored values say that nothing was measured, (row, column)."""
    first = dataset.get("PixelPaddingValue")
    if first is None:
        return np.zeros(stored.shape, bool)
    last = dataset.get("PixelPaddingRangeLimit", first)
    low, high = sorted((int(first), int(last)))
    return np.asarray((stored >= low) & (stored <= high))


def _full_range(gray: NDArray[Any], padding: NDArray[np.bool_]) -> NDArray[Any]:
    """Gray from 0 at the lowest to 255 at the highest value that is no padding."""
    measured = gray[~padding]
    low, high = (float(measured.min()), float(measured.max())) if measured.size else (0.0, 0.0)
    if high <= low:
        raise UnreadableScanError(
            "found a radiograph of one gray value, expected a chest; export the image again"
        )
    return np.asarray((gray - low) * (255.0 / (high - low)))


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

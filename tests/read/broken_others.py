"""Pictures, archives and things that are no scan: what must be refused, and in which words."""

import stat
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from tests.read.tiny_chest import tiny_chest


def gray_slice(number: int = 5) -> np.ndarray:
    """A slice of the tiny chest as a picture of 128 x 160 pixels."""
    window = np.clip((tiny_chest().slices[number] + 1250) / 6.0, 0, 255).astype(np.uint8)
    return np.kron(window, np.ones((2, 2), np.uint8))


def radiograph() -> np.ndarray:
    """Two dark lungs in a bright chest, every gray running into the next."""
    rows, columns = np.mgrid[:128, :128]
    depth = sum(
        np.exp(-(((rows - 64) / 40) ** 2) - ((columns - column) / 20) ** 2) for column in (38, 90)
    )
    return (190 - 120 * depth - 0.3 * rows).astype(np.uint8)


def soft_tissue_slice() -> np.ndarray:
    """A slice of the tiny chest in a window from -160 to 240 HU."""
    window = np.clip((tiny_chest().slices[5] + 160.0) / 400 * 255, 0, 255).astype(np.uint8)
    return np.kron(window, np.ones((2, 2), np.uint8))


def picture(pixels: np.ndarray, name: str = "slice.png", **options: object):
    """Builder of one picture."""

    def build(folder: Path) -> Path:
        folder.mkdir()
        Image.fromarray(pixels).save(folder / name, **options)
        return folder / name

    return build


def files(**contents: bytes):
    """Builder of a folder of files, ``name__suffix`` for ``name.suffix``."""

    def build(folder: Path) -> Path:
        folder.mkdir()
        for name, content in contents.items():
            (folder / name.replace("__", ".")).write_bytes(content)
        return folder

    return build


def one(name: str, content: bytes):
    """Builder of one file."""

    def build(folder: Path) -> Path:
        folder.mkdir()
        (folder / name).write_bytes(content)
        return folder / name

    return build


def cut_picture(suffix: str):
    def build(folder: Path) -> Path:
        path = picture(gray_slice(), f"slice.{suffix}")(folder)
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        return path

    return build


def photograph() -> np.ndarray:
    gray = gray_slice().astype(float)
    return np.stack([gray, gray * 0.6, 255 - gray], axis=-1).astype(np.uint8)


def lab_colors(folder: Path) -> Path:
    folder.mkdir()
    image = Image.frombytes("LAB", (160, 128), bytes(160 * 128 * 3))
    image.save(folder / "slice.tif")
    return folder / "slice.tif"


def turned_picture(folder: Path) -> Path:
    exif = Image.Exif()
    exif[0x0112] = 6
    return picture(gray_slice(), "slice.jpg", exif=exif)(folder)


def same_names(folder: Path) -> Path:
    picture(gray_slice(), "a.png")(folder)
    Image.fromarray(gray_slice()).save(folder / "a.jpg")
    return folder


def two_folders(folder: Path) -> Path:
    folder.mkdir()
    picture(gray_slice(), "a.png")(folder / "images")
    picture(gray_slice(), "b.png")(folder / "masks")
    return folder


def empty_picture(folder: Path) -> Path:
    picture(gray_slice(), "a.png")(folder)
    (folder / "b.png").write_bytes(b"")
    return folder


def archive(*members: tuple[str, bytes], link: bool = False, locked: bool = False):
    """Builder of a zip archive."""

    def build(folder: Path) -> Path:
        folder.mkdir()
        path = folder / "scan.zip"
        with zipfile.ZipFile(path, "w") as opened:
            for name, content in members:
                info = zipfile.ZipInfo(name)
                info.external_attr = ((stat.S_IFLNK if link else stat.S_IFREG) | 0o644) << 16
                opened.writestr(info, content)
        if locked:  # the flag in the central directory, two bytes before its method
            whole = bytearray(path.read_bytes())
            whole[whole.index(b"PK\x01\x02") + 8] |= 1
            path.write_bytes(whole)
        return path

    return build


def cut_archive(folder: Path) -> Path:
    path = archive(("a.dcm", bytes(5000)))(folder)
    path.write_bytes(path.read_bytes()[:3000])
    return path


def two_archives(folder: Path) -> Path:
    path = archive(("a", b"b"))(folder)
    (folder / "other.zip").write_bytes(path.read_bytes())
    return folder


MASK = np.where(gray_slice() > 128, 2, 0).astype(np.uint8)

BROKEN_OTHERS = {
    "a radiograph among pictures": (
        picture(radiograph()),
        ["looks like a radiograph", "--tolerate radiograph"],
    ),
    "a slice in a soft-tissue window": (
        picture(soft_tissue_slice()),
        ["soft-tissue window", "lung window", "--tolerate soft-tissue-window"],
    ),
    "nothing there": (lambda folder: folder / "scan", ["found nothing at", "check the path"]),
    "empty file": (one("scan.dcm", b""), ["'scan.dcm', an empty file", "give the scan"]),
    "text called .dcm": (one("scan.dcm", b"hello"), ["'scan.dcm', a text file"]),
    "document": (one("scan.dcm", b"%PDF-1.7\n"), ["a PDF document"]),
    "array": (one("scan.npy", b"\x93NUMPY\1\0"), ["a NumPy array without geometry"]),
    "noise": (one("scan.nii", bytes(range(7, 256)) * 20), ["unknown content"]),
    "empty folder": (files(), ["no file and no scan"]),
    "folder of text": (files(a__txt=b"a", b__csv=b"b"), ["2 files and no scan"]),
    "folder of damaged files": (files(a__dcm=b"a", b__dcm=b""), ["'a.dcm' is a text file"]),
    "hidden files": (files(__DS_Store=b"a"), ["no file and no scan"]),
    "picture: cut PNG": (cut_picture("png"), ["'slice.png' damaged"]),
    "picture: cut JPEG": (cut_picture("jpg"), ["'slice.jpg' damaged"]),
    "picture: cut TIFF": (cut_picture("tif"), ["'slice.tif' damaged"]),
    "picture: photograph": (picture(photograph()), ["colored pictures", "--tolerate color"]),
    "picture: mask": (picture(MASK), ["2 different gray values", "mask"]),
    "picture: one bit": (picture(MASK > 0), ["2 different gray values"]),
    "picture: lab colors": (lab_colors, ["pixel type LAB", "gray PNG"]),
    "picture: blank": (picture(MASK * 0), ["1 different gray value", "blank"]),
    "picture: icon": (picture(gray_slice()[:32, :32]), ["32 x 32 pixels", "64 to 8192"]),
    "picture: turned": (turned_picture, ["EXIF orientation", "upright"]),
    "picture: decimals": (
        picture(gray_slice().astype(np.float32), "slice.tif"),
        ["decimal values"],
    ),
    "picture: below zero": (
        picture(gray_slice().astype(np.int32) - 100, "slice.tif"),
        ["values down to -", "Hounsfield units"],
    ),
    "picture: GIF": (picture(gray_slice(), "slice.gif"), ["a GIF picture"]),
    "picture: same names": (same_names, ["2 pictures called 'a'", "rename"]),
    "picture: two folders": (two_folders, ["pictures in 2 folders", "'images', 'masks'"]),
    "picture: empty among others": (empty_picture, ["'b.png' is an empty file"]),
    "archive: cut": (cut_archive, ["'scan.zip' damaged"]),
    "archive: empty": (archive(), ["no file and no scan in 'scan.zip'"]),
    "archive: of text": (archive(("a.txt", b"a")), ["1 file and no scan in 'scan.zip'"]),
    "archive: climbing out": (archive(("../evil.dcm", b"a")), ["a file outside of itself"]),
    "archive: from the root": (archive(("/etc/evil.dcm", b"a")), ["a file outside of itself"]),
    "archive: with a link": (archive(("a.dcm", b"/etc/hosts"), link=True), ["a link"]),
    "archive: locked": (archive(("a.dcm", b"a"), locked=True), ["locked with a password"]),
    "archive: in an archive": (archive(("a.zip", b"PK\x03\x04")), ["1 zip archive "]),
    "archive: two in a folder": (two_archives, ["2 zip archives", "give one of them"]),
}

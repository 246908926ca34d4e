"""What a file is, told by its first bytes and never by its name."""

import gzip
import os
import re
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path

from groundglass.errors import UnreadableScanError

HEAD_BYTES = 4096

_SCAN_SUFFIXES = "dcm dicom ima nii mha mhd nrrd nhdr png jpg jpeg tif tiff"
SCAN_SUFFIXES = frozenset(f".{suffix}" for suffix in _SCAN_SUFFIXES.split())
"""Suffixes that promise a scan: a file of a folder that breaks the promise is damaged."""

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"NRRD000", "nrrd"),
    (b"\x89PNG\r\n\x1a\n", "pictures"),
    (b"\xff\xd8\xff", "pictures"),
    (b"II*\x00", "pictures"),
    (b"MM\x00*", "pictures"),
    (b"II+\x00", "pictures"),
    (b"MM\x00+", "pictures"),
)

_STRANGERS: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "a PDF document"),
    (b"\x1f\x8b", "a gzip archive that is not NIfTI"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"BZh", "a bzip2 archive"),
    (b"GIF8", "a GIF picture"),
    (b"BM", "a BMP picture"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy array without geometry"),
    (b"\xff\x4f\xff\x51", "a bare JPEG 2000 stream"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
)

_VALUE_REPRESENTATIONS = frozenset(b"UI UL CS DA TM LO SH ST OB PN".split())


def kind_of(path: Path) -> str | None:
    """Kind of a file: a name in ``groundglass.read.READERS``, ``zip``, or ``None``.

    Args:
        path: An existing file.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head[128:132] == b"DICM" or _is_bare_dicom(head):
        return "dicom"
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    if _is_nifti(_inflated(head)):
        return "nifti"
    if re.search(rb"^\s*NDims\s*=", head, re.M) and re.search(rb"^\s*DimSize\s*=", head, re.M):
        return "metaimage"
    return None


def description_of(path: Path) -> str:
    """What an unknown file seems to be, in words, such as ``a text file``."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        return "an empty file"
    for signature, words in _STRANGERS:
        if head.startswith(signature):
            return words
    if head[257:262] == b"ustar":
        return "a tar archive"
    if _header_size(head) == 348:
        return "an ANALYZE header, which does not tell left from right"
    try:
        head[:-4].decode("utf-8")  # its end may cut a character in two
    except UnicodeDecodeError:
        return "a file of unknown content"
    return "a file of unknown content" if b"\x00" in head else "a text file"


def files_below(folder: Path) -> Iterator[Path]:
    """All files of a folder and its subfolders, sorted, without hidden ones.

    Links are followed; a folder to which several lead is looked through once.

    Raises:
        UnreadableScanError: If a file or a subfolder may not be read, or a link leads nowhere.
    """
    seen: set[tuple[int, int]] = set()
    for parent, folders, names in os.walk(folder, onerror=_refuse_closed, followlinks=True):
        own = _status(Path(parent))
        if (own.st_dev, own.st_ino) in seen:
            folders.clear()
            continue
        seen.add((own.st_dev, own.st_ino))
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "__MACOSX")
        for name in sorted(names):
            path = Path(parent, name)
            if not name.startswith(".") and stat.S_ISREG(_status(path).st_mode):
                yield path


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as error:
        _refuse_closed(error)
        raise


def _refuse_closed(error: OSError) -> None:
    name = Path(error.filename).name
    raise UnreadableScanError(
        f"found '{name}' closed ({error.strerror}), expected files and subfolders that may all be "
        "read; check the permissions and the links, or take it out of the folder"
    ) from error


def _is_bare_dicom(head: bytes) -> bool:
    """Whether a data set starts at once, without preamble, as old archives write it."""
    if len(head) < 16 or head[:2] not in (b"\x08\x00", b"\x02\x00"):
        return False
    element, length = int.from_bytes(head[2:4], "little"), int.from_bytes(head[4:8], "little")
    explicit = head[4:6] in _VALUE_REPRESENTATIONS
    return element <= 0x60 and (explicit or (length <= 256 and length % 2 == 0))


def _inflated(head: bytes) -> bytes:
    """The first bytes behind gzip, or the bytes themselves."""
    if not head.startswith(b"\x1f\x8b"):
        return head
    try:
        return zlib.decompressobj(wbits=16 + zlib.MAX_WBITS).decompress(head, HEAD_BYTES)
    except (zlib.error, gzip.BadGzipFile):
        return b""


def _header_size(head: bytes) -> int:
    sizes = {int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big")}
    return next(iter(sizes & {348, 540}), 0)


def _is_nifti(head: bytes) -> bool:
    size = _header_size(head)
    if size == 348:
        return head[344:348] in (b"n+1\x00", b"ni1\x00")
    return size == 540 and head[4:8] in (b"n+2\x00", b"ni2\x00")

"""Headers of DICOM files, and the values in them wherever the object keeps them."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from pydicom import Dataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    MediaStorageDirectoryStorage,
)

from groundglass.errors import UnreadableScanError
from groundglass.read.damage import damage_explained
from groundglass.read.oddities import Oddities

CT_CLASSES = frozenset(
    {CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage}
)

EXPECTED = "a CT image in DICOM"


@dataclass(frozen=True, slots=True, eq=False)
class Header:
    """The header of one DICOM file, without its pixels.

    Attributes:
        path: The file.
        dataset: Its attributes.
        object_class: SOP Class UID; the file's own word for it where the data set has none.
    """

    path: Path
    dataset: Dataset
    object_class: UID

    @property
    def frames(self) -> int:
        """Number of pictures in the file."""
        with suppress(ValueError):
            return max(1, int(self.text("NumberOfFrames") or 1))
        return 1

    @property
    def is_multi_frame(self) -> bool:
        """Whether the geometry stands in functional groups, one per frame."""
        return self.object_class in CT_CLASSES and self.object_class != CTImageStorage

    @property
    def image_type(self) -> tuple[str, ...]:
        """Image Type, such as ``("ORIGINAL", "PRIMARY", "AXIAL")``; empty where there is none."""
        return tuple(part.strip().upper() for part in self.text("ImageType").split("\\"))

    def text(self, keyword: str, frame: int = 0) -> str:
        """A value as text without spaces around it, several joined by a backslash, or ``""``."""
        value = self.value(keyword, frame)
        several = not isinstance(value, str | bytes) and isinstance(value, Iterable)
        joined = "\\".join(str(part) for part in value) if several else str(value)
        return "" if value is None else joined.strip(" \0")

    def value(self, keyword: str, frame: int = 0) -> Any:
        """A value of one frame, or ``None`` where it is missing or empty.

        Enhanced objects keep values in groups for one frame or for all; those come first.

        Args:
            keyword: DICOM keyword, such as ``PixelSpacing``.
            frame: Which frame, from 0.
        """
        for dataset in (*self._groups(frame), self.dataset):
            found = dataset.get(keyword)
            if found is not None and found != "":
                return found
        return None

    def _groups(self, frame: int) -> Iterator[Dataset]:
        """The functional groups of a frame, its own before those it shares."""
        if not self.is_multi_frame:
            return
        own = self.dataset.get("PerFrameFunctionalGroupsSequence") or []
        shared = self.dataset.get("SharedFunctionalGroupsSequence") or []
        for holder in [*own[frame : frame + 1], *shared[:1]]:
            for element in holder:
                if element.VR == "SQ" and element.value:
                    yield element.value[0]


def read_headers(paths: Iterable[Path], oddities: Oddities, *, single: bool) -> list[Header]:
    """Headers of DICOM files, without directories (DICOMDIR).

    Args:
        paths: Files that begin like DICOM.
        oddities: Where to note or refuse damaged files.
        single: Whether the user named the one file.

    Raises:
        UnreadableScanError: If a file is damaged and that is not tolerated.
    """
    headers = []
    for path in paths:
        try:
            header = read_header(path)
        except UnreadableScanError as error:
            if single:
                raise
            oddities.tolerate(
                "broken-files",
                found=str(error).removeprefix("found ").split(", expected ")[0],
                expected="readable files only",
                advice="copy or export the folder again",
                done="it was left out",
            )
            continue
        if header.object_class == MediaStorageDirectoryStorage:
            continue
        headers.append(header)
    return headers


def read_header(path: Path) -> Header:
    """Header of a file; raises UnreadableScanError if it is damaged."""
    with damage_explained(path, EXPECTED):
        with path.open("rb") as file:
            dataset = pydicom.dcmread(file, stop_before_pixels=True, force=True)
            ended = not file.read(1)
        _convert(dataset)
        meta = getattr(dataset, "file_meta", None) or Dataset()
        stated = dataset.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID") or ""
        header = Header(path, dataset, UID(str(stated).strip()))
        if not stated and not header.text("Modality"):
            raise EOFError("neither SOP Class UID nor Modality")
        # A deflated file is read to its end in any case.
        deflated = meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian
        if ended and not deflated and header.object_class in CT_CLASSES:
            raise EOFError("the file ends before its pixels")
    return header


def _convert(dataset: Dataset) -> None:
    """Convert all values now, so that a later look at an imperfect one warns nobody.

    What cannot be converted counts as missing from here on.
    """
    for tag in list(dataset.keys()):
        try:
            element = dataset[tag]
            for item in element.value if element.VR == "SQ" and element.value else ():
                _convert(item)
        except Exception:  # pydicom raises whatever the bytes make it stumble over
            del dataset[tag]

"""MetaImage (.mha, .mhd) and NRRD (.nrrd, .nhdr) volumes, through SimpleITK."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK

from groundglass.errors import UnreadableScanError
from groundglass.read.damage import damage_explained
from groundglass.read.grid import geometry_of
from groundglass.read.request import Request
from groundglass.read.volume import scan_of
from groundglass.scan import CTScan

sitk: Any = SimpleITK  # its functions carry no types

_HEADER_BYTES = 65536

_SPACING = {"metaimage": "ElementSpacing", "nrrd": "space directions|spacings"}
_ORIENTATION = {"metaimage": "TransformMatrix|Orientation|Rotation", "nrrd": "space"}
_READER = {"metaimage": "MetaImageIO", "nrrd": "NrrdImageIO"}
_TITLE = {"metaimage": "MetaImage", "nrrd": "NRRD"}


def read_metaimage(path: Path, request: Request) -> CTScan:
    """CT volume from a MetaImage file; raises UnreadableScanError if it holds none."""
    return _read(path, request, "metaimage")


def read_nrrd(path: Path, request: Request) -> CTScan:
    """CT volume from an NRRD file; raises UnreadableScanError if it holds none."""
    return _read(path, request, "nrrd")


def _read(path: Path, request: Request, file_format: str) -> CTScan:
    _check_header(path, request, file_format)
    with damage_explained(path.name, f"a {_TITLE[file_format]} volume"), _quiet():
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(path))
        reader.SetImageIO(_READER[file_format])
        reader.ReadImageInformation()
        _check_volume(reader)
        affine = np.eye(4)
        affine[:3, :3] = np.reshape(reader.GetDirection(), (3, 3)) * reader.GetSpacing()
        affine[:3, 3] = reader.GetOrigin()
        geometry = geometry_of(affine, reader.GetSize())
        image = reader.Execute()
        stored = sitk.GetArrayViewFromImage(image).transpose(2, 1, 0)
    return scan_of(stored, geometry, request, file_format=file_format)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the warnings of ITK, which it prints by itself, off the screen."""
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)


def _check_header(path: Path, request: Request, file_format: str) -> None:
    """Refuse a header without spacing or orientation, which ITK would invent in silence."""
    with path.open("rb") as file:
        head = file.read(_HEADER_BYTES)
    text = head.split(b"\n\n" if file_format == "nrrd" else b"ElementDataFile")[0]
    header = text.decode("latin-1").replace("\r", "")
    if not _states(header, _SPACING[file_format]):
        raise UnreadableScanError(
            f"found '{path.name}' without a voxel spacing, expected "
            f"{_SPACING[file_format].replace('|', ' or ')} in its header; convert the scan again"
        )
    if not _states(header, _ORIENTATION[file_format]):
        request.oddities.tolerate(
            "no-orientation",
            found=f"a {_TITLE[file_format]} file without an orientation",
            expected="one in its header, to tell left from right",
            advice="convert the scan again, keeping its orientation",
            done="the default axes of the format were taken, left and right may be swapped",
        )


def _states(header: str, names: str) -> bool:
    return re.search(rf"^\s*(?:{names})\s*[:=]\s*\S", header, re.M | re.I) is not None


def _check_volume(reader: Any) -> None:
    sizes = " x ".join(str(n) for n in reader.GetSize())
    if reader.GetDimension() != 3:
        raise UnreadableScanError(
            f"found {reader.GetDimension()} dimensions ({sizes}), expected one volume of 3 "
            "dimensions; save the wanted volume in a file of its own"
        )
    if reader.GetNumberOfComponents() != 1 or "complex" in str(reader.GetPixelIDValue()):
        raise UnreadableScanError(
            f"found {reader.GetNumberOfComponents()} numbers per voxel, expected one; "
            "give the CT itself"
        )

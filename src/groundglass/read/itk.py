"""MetaImage (.mha, .mhd) and NRRD (.nrrd, .nhdr) volumes, through SimpleITK."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import SimpleITK

from groundglass.errors import UnreadableScanError
from groundglass.read.damage import damage_explained
from groundglass.read.grid import geometry_of
from groundglass.read.request import Request
from groundglass.read.volume import StoredVolume, scan_of
from groundglass.read.wording import plain, times
from groundglass.scan import CTScan

sitk: Any = SimpleITK  # its functions carry no types

_HEADER_BYTES = 65536

_SPACING = {"metaimage": "ElementSpacing", "nrrd": "space directions|spacings"}
_ORIENTATION = {
    "metaimage": r"(?:TransformMatrix|Orientation|Rotation)\s*[:=]\s*\S",
    "nrrd": r"space:\s*(?:RAS|LAS|LPS|(?:right|left)[- ]?anterior[- ]?superior|"
    r"left[- ]?posterior[- ]?superior)\s*$",
}
"""Lines that tell the patient's sides; other spaces of NRRD, such as ``scanner-xyz``, do not."""

_READER = {"metaimage": "MetaImageIO", "nrrd": "NrrdImageIO"}
_BYTES = {"MET_SHORT": 2, "MET_USHORT": 2, "MET_INT": 4, "MET_FLOAT": 4, "MET_DOUBLE": 8}
_TITLE = {"metaimage": "MetaImage", "nrrd": "NRRD"}


def read_metaimage(path: Path, request: Request) -> CTScan:
    """CT volume from a MetaImage file; raises UnreadableScanError if it holds none."""
    stored = read_stored_itk(path, request, "metaimage")
    return scan_of(stored, request, file_format="metaimage")


def read_nrrd(path: Path, request: Request) -> CTScan:
    """CT volume from an NRRD file; raises UnreadableScanError if it holds none."""
    return scan_of(read_stored_itk(path, request, "nrrd"), request, file_format="nrrd")


def read_stored_itk(path: Path, request: Request, file_format: str) -> StoredVolume:
    """The stored values of a file, whatever they are.

    Args:
        path: The file.
        request: What was asked for.
        file_format: ``metaimage`` or ``nrrd``.

    Raises:
        UnreadableScanError: If it is damaged or does not state its geometry.
    """
    header = _header_of(path, file_format)
    with damage_explained(path, f"a {_TITLE[file_format]} volume"), _quiet():
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(path))
        reader.SetImageIO(_READER[file_format])
        reader.ReadImageInformation()
        _check_volume(reader)
        _check_geometry_is_stated(header, path, request, file_format)
        affine = np.eye(4)
        affine[:3, :3] = np.reshape(reader.GetDirection(), (3, 3)) * reader.GetSpacing()
        affine[:3, 3] = reader.GetOrigin()
        geometry = geometry_of(affine, reader.GetSize())
        _check_voxels_are_there(header, path, geometry)
        image = reader.Execute()
        stored = sitk.GetArrayFromImage(image).transpose(2, 1, 0)  # a view would outlive its image
    return StoredVolume(stored, geometry, names=_segment_names(header))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the warnings of ITK, which it prints by itself, off the screen."""
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)


def _header_of(path: Path, file_format: str) -> str:
    """The header, one field a line."""
    with path.open("rb") as file:
        head = file.read(_HEADER_BYTES).replace(b"\r", b"")
    end = rb"\n\n" if file_format == "nrrd" else rb"(?<=\n)ElementDataFile[^\n]*\n"
    found = re.search(end, head)
    return head[: found.end() if found else None].decode("latin-1")


def _check_geometry_is_stated(header: str, path: Path, request: Request, file_format: str) -> None:
    """Refuse a header without spacing or orientation, which ITK would invent in silence."""
    if not _states(header, rf"(?:{_SPACING[file_format]})\s*[:=]\s*\S"):
        raise UnreadableScanError(
            f"found '{path.name}' without a voxel spacing, expected "
            f"{_SPACING[file_format].replace('|', ' or ')} in its header; convert the scan again"
        )
    if not _states(header, _ORIENTATION[file_format]):
        space = re.search(r"^space:\s*(\S.*?)\s*$", header, re.M | re.I)
        what = f"with the space '{plain(space[1])}' as its" if space else "without an"
        request.oddities.tolerate(
            "no-orientation",
            found=f"a {_TITLE[file_format]} file {what} orientation",
            expected="one in its header, to tell left from right",
            advice="convert the scan again, keeping its orientation",
            done="the default axes of the format were taken, left and right may be swapped",
        )


def _check_voxels_are_there(header: str, path: Path, geometry: hd.VolumeGeometry) -> None:
    """Raise EOFError for a MetaImage cut short, of which ITK would print by itself."""
    named = re.search(r"^ElementDataFile\s*=\s*(.*?)\s*$", header, re.M)
    kind = re.search(r"^ElementType\s*=\s*(\w+)", header, re.M)
    packed = re.search(r"^CompressedData\s*=\s*True", header, re.M | re.I)
    if packed or not named or named[1] == "LIST" or "%" in named[1]:
        return
    file = path if named[1] == "LOCAL" else path.parent / named[1]
    if not file.exists():
        raise EOFError(f"its voxels, '{file.name}', are not there")
    bytes_per_voxel = _BYTES.get(kind[1], 1) if kind else 1
    expected = int(np.prod(geometry.spatial_shape, dtype=np.int64)) * bytes_per_voxel
    found = file.stat().st_size - (len(header) if file == path else 0)
    if found < expected:
        raise EOFError(f"{found} bytes of voxels where {expected} are needed")


def _states(header: str, line: str) -> bool:
    return re.search(rf"^\s*{line}", header, re.M | re.I) is not None


def _segment_names(header: str) -> dict[int, tuple[str, ...]]:
    """Names that 3D Slicer gives to the label numbers of a ``.seg.nrrd``."""
    fields = dict(re.findall(r"^(Segment\d+_(?:Name|LabelValue)):=(.*)$", header, re.M))
    return {
        int(number): (fields[name],)
        for key, number in fields.items()
        if key.endswith("_LabelValue")
        and number.isdigit()
        and (name := key.replace("_LabelValue", "_Name")) in fields
    }


def _check_volume(reader: Any) -> None:
    if reader.GetDimension() != 3:
        raise UnreadableScanError(
            f"found {reader.GetDimension()} dimensions ({times(reader.GetSize())}), expected one "
            "volume of 3 dimensions; save the wanted volume in a file of its own"
        )
    if reader.GetNumberOfComponents() != 1 or _is_complex(reader):
        raise UnreadableScanError(
            f"found {reader.GetNumberOfComponents()} numbers per voxel, expected one; "
            "give the CT itself"
        )


def _is_complex(reader: Any) -> bool:
    return "complex" in str(sitk.GetPixelIDValueAsString(reader.GetPixelID()))

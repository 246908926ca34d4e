"""NIfTI volumes, .nii and .nii.gz, versions 1 and 2."""

import gzip
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import highdicom as hd
import nibabel
import numpy as np
from nibabel.fileholders import FileHolder
from numpy.typing import NDArray

from groundglass.errors import UnreadableScanError
from groundglass.read.damage import damage_explained
from groundglass.read.grid import geometry_of
from groundglass.read.request import Request
from groundglass.read.volume import StoredVolume, scan_of
from groundglass.read.wording import times
from groundglass.scan import CTScan

nib: Any = nibabel  # its functions carry no types

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
MOST_VOXELS_APART = 0.5
"""Where sform and qform send a corner of the volume farther apart, they state different grids."""

_LENGTH_UNITS = {1: "meters", 3: "micrometres"}


def read_nifti(path: Path, request: Request) -> CTScan:
    """CT volume from a NIfTI file.

    Args:
        path: File that begins like NIfTI, behind gzip or not.
        request: What was asked for.

    Raises:
        UnreadableScanError: If the file is damaged, holds no CT volume, or does not say where
            left and right are.
    """
    return scan_of(read_stored_nifti(path, request), request, file_format="nifti")


def read_stored_nifti(path: Path, request: Request) -> StoredVolume:
    """The stored values of a NIfTI file, whatever they are; errors as for :func:`read_nifti`."""
    with damage_explained(path, "a NIfTI volume"), _quiet(), _opened(path) as file:
        image = _image_of(file, path)
        header: Any = image.header
        shape = _shape_of(header)
        geometry = _geometry_of(header, shape, request)
        # nibabel empties both in the header, and reads a slope of 0 as the standard does: none.
        rescale = float(image.dataobj.slope), float(image.dataobj.inter)
        stored = np.asarray(image.dataobj.get_unscaled()).reshape(shape)
    return StoredVolume(stored, geometry, rescale)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep nibabel's logger, which prints by itself, off the screen."""
    printer = logging.getLogger("nibabel.global")
    before, printer.disabled = printer.disabled, True
    try:
        yield
    finally:
        printer.disabled = before


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if packed:
            with gzip.GzipFile(fileobj=file) as inflated:
                yield inflated
        else:
            yield file


def _image_of(file: Any, path: Path) -> Any:
    """The image with its header checked, its voxels not yet read."""
    head = file.read(348)
    file.seek(0)
    version_2 = 540 in (int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big"))
    magic = head[4:7] if version_2 else head[344:347]
    if magic.startswith(b"ni"):
        raise UnreadableScanError(
            f"found '{path.name}', the header of a NIfTI pair, expected one .nii file; "
            "join header and voxels into one file"
        )
    kind = nib.Nifti2Image if version_2 else nib.Nifti1Image
    return kind.from_file_map({"image": FileHolder(fileobj=file)})


def _shape_of(header: Any) -> tuple[int, ...]:
    shape = tuple(int(n) for n in header.get_data_shape())
    dtype = header.get_data_dtype()
    if dtype.kind not in "iuf":
        raise UnreadableScanError(
            f"found voxels of type {dtype}, expected one number per voxel; give the CT itself"
        )
    if len(shape) < 3 or any(n != 1 for n in shape[3:]):
        raise UnreadableScanError(
            f"found {len(shape)} dimensions ({times(shape)}), expected one volume of 3 dimensions; "
            "save the wanted volume in a file of its own"
        )
    unit = int(header["xyzt_units"]) & 7
    if unit in _LENGTH_UNITS:
        raise UnreadableScanError(
            f"found lengths in {_LENGTH_UNITS[unit]}, expected millimeters; "
            "correct xyzt_units in the header"
        )
    return shape[:3]


def _geometry_of(header: Any, shape: tuple[int, ...], request: Request) -> hd.VolumeGeometry:
    """Geometry by the sform, else the qform, as the standard ranks them."""
    sform: NDArray[np.float64] | None = header.get_sform(coded=True)[0]
    qform: NDArray[np.float64] | None = header.get_qform(coded=True)[0]
    if sform is None and qform is None:
        request.oddities.tolerate(
            "no-orientation",
            found="a NIfTI file with neither sform nor qform",
            expected="one of them, to tell left from right",
            advice="convert the scan again, keeping its orientation",
            done="the default axes of the format were taken, left and right may be swapped",
        )
    elif sform is not None:
        _check_agreement(header, shape, request)
    affine = np.asarray(header.get_best_affine(), dtype=np.float64)
    return geometry_of(_RAS_TO_LPS @ affine, shape)


def _check_agreement(header: Any, shape: tuple[int, ...], request: Request) -> None:
    """Refuse a file whose sform, qform and pixdim state different grids."""
    found = None
    sform: NDArray[np.float64] = header.get_sform()
    qform: NDArray[np.float64] | None = header.get_qform(coded=True)[0]
    zooms, lengths = np.asarray(header.get_zooms()[:3]), np.linalg.norm(sform[:3, :3], axis=0)
    if not np.allclose(lengths, zooms, rtol=0.01, atol=1e-3):
        found = f"an sform with voxels of {times(lengths)} mm beside pixdim {times(zooms)} mm"
    elif qform is not None and nib.aff2axcodes(sform) != nib.aff2axcodes(qform):
        found = f"an sform in {''.join(nib.aff2axcodes(sform))} beside a qform in "
        found += f"{''.join(nib.aff2axcodes(qform))} orientation"
    elif qform is not None and (apart := voxels_apart(sform, qform, shape)) > MOST_VOXELS_APART:
        found = f"an sform and a qform that send a corner of the volume {apart:.1f} voxels apart"
    if found:
        request.oddities.tolerate(
            "conflicting-affines",
            found=found,
            expected="one geometry",
            advice="convert the scan again, keeping its orientation",
            done="the sform was believed",
        )


def voxels_apart(
    affine: NDArray[np.float64], other: NDArray[np.float64], shape: tuple[int, ...]
) -> float:
    """How far apart two geometries send the corners of a volume at most, along any axis."""
    corners = np.array([(*corner, 1) for corner in product(*((0, n - 1) for n in shape))])
    if np.linalg.matrix_rank(affine) < 4:  # refused for its axes later
        return 0.0
    return float(np.abs(np.linalg.solve(affine, other @ corners.T) - corners.T).max())

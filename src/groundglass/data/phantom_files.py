"""Phantoms on disk, in every format that hospitals and researchers keep scans in."""

import hashlib
import json
from collections.abc import Callable, Collection
from pathlib import Path

import highdicom as hd
import nibabel as nib
import numpy as np
import SimpleITK as sitk  # noqa: N813 - the name its own manual uses
from numpy.typing import NDArray
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

from groundglass.data.case import write_gray
from groundglass.data.phantom import Phantom
from groundglass.data.phantom_dicom import slice_dataset
from groundglass.errors import GeometryError, OutputError, UnknownNameError
from groundglass.mask import Mask
from groundglass.scan import AXES, CTScan

LUNG_WINDOW_HU = (-1250.0, 250.0)
"""Black and white of the pictures."""

Orientation = str | NDArray[np.float64]
"""Where the three array axes run: a code such as ``RAS``, or a 3 x 3 matrix whose columns are
their directions in the patient's LPS space."""


def write_phantom(
    phantom: Phantom, folder: Path, format: str = "dicom", *, orientation: Orientation | None = None
) -> Path:
    """Path of the scan written to ``folder/scan``, with what is true of it in ``folder/truth``.

    ``truth`` holds ``truth.json`` and the masks ``lungs``, ``lobes`` and ``lesions``: NIfTI in
    the scan's own geometry, or PNG for pictures.

    Args:
        phantom: What to write.
        folder: Made if needed; ``scan`` and ``truth`` in it must not exist or be empty.
        format: A name in ``FORMATS``.
        orientation: Axes of the stored scan; by default what is usual in the format. Pictures
            are always axial.

    Raises:
        UnknownNameError: If there is no such format.
        OutputError: If the folder already holds a scan.
        GeometryError: If the orientation is no code and no set of three perpendicular axes.
    """
    if format not in FORMATS:
        raise UnknownNameError.of("phantom format", format, FORMATS)
    for part in (folder / "scan", folder / "truth"):
        if part.exists() and any(part.iterdir()):
            raise OutputError(f"found files in '{part}', expected none; choose an empty folder")
        part.mkdir(parents=True, exist_ok=True)
    write, usual = FORMATS[format]
    axes = usual if orientation is None else orientation
    path = write(phantom.scan, folder / "scan", axes)
    _write_truth(phantom, folder / "truth", "RAS" if orientation is None else orientation, format)
    return path


def write_dicom(
    scan: CTScan,
    folder: Path,
    orientation: Orientation = AXES,
    *,
    shuffled: bool = False,
    missing: Collection[int] = (),
    transfer_syntax: UID = ExplicitVRLittleEndian,
) -> Path:
    """Folder with one classic CT image per slice.

    Args:
        scan: Any CT volume; nothing of its own headers is used.
        folder: Existing folder.
        orientation: Axes of the stored slices, rows and columns.
        shuffled: Whether names and instance numbers say nothing about the order.
        missing: Numbers of the slices, in stored order from 0, that are left out.
        transfer_syntax: Any that pydicom can compress to.
    """
    volume = turned(scan.voxels, orientation)
    content = hashlib.sha256(volume.array.tobytes() + volume.affine.tobytes()).hexdigest()
    uids = {
        name: generate_uid(entropy_srcs=["groundglass phantom", name, content])
        for name in ("study", "series", "frame")
    }
    numbers = np.arange(volume.shape[0])
    if shuffled:
        numbers = np.random.default_rng(0).permutation(numbers)
    for index, number in enumerate(numbers):
        if index in missing:
            continue
        dataset = slice_dataset(volume, index, int(number) + 1, uids)
        if transfer_syntax != ExplicitVRLittleEndian:
            dataset.compress(transfer_syntax)
        dataset.save_as(folder / f"IM{number + 1:04d}.dcm", enforce_file_format=True)
    return folder


def write_nifti(scan: CTScan, folder: Path, orientation: Orientation = "RAS") -> Path:
    """File ``scan.nii.gz``."""
    return _save_nifti(turned(scan.voxels, orientation), folder / "scan.nii.gz")


def write_mha(scan: CTScan, folder: Path, orientation: Orientation = AXES) -> Path:
    """File ``scan.mha``."""
    return _save_itk(turned(scan.voxels, orientation), folder / "scan.mha")


def write_nrrd(scan: CTScan, folder: Path, orientation: Orientation = AXES) -> Path:
    """File ``scan.nrrd``."""
    return _save_itk(turned(scan.voxels, orientation), folder / "scan.nrrd")


def write_pictures(scan: CTScan, folder: Path, orientation: Orientation = AXES) -> Path:
    """Folder with one gray PNG per axial slice, through the lung window.

    Raises:
        GeometryError: For another orientation than ``FPL``.
    """
    if not isinstance(orientation, str) or orientation != AXES:
        raise GeometryError(
            f"found orientation {orientation} for pictures, expected {AXES}; leave it out"
        )
    low, high = LUNG_WINDOW_HU
    gray = (np.clip(scan.slices, low, high) - low) * (255.0 / (high - low))
    _save_pictures(np.rint(gray).astype(np.uint8), folder)
    return folder


Writer = Callable[[CTScan, Path, Orientation], Path]

FORMATS: dict[str, tuple[Writer, str]] = {
    "dicom": (write_dicom, AXES),
    "nifti": (write_nifti, "RAS"),
    "mha": (write_mha, AXES),
    "nrrd": (write_nrrd, AXES),
    "pictures": (write_pictures, AXES),
}
"""Writer and usual orientation of every format."""


def turned(volume: hd.Volume, orientation: Orientation) -> hd.Volume:
    """The volume with its axes along an orientation.

    A code reorders the voxels and moves nothing in space. A matrix turns the patient: the voxels
    stay in order and the three axes point elsewhere, as in an oblique acquisition.

    Raises:
        GeometryError: If the code or the matrix is not a set of three perpendicular axes.
    """
    if isinstance(orientation, str):
        try:
            return volume.to_patient_orientation(orientation)
        except (ValueError, TypeError) as error:
            raise GeometryError(
                f"found orientation '{orientation}', expected three letters such as {AXES}, one "
                "of each of F or H, A or P, L or R; give another code"
            ) from error
    directions = np.asarray(orientation, dtype=float)
    if directions.shape != (3, 3) or not np.allclose(directions.T @ directions, np.eye(3)):
        raise GeometryError(
            "found directions that are not three perpendicular unit vectors, expected a 3 x 3 "
            "rotation or reflection; give the axes as columns"
        )
    return hd.Volume.from_components(
        array=volume.array,
        spacing=volume.spacing,
        center_position=volume.center_position,
        direction=directions.ravel().tolist(),
        coordinate_system=volume.coordinate_system,
        frame_of_reference_uid=volume.frame_of_reference_uid,
    )


def _write_truth(phantom: Phantom, folder: Path, orientation: Orientation, format: str) -> None:
    (folder / "truth.json").write_text(json.dumps(phantom.truth, indent=2) + "\n")
    masks: dict[str, Mask] = {
        "lungs": phantom.lungs,
        "lobes": phantom.lobes,
        "lesions": phantom.lesions,
    }
    for name, mask in masks.items():
        if format == "pictures":
            (folder / name).mkdir()
            _save_pictures(mask.array, folder / name)
        else:
            _save_nifti(turned(mask.voxels, orientation), folder / f"{name}.nii.gz")


def _save_nifti(volume: hd.Volume, path: Path) -> Path:
    nib.save(volume.to_nibabel(), path)
    return path


def _save_itk(volume: hd.Volume, path: Path) -> Path:
    sitk.WriteImage(volume.to_simpleitk(), str(path), useCompression=True)
    return path


def _save_pictures(slices: NDArray[np.uint8], folder: Path) -> None:
    for number, pixels in enumerate(slices):
        write_gray(folder / f"slice_{number + 1:03d}.png", pixels)

"""The pixels of a stack of DICOM slices, decoded one by one into one array."""

from itertools import groupby
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels.utils import pixel_array, set_pixel_data
from pydicom.uid import (
    JPEG2000,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    JPEGLSNearLossless,
)
from scipy import ndimage

from groundglass.errors import UnreadableScanError
from groundglass.read.damage import damage_explained
from groundglass.read.dicom_files import EXPECTED
from groundglass.read.dicom_slices import Slice
from groundglass.read.dicom_stack import Stack
from groundglass.read.hounsfield import AIR_HU, Tally
from groundglass.read.wording import times

_DECODERS = {
    JPEG2000Lossless: "pylibjpeg",
    JPEG2000: "pylibjpeg",
    JPEGLSLossless: "pyjpegls",
    JPEGLSNearLossless: "pyjpegls",
}
"""Decoders other than pydicom's first choice, GDCM: it ends the whole program on damaged JPEG 2000,
and takes twice the time for JPEG-LS."""


def decode(stack: Stack, tally: Tally) -> NDArray[np.int16]:
    """Hounsfield units of a stack, in the axes of its geometry.

    Where the normal runs to the head, the memory runs from the head down, so that turning the
    volume to ``FPL`` copies nothing.

    Args:
        stack: Which slices, and where they go.
        tally: Counts what comes by.

    Raises:
        UnreadableScanError: If the pixels of a file are damaged.
    """
    shape = (len(stack.slices), *stack.geometry.spatial_shape[1:])
    memory = np.empty(shape, dtype=np.int16)
    voxels = memory[::-1] if stack.geometry.unit_vectors()[0][2] > 0 else memory
    numbered = enumerate(stack.slices)
    for path, members in groupby(numbered, key=lambda pair: pair[1].path):
        with damage_explained(path, EXPECTED):
            dataset = _dataset(path)
            decoder = _DECODERS.get(dataset.file_meta.TransferSyntaxUID, "")
        for index, one in members:
            with damage_explained(path, EXPECTED):
                stored = pixel_array(dataset, index=one.frame, decoding_plugin=decoder)
            units = tally.whole_units(_checked(stored, one), one.slope, one.intercept)
            tally.surplus += _has_surplus(dataset, stored)
            voxels[index] = _shifted(units, stack.shifts_px[index], shape[1:])
    return _filled(voxels, stack)


def same_pixels(one: Slice, other: Slice) -> bool:
    """Whether two slices hold the same picture, stored byte for byte alike, in the same units."""
    if one.header.is_multi_frame or other.header.is_multi_frame:
        return False
    if (one.slope, one.intercept) != (other.slope, other.intercept):
        return False
    stored = []
    for part in (one, other):
        with damage_explained(part.path, EXPECTED):
            stored.append(_dataset(part.path).get("PixelData"))
    return stored[0] is not None and stored[0] == stored[1]


def decoded(path: Path) -> Dataset:
    """A single gray image with its pixels decoded in place.

    Bits that hold no value, such as overlays of old files, are cleared, and signs are extended.
    """
    dataset = _dataset(path)
    decoder = _DECODERS.get(dataset.file_meta.TransferSyntaxUID, "")
    stored = pixel_array(dataset, decoding_plugin=decoder)
    words = str(dataset.PhotometricInterpretation), int(dataset.BitsStored)
    set_pixel_data(dataset, stored, *words, generate_instance_uid=False)
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def _dataset(path: Path) -> Dataset:
    dataset = pydicom.dcmread(path, force=True)
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    return dataset


def _has_surplus(dataset: Dataset, stored: NDArray[np.generic]) -> bool:
    """Whether there are more bytes of pixels than rows and columns need, but for one of padding."""
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return False
    frames = int(dataset.get("NumberOfFrames") or 1)
    return len(dataset.PixelData) > stored.nbytes * frames + 1


def _checked(stored: NDArray[np.generic], one: Slice) -> NDArray[np.generic]:
    if stored.shape != one.shape:
        raise UnreadableScanError(
            f"found '{one.path.name}' with {times(stored.shape)} pixels, expected "
            f"{times(one.shape)} as its header says; export the series again"
        )
    return stored


def _shifted(
    units: NDArray[np.int16], shift_px: NDArray[np.float64], shape: tuple[int, ...]
) -> NDArray[np.int16]:
    """A slice at its place on a wider grid, between pixels by linear interpolation."""
    if units.shape == shape:
        return units
    whole = np.floor(shift_px + 1e-9).astype(int)
    wide = np.full(shape, AIR_HU, dtype=np.float32)
    rows, columns = units.shape
    wide[whole[0] : whole[0] + rows, whole[1] : whole[1] + columns] = units
    part = np.clip(shift_px - whole, 0, None)
    moved: NDArray[np.float32] = ndimage.shift(
        wide, part, order=1, mode="grid-constant", cval=AIR_HU
    )
    return np.rint(moved, out=moved).astype(np.int16)


def _filled(voxels: NDArray[np.int16], stack: Stack) -> NDArray[np.int16]:
    """Slices at every place of the grid, those between others by linear interpolation."""
    places, count = stack.places, stack.geometry.spatial_shape[0]
    if count == len(places) and np.array_equal(places, np.arange(count)):
        return voxels
    filled = np.empty((count, *voxels.shape[1:]), dtype=np.int16)
    for place in range(count):
        after = min(int(np.searchsorted(places, place - 1e-9)), len(places) - 1)
        before = max(after - 1, 0)
        width = places[after] - places[before]
        share = (place - places[before]) / width if width else 0.0
        if abs(share - 1) < 1e-6:
            filled[place] = voxels[after]
        elif share < 1e-6:
            filled[place] = voxels[before]
        else:
            mixed = (1 - share) * voxels[before].astype(np.float32) + share * voxels[after]
            filled[place] = np.rint(mixed)
    return filled

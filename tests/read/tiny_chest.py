"""A chest of a few thousand voxels without any symmetry, and DICOM objects made of it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import EnhancedCTImageStorage

from groundglass.data.phantom_dicom import slice_dataset
from groundglass.scan import AXES, CTScan, Source

SHAPE = (12, 64, 80)
SPACING_MM = (10.0, 3.5, 3.25)
MARKER_HU = 900
"""Denser than anything else: the place of the marker tells every flip and swap."""

UIDS = {"study": "1.2.826.1", "series": "1.2.826.1.1", "frame": "1.2.826.1.2"}

MOVED_TO_GROUPS = (
    "ImagePositionPatient ImageOrientationPatient PixelSpacing SliceThickness RescaleSlope "
    "RescaleIntercept RescaleType ConvolutionKernel KVP"
)

Change = Callable[[list[Dataset]], object]


def tiny_chest() -> CTScan:
    """Two lungs of different size in a body, with a marker in the patient's right upper lung."""
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    voxels = np.full(SHAPE, -1000.0)
    voxels[((y - 31) / 28) ** 2 + ((x - 39) / 37) ** 2 + 0 * z < 1] = 40
    voxels[((y - 29) / 17) ** 2 + ((x - 22) / 13) ** 2 + ((z - 5) / 6) ** 2 < 1] = -850
    voxels[((y - 31) / 14) ** 2 + ((x - 55) / 10) ** 2 + ((z - 6) / 5) ** 2 < 1] = -820
    voxels = np.maximum(voxels + np.random.default_rng(0).normal(0, 12, SHAPE), -1024)
    voxels[2:4, 20:24, 17:20] = MARKER_HU
    volume = hd.Volume.from_components(
        array=np.rint(voxels).astype(np.int16),
        spacing=SPACING_MM,
        center_position=(7.0, -150.0, -420.0),
        patient_orientation=AXES,
        coordinate_system="PATIENT",
        frame_of_reference_uid=UIDS["frame"],
    )
    return CTScan(volume, Source("tiny", "phantom"))


def marker_position(scan: CTScan) -> NDArray[np.float64]:
    """Centroid of the marker in LPS millimeters."""
    indices = np.argwhere(scan.slices >= MARKER_HU - 5)
    position: NDArray[np.float64] = scan.voxels.map_indices_to_reference(indices).mean(axis=0)
    return position


def datasets(volume: hd.Volume | None = None) -> list[Dataset]:
    """One classic CT image per slice."""
    voxels = tiny_chest().voxels if volume is None else volume
    return [slice_dataset(voxels, index, index + 1, UIDS) for index in range(voxels.shape[0])]


def save(parts: Sequence[Dataset], folder: Path) -> Path:
    """Folder with the data sets as files."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, part in enumerate(parts):
        part.save_as(folder / f"IM{number + 1:04d}.dcm", enforce_file_format=True)
    return folder


def dicom_folder(folder: Path, change: Change | None = None) -> Path:
    """The tiny chest as a DICOM folder, after a change to its data sets."""
    parts = datasets()
    if change is not None:
        change(parts)
    return save(parts, folder)


def enhanced(volume: hd.Volume) -> Dataset:
    """The volume as one Enhanced CT Image, its frames in no order.

    The geometry stands in the functional groups, the pixel measures shared, the rest per frame.
    """
    parts = [slice_dataset(volume, index, index + 1, UIDS) for index in range(volume.shape[0])]
    order = np.random.default_rng(1).permutation(len(parts))
    frames = [parts[index] for index in order]
    whole = slice_dataset(volume, 0, 1, UIDS)
    for keyword in MOVED_TO_GROUPS.split():
        delattr(whole, keyword)
    whole.SOPClassUID = whole.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    whole.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    whole.NumberOfFrames = len(frames)
    whole.PixelData = b"".join(frame.PixelData for frame in frames)
    shared = _group(frames[0], "PixelMeasuresSequence", "PixelSpacing SliceThickness")
    shared.update(_group(frames[0], "CTReconstructionSequence", "ConvolutionKernel"))
    whole.SharedFunctionalGroupsSequence = DicomSequence([shared])
    whole.PerFrameFunctionalGroupsSequence = DicomSequence([_frame_groups(f) for f in frames])
    return whole


def _frame_groups(frame: Dataset) -> Dataset:
    groups = _group(frame, "PlanePositionSequence", "ImagePositionPatient")
    groups.update(_group(frame, "PlaneOrientationSequence", "ImageOrientationPatient"))
    rescale = "RescaleSlope RescaleIntercept RescaleType"
    groups.update(_group(frame, "PixelValueTransformationSequence", rescale))
    return groups


def _group(frame: Dataset, sequence: str, keywords: str) -> Dataset:
    item, group = Dataset(), Dataset()
    for keyword in keywords.split():
        setattr(item, keyword, frame[keyword].value)
    setattr(group, sequence, DicomSequence([item]))
    return group

"""Masks made elsewhere: label numbers in NIfTI, NRRD, MetaImage and DICOM Segmentation."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
from numpy.typing import NDArray

from groundglass.errors import UnreadableScanError
from groundglass.read.content import description_of, kind_of
from groundglass.read.damage import damage_explained
from groundglass.read.itk import read_stored_itk
from groundglass.read.nifti import read_stored_nifti
from groundglass.read.oddities import Oddities
from groundglass.read.request import Request
from groundglass.read.volume import StoredVolume
from groundglass.scan import AXES, Note

LARGEST_NUMBER = 65535
"""No label map in use has more labels."""

_SEGMENTATION_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")

Names = tuple[str, ...]
"""What a file calls one label, in one or more ways."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelMap:
    """Label numbers in space, whatever they mean.

    Attributes:
        voxels: Label numbers as uint16, 0 for background, orientation ``FPL``.
        names: What the file calls the numbers, where it does: segments of DICOM and of 3D Slicer.
        notes: What was noticed on reading.
        cropped: Whether slices without a label may be left out, as DICOM allows: what lies beyond
            the voxels is background, not unknown.
    """

    voxels: hd.Volume
    names: Mapping[int, Names] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    cropped: bool = False

    @property
    def numbers(self) -> list[int]:
        """The numbers that stand in the map, without the background."""
        found = np.flatnonzero(np.bincount(self.voxels.array.ravel()))
        return [int(number) for number in found if number]


def read_label_map(
    path: Path,
    *,
    tolerate: Collection[str] = (),
    wanted: Callable[[Names], bool] | None = None,
) -> LabelMap:
    """The label numbers of a mask file.

    Args:
        path: NIfTI, NRRD, MetaImage or DICOM Segmentation, told by content.
        tolerate: Names in ``groundglass.read.TOLERABLE``.
        wanted: Which segments of a DICOM Segmentation to read, by their names; by default all.
            Those that are read may not overlap.

    Raises:
        UnreadableScanError: If there is no such file, it is damaged, or its values are no label
            numbers.
    """
    if not path.is_file():
        raise UnreadableScanError(
            f"found no file '{path.name}', expected a mask; check the path of the mask"
        )
    kind = kind_of(path)
    oddities = Oddities(tolerate)
    request = Request(path.name, None, oddities, single_file=True)
    if kind == "dicom":
        return _segmentation(path, wanted)
    if kind == "nifti":
        stored = read_stored_nifti(path, request)
    elif kind in ("metaimage", "nrrd"):
        stored = read_stored_itk(path, request, kind)
    else:
        raise UnreadableScanError(
            f"found '{path.name}', {'an archive or picture' if kind else description_of(path)}, "
            "expected a mask as NIfTI, NRRD, MetaImage or DICOM Segmentation; save it as one"
        )
    voxels = stored.geometry.with_array(_whole_numbers(stored, path))
    return LabelMap(voxels.to_patient_orientation(AXES), stored.names, oddities.notes)


def _whole_numbers(stored: StoredVolume, path: Path) -> NDArray[np.uint16]:
    """The stored values as label numbers."""
    values: NDArray[Any] = stored.values
    slope, intercept = stored.rescale
    if (slope, intercept) != (1.0, 0.0):
        values = values * slope + intercept
    low, high = float(values.min()), float(values.max())
    # a minimum that is no number fails the comparison, as it should
    whole = low >= 0 and high <= LARGEST_NUMBER
    if whole and values.dtype.kind == "f":
        whole = bool((values == np.rint(values)).all())
    if not whole:
        raise UnreadableScanError(
            f"found '{path.name}' with values {low:g} to {high:g}, expected label numbers, whole "
            f"and from 0 to {LARGEST_NUMBER}; give the mask, not the scan or a probability map"
        )
    return values.astype(np.uint16)


def _segmentation(path: Path, wanted: Callable[[Names], bool] | None) -> LabelMap:
    with damage_explained(path, "a DICOM Segmentation"):
        data = pydicom.dcmread(path)
        if data.get("SOPClassUID") not in _SEGMENTATION_CLASSES:
            raise UnreadableScanError(
                f"found '{path.name}', DICOM of another kind ({data.get('Modality', 'none')}), "
                "expected a DICOM Segmentation; give the segmentation object"
            )
        segmentation = hd.seg.Segmentation.from_dataset(data, copy=False)
        _refuse_fractions(segmentation, path)
        names = {
            number: _names_of(segmentation.get_segment_description(number))
            for number in segmentation.segment_numbers
        }
        chosen = [number for number, own in names.items() if wanted is None or wanted(own)]
        if not chosen:
            listed = ", ".join(own[0] for own in names.values())
            raise UnreadableScanError(
                f"found the segments {listed} in '{path.name}', expected those that are wanted; "
                "name the segments by what they show"
            )
        try:
            voxels = segmentation.get_volume(
                segment_numbers=chosen, combine_segments=True, dtype=np.uint16
            )
        except RuntimeError as error:  # highdicom raises it for overlap alone
            raise UnreadableScanError(
                f"found segments that overlap in '{path.name}', expected each voxel in one; "
                "correct the segmentation"
            ) from error
    turned = voxels.to_patient_orientation(AXES)
    return LabelMap(turned, {n: names[n] for n in chosen}, cropped=True)


def _refuse_fractions(segmentation: hd.seg.Segmentation, path: Path) -> None:
    if segmentation.segmentation_type == hd.seg.SegmentationTypeValues.FRACTIONAL:
        raise UnreadableScanError(
            f"found '{path.name}' with fractional segments, expected binary ones or a label map; "
            "export it as binary segmentation"
        )


def _names_of(segment: hd.seg.SegmentDescription) -> Names:
    return str(segment.segment_label), str(segment.segmented_property_type.meaning)

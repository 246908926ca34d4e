"""What a segmentation object holds: lungs, lesions by kind, and the largest lesions one by one."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cc3d
import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom.sr.codedict import codes

from groundglass.findings import Findings
from groundglass.labels import Label, Lesion
from groundglass.mask import Mask
from groundglass.report import Report

SCHEME = "99GROUNDGLASS"
"""Our own coding scheme, for what no public code means."""

LEAST_LESION_ML = 1.0
"""Smaller lesions have no segment of their own; they are part of the segment of their kind."""

MOST_LESIONS = 10
"""Only so many lesions have a segment of their own, the largest first."""


@dataclass(frozen=True, slots=True, eq=False)
class Named:
    """What a segment is, without its voxels.

    Attributes:
        name: Name for people, unique in the object.
        label: What it is: code and color.
    """

    name: str
    label: Label


@dataclass(frozen=True, slots=True, eq=False)
class Segment(Named):
    """One segment, never empty: what was not found has none.

    Attributes:
        voxels: Which voxels of the scan belong to it, orientation ``FPL``.
        volume_ml: Its volume.
        center_mm: Mean position of its voxels in LPS millimeters.
        single: Whether it is one lesion, not all there is of its label.
    """

    voxels: NDArray[np.bool_]
    volume_ml: float
    center_mm: tuple[float, float, float]
    single: bool = False


def names(mask: Mask) -> list[Named]:
    """One for each label of a mask that has a voxel, in the order of the labels."""
    found = np.flatnonzero(mask.counts().sum(axis=0))
    return [Named(label.title, label) for label in mask.labels if int(label) in found]


def kinds(mask: Mask) -> list[Segment]:
    """One segment for each label of a mask that has a voxel, in the order of the labels."""
    return [_segment(n.name, n.label, mask.array == int(n.label), mask) for n in names(mask)]


def largest_lesions(findings: Findings) -> list[Segment]:
    """The largest lesions of at least ``LEAST_LESION_ML``, largest first.

    A lesion is a set of voxels of one kind that touch, corners included.
    """
    mask = findings.lesions
    found = [one for kind in mask.labels for one in _components(mask, kind)]
    found.sort(key=lambda one: -one.size)
    segments = []
    for number, one in enumerate(found[:MOST_LESIONS], start=1):
        voxels = np.zeros(mask.array.shape, np.bool_)
        voxels[one.box] = one.numbers == one.number
        lesion = _segment(f"lesion {number}: {one.kind.title}", one.kind, voxels, mask)
        segments.append(replace(lesion, single=True))
    return segments


@dataclass(frozen=True, slots=True, eq=False)
class _Component:
    size: int
    kind: Label
    number: int
    numbers: NDArray[np.unsignedinteger]
    box: tuple[slice, slice, slice]


def _components(mask: Mask, kind: Label) -> Iterator[_Component]:
    """The largest components of one kind, numbered within the smallest box around them all."""
    voxels = mask.array == int(kind)
    if not voxels.any():
        return
    ends = [np.flatnonzero(voxels.any(axis=others))[[0, -1]] for others in ((1, 2), (0, 2), (0, 1))]
    box = tuple(slice(int(first), int(last) + 1) for first, last in ends)
    numbers = cc3d.connected_components(voxels[box], connectivity=26)
    counts = cc3d.statistics(numbers, no_slice_conversion=True)["voxel_counts"].astype(np.int64)
    counts[0] = 0
    least = LEAST_LESION_ML / mask.voxel_volume_ml
    for number in np.argsort(-counts, kind="stable")[:MOST_LESIONS]:
        if counts[number] >= least:
            yield _Component(
                int(counts[number]), kind, int(number), numbers, (box[0], box[1], box[2])
            )


def _segment(name: str, label: Label, voxels: NDArray[np.bool_], mask: Mask) -> Segment:
    assert mask.geometry is not None
    index = []
    for axis, others in ((0, (1, 2)), (1, (0, 2)), (2, (0, 1))):
        along = np.count_nonzero(voxels, axis=others)
        index.append(float(along @ np.arange(voxels.shape[axis]) / along.sum()))
    x, y, z = mask.geometry.map_indices_to_reference(np.array([index]))[0]
    volume_ml = float(np.count_nonzero(voxels) * mask.voxel_volume_ml)
    return Segment(name, label, voxels, volume_ml, (float(x), float(y), float(z)))


def algorithm_type(report: Report, label: Label) -> str:
    """``AUTOMATIC``; ``SEMIAUTOMATIC`` for lesions that a reader corrected."""
    corrected = bool(report.provenance.corrections) and isinstance(label, Lesion)
    return "SEMIAUTOMATIC" if corrected else "AUTOMATIC"


def coded(label: Label) -> hd.sr.CodedConcept:
    """What a label is, as a coded concept; in our own scheme where no public code is right."""
    value, scheme, meaning = label.code or (label.name, SCHEME, label.title)
    return hd.sr.CodedConcept(value=value, scheme_designator=scheme, meaning=meaning)


def category(label: Label) -> hd.sr.CodedConcept:
    """Whether a label is anatomy or something abnormal."""
    code = codes.SCT.MorphologicallyAbnormalStructure
    if not isinstance(label, Lesion):
        code = codes.SCT.AnatomicalStructure
    return hd.sr.CodedConcept.from_code(code)

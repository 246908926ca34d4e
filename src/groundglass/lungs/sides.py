"""Which air in the body is the right lung and which is the left."""

from typing import Any

import cc3d
import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from groundglass.labels import Lung
from groundglass.lungs.coarse import CoarseScan

Inside = NDArray[np.bool_]

Labels = NDArray[np.unsignedinteger[Any]]

Box = tuple[slice, slice, slice]

GAS_HU = -955
"""Half of the voxels deep in a bowel lie below it; in the emptiest lung, above."""

CORE_MM = 4.0
"""What lies deeper than this below its surface is free of partial volume."""

CORE_SHARE = 0.15
"""A piece with less of itself so deep is a fold of skin or cloth."""

SMALLER_SHARE = 0.04
"""Volume of a piece of lung as a share of the largest piece of air; smaller ones are bowel."""

SPLIT_SHARE = 0.2
"""Share of a piece beyond the middle of the body from which it may be both lungs, and the least
share of each half that it then falls into."""

BOTH_SHARE = 0.3
"""Share of a piece beyond the middle of the body from which it is both lungs for certain."""

SEPTUM_MM = 25.0
"""How far from the middle of the body the septum between the lungs may lie."""

SEPTUM_HU = (-300, -600, -750)
"""Limits above which a voxel is taken for the septum between two lungs that touch, one after the
other: a septum thinner than a voxel is only a little denser than lung."""

ERODE_MM = (0.0, 1.6, 3.2, 6.3)
"""How much is taken off two lungs that touch, until they come apart."""


def find_sides(scan: CoarseScan, air: NDArray[np.uint8], middle: float) -> NDArray[np.uint8]:
    """Aerated lung, numbered as in ``Lung``; all zero where there is none.

    Args:
        scan: The scan.
        air: Air in the body without trachea and main bronchi.
        middle: Column of the middle of the body.
    """
    labels: Labels = cc3d.connected_components(air, connectivity=6)
    statistics: dict[str, Any] = dict(cc3d.statistics(labels))
    sides = np.zeros(air.shape, np.uint8)
    for piece in _lung_pieces(scan, labels, statistics):
        box = statistics["bounding_boxes"][piece]
        inside = labels[box] == piece
        halves = _split(scan, box, inside, middle - box[2].start)
        if halves is None:
            right = float(statistics["centroids"][piece][2]) < middle
            halves = np.full(inside.shape, Lung.RIGHT if right else Lung.LEFT, np.uint8)
        np.copyto(sides[box], halves, where=inside)
    return sides


def _lung_pieces(scan: CoarseScan, labels: Labels, statistics: dict[str, Any]) -> list[int]:
    """Numbers of the pieces of air that are lung, largest first."""
    counts = statistics["voxel_counts"].astype(np.int64)
    counts[0] = 0
    large = np.nonzero(counts > SMALLER_SHARE * counts.max(initial=0))[0]
    return [
        int(piece)
        for piece in large[np.argsort(-counts[large])]
        if _looks_like_lung(scan, labels, int(piece), statistics["bounding_boxes"][piece])
    ]


def _looks_like_lung(scan: CoarseScan, labels: Labels, piece: int, box: Box) -> bool:
    """Whether a piece is neither gas in a bowel nor a fold of skin or cloth."""
    inside = labels[box] == piece
    core = _wear_down(scan, inside, CORE_MM)
    if core.sum() < CORE_SHARE * inside.sum():
        return False
    return bool(np.median(scan.hu[box][core]) > GAS_HU)


def _split(scan: CoarseScan, box: Box, inside: Inside, middle: float) -> NDArray[np.uint8] | None:
    """Right and left half of a piece that is both lungs, or ``None`` where it is one lung.

    The lungs touch along a thin septum. They are worn down, where they are dense and from their
    surface, until they come apart; every voxel then goes to the half that is nearer, and what this
    cuts off from its own lung is given back.
    """
    on_right = inside[:, :, : max(0, round(middle))].sum() / inside.sum()
    if not SPLIT_SHARE < on_right < 1 - SPLIT_SHARE:
        return None
    for radius in ERODE_MM:
        for limit in SEPTUM_HU:
            worn = _wear_down(scan, inside & (scan.hu[box] < limit), radius)
            markers = _two_lungs(worn, middle)
            if markers is not None:
                return _divide(inside, *markers)
    if not BOTH_SHARE < on_right < 1 - BOTH_SHARE:
        return None
    return _cut_along_septum(scan, box, middle)


def _wear_down(scan: CoarseScan, inside: Inside, radius_mm: float) -> Inside:
    """What lies deeper than a radius below the surface, slice by slice."""
    if radius_mm == 0:
        return inside
    kernel = scan.disk(radius_mm)
    worn = [
        cv2.erode(p.view(np.uint8), kernel, borderValue=0) for p in np.ascontiguousarray(inside)
    ]
    return np.stack(worn) > 0


def _divide(inside: Inside, right: Inside, left: Inside) -> NDArray[np.uint8]:
    """Every voxel given to the nearer of two lungs, without islands."""
    of_right = np.zeros_like(inside)
    for result, *markers in zip(of_right, right, left, strict=True):
        to_right, to_left = (_distance_px(m) for m in markers)
        np.less_equal(to_right, to_left, out=result)
    of_right = _reached(inside & of_right, right)
    of_left = _reached(inside & ~of_right, left)
    return np.where(of_left, np.uint8(Lung.LEFT), np.uint8(Lung.RIGHT))


def _distance_px(marker: Inside) -> NDArray[np.float32]:
    """Distance of every pixel of a slice from a marker; infinite where it has none."""
    if not marker.any():
        return np.full(marker.shape, np.inf, np.float32)
    distance = cv2.distanceTransform((~marker).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
    return np.asarray(distance, np.float32)


def _cut_along_septum(scan: CoarseScan, box: Box, middle: float) -> NDArray[np.uint8]:
    """Both sides of the densest sheet near the middle, for voxels too large to show a gap."""
    hu = np.clip(scan.hu[box], -1000, 0).astype(np.float32)
    reach = SEPTUM_MM / scan.spacing_mm[2]
    first, last = max(0, round(middle - reach)), round(middle + reach) + 1
    smooth = ndimage.uniform_filter(hu[:, :, first:last], size=(3, 5, 1), mode="nearest")
    sheet = first + ndimage.median_filter(smooth.argmax(axis=2), size=(3, 5), mode="nearest")
    columns = np.arange(hu.shape[2])
    return np.where(columns > sheet[:, :, None], np.uint8(Lung.LEFT), np.uint8(Lung.RIGHT))


def _two_lungs(worn: Inside, middle: float) -> tuple[Inside, Inside] | None:
    """The two largest pieces, right one first, if one lies on either side of the middle."""
    labels = cc3d.connected_components(worn, connectivity=6, out_dtype=np.uint32)
    statistics = cc3d.statistics(labels)
    counts = statistics["voxel_counts"].astype(np.int64)
    counts[0] = 0
    if len(counts) < 3:
        return None
    pair = sorted(np.argsort(counts)[-2:], key=lambda p: float(statistics["centroids"][p][2]))
    first, second = (float(statistics["centroids"][p][2]) for p in pair)
    if not first < middle < second or counts[pair].min() < SPLIT_SHARE * counts.sum():
        return None
    right, left = labels == pair[0], labels == pair[1]
    column = max(0, round(middle))
    strayed = max(right[:, :, column:].sum() / right.sum(), left[:, :, :column].sum() / left.sum())
    return (right, left) if strayed < SPLIT_SHARE else None


def _reached(inside: Inside, marker: Inside) -> Inside:
    """The part of a region that hangs together with its marker."""
    labels = cc3d.connected_components(inside, connectivity=6, out_dtype=np.uint32)
    wanted = np.zeros(int(labels.max()) + 1, bool)
    wanted[np.unique(labels[marker & inside])] = True
    wanted[0] = False
    return wanted[labels]

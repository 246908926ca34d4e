"""The trachea: the longest stack of round patches of air near the middle of the body."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.lungs.coarse import CoarseScan

LUMEN_HU = -900
"""Below it an averaged voxel on a slice through the trachea is its lumen."""

AREA_MM2 = (50.0, 700.0)
"""Area of the lumen on a slice, where it is cut across."""

ROUND = 0.45
"""Least area of a patch as a share of the square around it."""

RING_MM = 3.0
"""Width of the ring around a patch in which its wall lies."""

OPEN_SHARE = 0.6
"""A patch with more air than this in its ring is a part of the lung."""

MIDDLE_SHARE = 1 / 6
"""How far from the middle of the body it may lie, as a share of the body's width."""

MINIMUM_LENGTH_MM = 10.0
"""Shorter stacks are oesophagus or chance."""


@dataclass(frozen=True, slots=True)
class Patch:
    """A round patch of air.

    Attributes:
        slice: Number of its slice.
        row: Row of its center.
        column: Column of its center.
        area_mm2: Its area.
    """

    slice: int
    row: int
    column: int
    area_mm2: float


def find_trachea(scan: CoarseScan, air: NDArray[np.uint8], body: NDArray[np.uint8]) -> list[Patch]:
    """The lumen of the trachea from top to bottom; empty where none is to be seen.

    Args:
        scan: The scan.
        air: Air in the body.
        body: The body.
    """
    stacks: list[list[Patch]] = []
    reach = (4.0 + 0.8 * scan.spacing_mm[0]) / scan.pixel_mm
    for number in range(len(air)):
        for patch in _round_patches(scan, air[number], body[number], number):
            above = next((s for s in stacks if _continues(s[-1], patch, reach)), None)
            if above is None:
                stacks.append([patch])
            else:
                above.append(patch)
    needed = min(len(air), max(3, round(MINIMUM_LENGTH_MM / scan.spacing_mm[0])))
    long = [stack for stack in stacks if len(stack) >= needed]
    return max(long, key=lambda s: (len(s), max(p.area_mm2 for p in s)), default=[])


def _continues(upper: Patch, lower: Patch, reach: float) -> bool:
    """Whether one patch lies right below another of about its size."""
    away = np.hypot(upper.row - lower.row, upper.column - lower.column)
    alike = 0.5 < lower.area_mm2 / upper.area_mm2 < 2.0
    return bool(upper.slice == lower.slice - 1 and away < reach and alike)


def _round_patches(
    scan: CoarseScan, air: NDArray[np.uint8], body: NDArray[np.uint8], number: int
) -> Iterator[Patch]:
    """Round patches of air with a wall around them, near the middle of the body."""
    columns = np.nonzero(np.any(body, axis=0))[0]
    if columns.size == 0:
        return
    middle, width = (columns[0] + columns[-1]) / 2, columns[-1] - columns[0]
    lumen = ((scan.hu[number] < LUMEN_HU) & (air > 0)).astype(np.uint8)
    _, labels, boxes, centers = cv2.connectedComponentsWithStats(lumen, connectivity=4)
    areas = boxes[:, cv2.CC_STAT_AREA] * (scan.spacing_mm[1] * scan.spacing_mm[2])
    square = np.max(boxes[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]], axis=1) ** 2
    fits = (areas > AREA_MM2[0]) & (areas < AREA_MM2[1])
    fits &= boxes[:, cv2.CC_STAT_AREA] > ROUND * square
    fits &= np.abs(centers[:, 0] - middle) < MIDDLE_SHARE * width
    fits[0] = False
    for label in np.nonzero(fits)[0]:
        if _has_wall(scan, labels == label, air):
            column, row = np.rint(centers[label]).astype(int)
            yield Patch(number, int(row), int(column), float(areas[label]))


def _has_wall(scan: CoarseScan, patch: NDArray[np.bool_], air: NDArray[np.uint8]) -> bool:
    """Whether tissue lies around a patch of air."""
    # the first pixel around a lumen is half air, half wall
    lumen = cv2.dilate(patch.astype(np.uint8), scan.disk(0.0))
    ring = cv2.dilate(lumen, scan.disk(RING_MM)) > lumen
    return bool(np.mean(air[ring]) < OPEN_SHARE)

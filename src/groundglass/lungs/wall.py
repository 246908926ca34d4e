"""Consolidated lung against the chest wall, which no threshold can tell from the wall.

On a healthy ray from the middle of the chest, aerated lung ends at the ribs. Where it ends
earlier, or where a ray between healthy ones meets no lung at all, what lies before the ribs is
consolidated lung or fluid; fluid is told by its Hounsfield units.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from groundglass.lungs.coarse import CoarseScan
from groundglass.lungs.fluid import find_fluid
from groundglass.lungs.rays import BACK, DIRECTIONS, FRONT, Map, Rays, cast_rays, heart_rays
from groundglass.lungs.rib_cage import NEAR_MM, chest_wall

GAP_MM = 4.0
"""Lung that ends closer to the wall than this reaches it."""

BULGE_MM = 12.0
"""Lung may bulge out between the ribs by as much."""

INNER_SHARE = 0.4
"""Lung that ends within this share of the way to the wall does not belong to the wall."""

LARGEST_MM = 120.0
"""A thicker layer before the ribs is no consolidation but another organ."""

THIN_MM = 10.0
"""A thinner layer on a ray that meets no lung is liver as likely as lung."""

SPREAD_DEGREES = 46
"""Half the width of the widest gap between rays that reach the wall."""

NEIGHBOR_DEGREES = (31, 61)
"""Width of the sector in which a ray finds the neighbors that show where lung begins, for rays
without and with lung of their own."""

BACK_DEGREES = 40
"""Rays this close to the spine meet lung late and do not show where it begins elsewhere."""

SPINE_DEGREES = 16
"""Rays this close to the spine are left out."""

FRONT_DEGREES = 22
"""Rays this close to the sternum are left out."""

HEART_GAP_MM = 12.0
"""Muscle and cartilage beside the sternum are not thicker than this."""

APEX_MM = 25.0
"""So close to the top of the lungs the wall bends too much to be known."""

TALL_MM = 10.0
"""What shows on rays that meet no lung over less than this height is the edge of the diaphragm."""

SPECK_MM = 2.0
"""Radius of what is too small to be more than chance."""

SMALL_MM2 = 500.0
"""A smaller part on a slice has to touch lung; fat and bowel below the lung do not."""

TOUCHING = 0.1
"""Share of its rim that is lung where a small part touches it."""


def fill_to_wall(scan: CoarseScan, lungs: NDArray[np.uint8], middle: float) -> NDArray[np.uint8]:
    """Lungs with what is consolidated between aerated lung and the ribs.

    Args:
        scan: The scan.
        lungs: Lungs as far as they hold air, numbered as in ``Lung``.
        middle: Column of the middle of the body.
    """
    rays = cast_rays(scan, lungs, middle)
    wall = chest_wall(scan, rays)
    # lung behind the heart or above the liver says nothing about the wall beyond them
    end = np.where(rays.end > INNER_SHARE * wall, rays.end, 0)
    gap_mm = np.where(end > 0, (wall - end) * scan.pixel_mm, np.inf)
    reaches = (wall > 0) & (gap_mm < GAP_MM) & (gap_mm > -BULGE_MM)
    start = _start(rays, end, reaches)
    thick_mm = (wall - start) * scan.pixel_mm
    wanted = (wall > 0) & (gap_mm > GAP_MM) & _surrounded(scan, reaches, gap_mm)
    tall = np.ones((max(1, round(TALL_MM / scan.spacing_mm[0])), 3), np.uint8)
    wanted_over_height = cv2.morphologyEx(wanted.astype(np.uint8), cv2.MORPH_OPEN, tall) > 0
    wanted &= thick_mm < LARGEST_MM
    wanted &= (end > 0) | ((thick_mm > THIN_MM) & wanted_over_height)
    side = _side(rays, reaches)
    filled = lungs.copy()
    for number in map(int, np.nonzero(wanted.any(axis=1))[0]):
        near, far = start[number][rays.direction], wall[number][rays.direction]
        between = wanted[number][rays.direction] & (rays.away > near) & (rays.away <= far)
        tissue = (between & ~find_fluid(scan, number)).astype(np.uint8)
        solid = cv2.morphologyEx(tissue, cv2.MORPH_OPEN, scan.disk(SPECK_MM)) > 0
        new = _touching(scan, solid & (lungs[number] == 0), lungs[number] > 0)
        filled[number][new] = side[number][rays.direction][new]
    return filled


def _touching(
    scan: CoarseScan, new: NDArray[np.bool_], lung: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """New lung on a slice without small parts that hardly touch the old."""
    count, parts, boxes, _ = cv2.connectedComponentsWithStats(new.view(np.uint8), connectivity=4)
    kept = new.copy()
    for part in range(1, count):
        if boxes[part, cv2.CC_STAT_AREA] * scan.pixel_mm**2 >= SMALL_MM2:
            continue
        here = (parts == part).view(np.uint8)
        rim = (cv2.dilate(here, np.ones((3, 3), np.uint8)) > 0) & (here == 0)
        if np.count_nonzero(lung & rim) < TOUCHING * np.count_nonzero(rim):
            kept[here > 0] = False
    return kept


def _surrounded(scan: CoarseScan, reaches: NDArray[np.bool_], gap_mm: Map) -> NDArray[np.bool_]:
    """Rays between rays that reach the wall, outside the sectors of spine and sternum."""
    directions = np.arange(DIRECTIONS)
    spine = np.abs(directions - BACK) < SPINE_DEGREES
    front = np.abs(directions - FRONT) < FRONT_DEGREES
    sure = reaches & ~front
    # lung lies on both sides of the spine, down to the lowest slice
    sure[:, spine] = np.any(reaches, axis=1, keepdims=True)
    near = max(1, round(NEAR_MM / scan.spacing_mm[0]))
    above_or_below = cv2.dilate(reaches.astype(np.uint8), np.ones((2 * near + 1, 5), np.uint8)) > 0
    has_lung = np.any(gap_mm < np.inf, axis=1, keepdims=True)
    apex = (np.cumsum(has_lung, axis=0) * scan.spacing_mm[0] < APEX_MM) & ~has_lung[:1]
    heart = heart_rays() & ((gap_mm < HEART_GAP_MM) | np.isinf(gap_mm))
    left_out = spine | front | heart | apex
    return np.asarray(_bridge(sure) & above_or_below & ~left_out)


def _bridge(rays: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Close gaps between rays on every slice, around the back but never across the front."""
    half = DIRECTIONS // 2
    from_front = np.roll(rays, -FRONT, axis=1).astype(np.uint8)
    framed = np.pad(from_front, ((0, 0), (half, half)))
    kernel = np.ones((1, 2 * SPREAD_DEGREES + 1), np.uint8)
    closed = cv2.morphologyEx(framed, cv2.MORPH_CLOSE, kernel)[:, half:-half]
    return np.asarray(np.roll(closed > 0, FRONT, axis=1))


def _start(rays: Rays, end: Map, reaches: NDArray[np.bool_]) -> Map:
    """Where consolidated lung may begin on each ray: behind the lung it meets.

    Not before lung begins on the nearby rays that reach the wall, though: the liver lies there. On
    rays that meet no lung at all only the nearest count.
    """
    directions = np.arange(DIRECTIONS)
    beside_spine = np.abs(directions - BACK) < BACK_DEGREES
    start = rays.start.copy()
    for row, known in zip(start, reaches & ~beside_spine, strict=True):
        if known.any():
            row[:] = np.interp(directions, directions[known], row[known], period=DIRECTIONS)
    narrow, wide = (
        ndimage.minimum_filter1d(start, degrees, axis=1, mode="wrap")
        for degrees in NEIGHBOR_DEGREES
    )
    return np.asarray(np.where(end > 0, np.maximum(end, wide), narrow), np.float32)


def _side(rays: Rays, reaches: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Lung that each ray belongs to: that of the nearest ray that reaches the wall."""
    side = rays.lung.copy()
    directions = np.arange(DIRECTIONS)
    for row, valid in zip(side, reaches, strict=True):
        known = directions[valid]
        if known.size:
            apart = np.abs(directions[:, None] - known[None])
            nearest = np.minimum(apart, DIRECTIONS - apart).argmin(axis=1)
            row[:] = row[known[nearest]]
    return side

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
from groundglass.lungs.rays import DIRECTIONS, Map, Rays, cast_rays

BACK, FRONT = 90, 270
"""Rays that run straight to the back and to the front."""

GAP_MM = 4.0
"""Lung that ends closer to its wall than this reaches it."""

INNER_SHARE = 0.4
"""Lung that ends within this share of the way to the wall does not belong to the wall."""

BULGE_MM = 12.0
"""Lung may bulge out between the ribs by as much."""

LARGEST_GAP_MM = 120.0
"""More than this before the ribs is no consolidation but another organ."""

RIB_DISTANCE_MM = 18.0
"""Half of the distance from one rib to the next."""

BALL_MM, BALL_DEGREES = 20.0, 20
"""Size of the ellipse that rolls along the lungs, from within, where no rib is seen."""

SPREAD_DEGREES = 46
"""Half of the width of the widest consolidation that reaches down to the diaphragm."""

NEAR_MM = 80.0
"""Lung reaches the wall in the same direction on a slice as near as this."""

NEIGHBOR_DEGREES = (31, 61)
"""Width of the sector in which a ray finds the neighbors that show where lung begins, for rays
without and with lung of their own."""

THIN_MM = 10.0
"""A layer thinner than this on a ray that meets no lung is liver as likely as lung."""

BACK_DEGREES = 40
"""Rays this close to the spine meet lung late and do not show where it begins elsewhere."""

SPINE_DEGREES = 16
"""Rays this close to the spine are left out."""

FRONT_DEGREES = 22
"""Rays this close to the sternum are left out."""

HEART_DEGREES = (45, 65)
"""Rays this close to the sternum, to the right and to the left, may meet the heart and nothing
else; they are left out unless they meet lung first."""

HEART_GAP_MM = 12.0
"""Muscle and cartilage beside the sternum are not thicker than this."""

APEX_MM = 25.0
"""So close to the top of the lungs the wall bends too much to be known."""

FLUID_HU = (-15, 18)
"""Hounsfield units of an effusion; consolidated lung holds blood and lies above."""

AIRLESS_HU = -70
"""An effusion has no voxel below it; the tissue of lung mostly has some nearby."""

FLUID_MM = 4.0
"""A layer of fluid is thicker than this where it matters."""

SMOOTH_MM = 8.0
"""Width over which Hounsfield units are averaged to tell fluid from consolidated lung."""


def fill_to_wall(scan: CoarseScan, lungs: NDArray[np.uint8], middle: float) -> NDArray[np.uint8]:
    """Lungs with what is consolidated between aerated lung and the ribs.

    Args:
        scan: The scan.
        lungs: Lungs as far as they hold air, numbered as in ``Lung``.
        middle: Column of the middle of the body.
    """
    rays = cast_rays(scan, lungs, middle)
    wall = _wall(scan, rays)
    # lung behind the heart or above the liver says nothing about the wall beyond them
    end = np.where(rays.end > INNER_SHARE * wall, rays.end, 0)
    gap_mm = np.where(end > 0, (wall - end) * scan.pixel_mm, np.inf)
    reaches = (wall > 0) & (gap_mm < GAP_MM) & (gap_mm > -BULGE_MM)
    wanted = _surrounded(scan, reaches, gap_mm) & (wall > 0) & (gap_mm > GAP_MM)
    start = _start(rays, end, reaches)
    thick = (wall - start) * scan.pixel_mm
    wanted &= (thick < LARGEST_GAP_MM) & ((end > 0) | (thick > THIN_MM))
    side = _side(rays, reaches)
    filled = lungs.copy()
    kernel = scan.disk(2.0)
    for number in np.nonzero(wanted.any(axis=1))[0]:
        near, far = start[number][rays.direction], wall[number][rays.direction]
        between = wanted[number][rays.direction] & (rays.away > near) & (rays.away <= far)
        between &= ~_is_fluid(scan, number)
        opened = cv2.morphologyEx(between.view(np.uint8), cv2.MORPH_OPEN, kernel) > 0
        opened &= lungs[number] == 0
        filled[number][opened] = side[number][rays.direction][opened]
    return filled


def _wall(scan: CoarseScan, rays: Rays) -> Map:
    """Where each ray leaves the chest: at the ribs, or without ribs where nearby lung ends."""
    ribs = _rib_cage(scan, rays)
    step = max(1, round(BALL_MM / scan.spacing_mm[0]))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * BALL_DEGREES + 1, 2 * step + 1))
    wide = np.concatenate([rays.end] * 3, axis=1)
    rolled = cv2.morphologyEx(wide, cv2.MORPH_CLOSE, kernel)[:, DIRECTIONS : 2 * DIRECTIONS]
    outer = rolled > _outermost_lung(scan, rays) / 2
    return np.where(ribs > 0, ribs, np.where(outer & ~_heart(), rolled, 0))


def _rib_cage(scan: CoarseScan, rays: Rays) -> Map:
    """The pleura along the ribs, with lines drawn from each rib to the next; 0 unknown."""
    step = max(1, round(RIB_DISTANCE_MM / scan.spacing_mm[0]))
    known = np.nan_to_num(rays.bone, nan=np.inf)
    nearest = ndimage.minimum_filter(known, (2 * step + 1, 7), mode=("nearest", "wrap"))
    lung = _outermost_lung(scan, rays)
    # shoulder blades lie behind the ribs; contrast medium and calcium lie before them
    rib = np.isfinite(rays.bone) & (known < nearest + 8.0 / scan.pixel_mm) & (known > lung / 2)
    touching = rib & (rays.end > 0) & (known - rays.end < 12.0 / scan.pixel_mm)
    if touching.sum() < DIRECTIONS:
        return np.zeros_like(rays.end)
    pleura = float(np.median((known - rays.end)[touching]))
    wall = np.zeros_like(rays.end)
    slices = np.arange(len(wall))
    for ray in range(DIRECTIONS):
        here = np.nonzero(rib[:, ray])[0]
        if here.size:
            line = np.interp(slices, here, known[here, ray], left=pleura, right=pleura)
            wall[:, ray] = line - pleura
    return cv2.medianBlur(np.concatenate([wall] * 3, axis=1), 5)[:, DIRECTIONS : 2 * DIRECTIONS]


def _outermost_lung(scan: CoarseScan, rays: Rays) -> Map:
    """The farthest that lung reaches in the same direction on the slices around."""
    near = max(1, round(NEAR_MM / scan.spacing_mm[0]))
    farthest: Map = ndimage.maximum_filter(rays.end, (2 * near + 1, 7), mode=("nearest", "wrap"))
    return farthest


def _surrounded(scan: CoarseScan, reaches: NDArray[np.bool_], gap_mm: Map) -> NDArray[np.bool_]:
    """Rays between rays that reach the wall, outside the sectors of spine and sternum."""
    directions = np.arange(DIRECTIONS)
    spine = np.abs(directions - BACK) < SPINE_DEGREES
    front = np.abs(directions - FRONT) < FRONT_DEGREES
    bridged = reaches & ~front
    # lung lies on both sides of the spine, down to the lowest slice
    bridged[:, spine] = reaches.any(axis=1)[:, None]
    closed = _bridge(bridged)
    has_lung = (gap_mm < np.inf).any(axis=1)
    apex = (np.cumsum(has_lung) * scan.spacing_mm[0] < APEX_MM) & ~has_lung[0]
    near = max(1, round(NEAR_MM / scan.spacing_mm[0]))
    known = cv2.dilate(reaches.view(np.uint8), np.ones((2 * near + 1, 5), np.uint8)) > 0
    left_out = (
        spine | front | (_heart() & ((gap_mm < HEART_GAP_MM) | np.isinf(gap_mm))) | apex[:, None]
    )
    return closed & known & ~left_out


def _heart() -> NDArray[np.bool_]:
    """Rays that may meet the heart."""
    directions = np.arange(DIRECTIONS)
    return (directions > FRONT - HEART_DEGREES[0]) & (directions < FRONT + HEART_DEGREES[1])


def _bridge(rays: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Close gaps between rays on every slice, around the back but never across the front."""
    from_front = np.roll(rays, -FRONT, axis=1)
    framed = np.pad(from_front, ((0, 0), (DIRECTIONS // 2, DIRECTIONS // 2))).view(np.uint8)
    kernel = np.ones((1, 2 * SPREAD_DEGREES + 1), np.uint8)
    closed = cv2.morphologyEx(framed, cv2.MORPH_CLOSE, kernel)
    return np.roll(closed[:, DIRECTIONS // 2 : -DIRECTIONS // 2] > 0, FRONT, axis=1)


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
    return np.where(end > 0, np.maximum(end, wide), narrow)


def _side(rays: Rays, reaches: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Lung that each ray belongs to: its own, or that of the nearest ray that has one."""
    side = rays.lung.copy()
    directions = np.arange(DIRECTIONS)
    for row, valid in zip(side, reaches, strict=True):
        if not valid.any():
            continue
        known = directions[valid]
        apart = np.abs(directions[:, None] - known[None])
        nearest = np.minimum(apart, DIRECTIONS - apart).argmin(axis=1)
        row[:] = row[known[nearest]]
    return side


def _is_fluid(scan: CoarseScan, number: int) -> NDArray[np.bool_]:
    """Pixels of a slice that lie in water: no blood, no air bubble nearby.

    The median passes over noise; consolidated lung has open airways and spared lobules instead.
    """
    reach = max(0, round(SMOOTH_MM / 3 / scan.spacing_mm[0]))
    group = scan.hu[max(0, number - reach) : number + reach + 1]
    gray = (np.clip(group, -200, 55).mean(axis=0) + 200).astype(np.uint8)
    median = cv2.medianBlur(gray, 2 * max(1, round(SMOOTH_MM / 2 / scan.pixel_mm)) + 1)
    low, high = (hu + 200 for hu in FLUID_HU)
    kernel = scan.disk(SMOOTH_MM / 2)
    airless = cv2.erode(cv2.blur(gray, (3, 3)), kernel) > AIRLESS_HU + 200
    water = ((median > low) & (median < high) & airless).view(np.uint8)
    pool = cv2.morphologyEx(water, cv2.MORPH_OPEN, scan.disk(FLUID_MM / 2))
    return cv2.dilate(pool, kernel) > 0

"""The inner surface of the chest wall, seen from the axis between the lungs."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from groundglass.lungs.coarse import CoarseScan
from groundglass.lungs.rays import DIRECTIONS, Map, Rays, heart_rays

RIB_DISTANCE_MM = 18.0
"""Half of the distance from one rib to the next."""

SHOULDER_MM = 8.0
"""A bone that lies this much farther out than the one next to it is no rib."""

TOUCH_MM = 12.0
"""Lung that ends this close to a rib touches the pleura there."""

NEAR_MM = 80.0
"""Height over which the chest keeps its shape roughly."""

BALL_MM, BALL_DEGREES = 20.0, 20
"""Half the size of the ellipse that rolls along the lungs, from within, where no rib is seen."""


def chest_wall(scan: CoarseScan, rays: Rays) -> Map:
    """Where each ray leaves the chest: at the ribs, or without ribs where nearby lung ends.

    0 where it is not known, as in front of the heart, where cartilage takes the place of ribs.
    """
    ribs = _rib_cage(scan, rays)
    step = max(1, round(BALL_MM / scan.spacing_mm[0]))
    size = (2 * BALL_DEGREES + 1, 2 * step + 1)
    ball = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, size)
    rolled = _around(lambda ends: cv2.morphologyEx(ends, cv2.MORPH_CLOSE, ball), rays.end)
    rolled[(rolled <= _farthest_lung(scan, rays) / 2) | heart_rays()] = 0
    return np.where(ribs > 0, ribs, rolled)


def _rib_cage(scan: CoarseScan, rays: Rays) -> Map:
    """The pleura along the ribs, with lines drawn from each rib to the next; 0 unknown."""
    bone = np.nan_to_num(rays.bone, nan=np.inf)
    ribs = _are_ribs(scan, rays, bone)
    touching = ribs & (rays.end > 0) & (bone - rays.end < TOUCH_MM / scan.pixel_mm)
    cage = np.zeros_like(rays.end)
    if touching.sum() < DIRECTIONS:
        return cage
    pleura = float(np.median((bone - rays.end)[touching]))
    slices = np.arange(len(cage))
    for ray in range(DIRECTIONS):
        here = np.nonzero(ribs[:, ray])[0]
        if here.size:
            line = np.interp(slices, here, bone[here, ray], left=pleura, right=pleura)
            cage[:, ray] = line - pleura
    return _around(lambda wide: cv2.medianBlur(wide, 5), cage)


def _are_ribs(scan: CoarseScan, rays: Rays, bone: Map) -> NDArray[np.bool_]:
    """Rays whose first bone is a rib.

    Shoulder blades lie behind the ribs; contrast medium and calcium lie before them.
    """
    step = max(1, round(RIB_DISTANCE_MM / scan.spacing_mm[0]))
    nearest = ndimage.minimum_filter(bone, (2 * step + 1, 7), mode=("nearest", "wrap"))
    before_shoulder = bone < nearest + SHOULDER_MM / scan.pixel_mm
    behind_lung = bone > _farthest_lung(scan, rays) / 2
    return np.asarray(np.isfinite(bone) & before_shoulder & behind_lung)


def _farthest_lung(scan: CoarseScan, rays: Rays) -> Map:
    """The farthest that lung reaches in the same direction on the slices around."""
    near = max(1, round(NEAR_MM / scan.spacing_mm[0]))
    farthest: Map = ndimage.maximum_filter(rays.end, (2 * near + 1, 7), mode=("nearest", "wrap"))
    return farthest


def _around(step: Callable[[Map], Any], values: Map) -> Map:
    """A filter that knows that the last direction lies next to the first."""
    wide = step(np.concatenate([values] * 3, axis=1))
    return np.ascontiguousarray(wide[:, DIRECTIONS : 2 * DIRECTIONS], np.float32)

"""The air inside the body: lungs, airways and bowel, without the room, the table and the bed."""

import cc3d
import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.lungs.coarse import CoarseScan

SOFT_HU = -300
"""Above it a voxel is tissue, below it mostly air; ground glass lies below."""

ROOM_HU = -930
"""Below it an averaged voxel is plain air; lung holds some blood and lies above."""


def find_body(scan: CoarseScan) -> NDArray[np.uint8]:
    """The body with everything in it, 1 inside: the hull of its largest piece on every slice.

    The table and the bed are thinner than the chest wall, so that opening takes them away.
    """
    solid = (scan.hu > SOFT_HU).view(np.uint8)
    kernel = scan.disk(4.0)
    opened = np.empty_like(solid)
    for pixels, result in zip(solid, opened, strict=True):
        cv2.morphologyEx(pixels, cv2.MORPH_OPEN, kernel, dst=result)
    body = cc3d.largest_k(opened, k=1, connectivity=6).astype(np.uint8)
    for number, pixels in enumerate(body):
        body[number] = hull(pixels)
    return body


def find_air(scan: CoarseScan, body: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Everything in the body that holds air, 1 inside.

    The room reaches into the hull of the body at armpits, between breasts and beside the neck.
    It is filled from the edge of the picture through plain air only, so that a lung that the
    field of view cuts is not lost with it.
    """
    air = ((scan.hu < SOFT_HU) & (body > 0)).view(np.uint8)
    edge = scan.disk(4.5)
    for pixels, result in zip(scan.hu, air, strict=True):
        result[cv2.dilate(_room(pixels), edge) > 0] = 0
    return air


def hull(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Convex hull of everything on a slice, 1 inside."""
    filled = np.zeros_like(pixels)
    outlines, _ = cv2.findContours(pixels, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if outlines:
        cv2.fillConvexPoly(filled, cv2.convexHull(np.concatenate(outlines)), 1)
    return filled


def _room(pixels: NDArray[np.int16]) -> NDArray[np.uint8]:
    """Plain air that reaches the edge of a slice, 1 inside."""
    smooth = cv2.blur(pixels, (3, 3))
    plain = (smooth < ROOM_HU).view(np.uint8)
    framed = cv2.copyMakeBorder(plain, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    cv2.floodFill(framed, None, (0, 0), 2)
    return np.asarray(framed[1:-1, 1:-1] == 2).astype(np.uint8)

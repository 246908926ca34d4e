"""The body in a picture: what is left without the air around it and the table under it."""

import cv2
import numpy as np
from numpy.typing import NDArray

_LONG_RUN = 0.8


def find_body(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """The body with everything inside its outline, lungs included.

    Dark parts that hold a corner of the picture, or run along most of one side, are air around
    the body. In a picture cropped to the lungs, lung cut by the border stays inside: there the
    border itself closes the outline.

    Args:
        pixels: Picture, (row, column), 0 to 255.

    Returns:
        (row, column), true inside; true everywhere where no outline can be told.
    """
    _, bright = cv2.threshold(cv2.medianBlur(pixels, 5), 0, 1, cv2.THRESH_OTSU)
    bright = cv2.morphologyEx(bright, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    framed = _close_border(np.asarray(bright, np.uint8))
    count, parts, stats, _ = cv2.connectedComponentsWithStats(framed, connectivity=4)
    if count < 2:
        return np.ones(pixels.shape, bool)
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    outline, _ = cv2.findContours(
        (parts == largest).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    body = np.zeros_like(framed)
    cv2.drawContours(body, outline, -1, 1, -1)
    return body[1:-1, 1:-1] > 0


def _close_border(bright: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture with a bright frame of one pixel, open where air around the body meets it."""
    _, parts = cv2.connectedComponents(1 - bright, connectivity=4)
    sides = [parts[0], parts[-1], parts[:, 0], parts[:, -1]]
    around = {int(side[end]) for side in sides for end in (0, -1)}
    for side in sides:
        runs = np.bincount(side)
        around |= set(np.flatnonzero(runs > _LONG_RUN * side.size).tolist())
    around.discard(0)
    air = np.isin(parts, sorted(around))
    framed = np.pad(bright, 1)
    for edge, side in (
        (framed[0, 1:-1], air[0]),
        (framed[-1, 1:-1], air[-1]),
        (framed[1:-1, 0], air[:, 0]),
        (framed[1:-1, -1], air[:, -1]),
    ):
        edge[~side] = 1
    return framed

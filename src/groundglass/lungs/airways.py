"""Trachea and main bronchi, which are no lung."""

from dataclasses import dataclass

import cc3d
import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.lungs.coarse import CoarseScan

LUMEN_HU = -900
"""Below it an averaged voxel on a slice through the trachea is its lumen."""

GROWTH_HU = range(-960, -839, 20)
"""Limits that the lumen is grown at, one after the other, until it leaks into the lung."""

LEAK_ML = 120.0
"""No trachea with its main bronchi is larger."""

LEAK_RATIO = 2.2
"""Nor does it grow by more from one limit to the next."""

MAIN_BRONCHUS_SHARE = 0.4
"""Airways thinner than this share of the trachea are lobar and stay with the lung."""

WALL_MM = 1.8
"""Thickness of the wall, which is no lung either."""

MINIMUM_LENGTH_MM = 18.0
"""Shorter round patches of air are oesophagus or chance."""


@dataclass(slots=True)
class _Track:
    """Round patches of air that lie below each other."""

    slices: list[int]
    centers: list[tuple[int, int]]
    areas: list[float]


def find_airways(
    scan: CoarseScan, air: NDArray[np.uint8], body: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Trachea and main bronchi with their walls, 1 inside; empty where none is to be seen.

    The trachea is the longest stack of round patches of air near the middle of the body. It is
    grown from there at rising limits, as long as it does not leak; airways as thin as a lobar
    bronchus are then left to the lung.

    Args:
        scan: The scan.
        air: Air in the body.
        body: The body.
    """
    found = np.zeros_like(air)
    track = _find_trachea(scan, air, body)
    if track is None:
        return found
    box = _surroundings(scan, track)
    seeds = [
        (number - box[0].start, row - box[1].start, column - box[2].start)
        for number, (row, column) in zip(track.slices, track.centers, strict=True)
    ]
    lumen = _grow(scan, air[box] > 0, scan.hu[box], seeds)
    if lumen is None:
        return found
    thin = MAIN_BRONCHUS_SHARE * float(np.sqrt(np.median(track.areas) / np.pi))
    wide = scan.distance(lumen) > thin
    labels = cc3d.connected_components(wide, connectivity=26)
    seed_labels = {int(labels[s]) for s in seeds} - {0}
    wide = np.isin(labels, list(seed_labels))
    reach = thin + WALL_MM + 0.5 * scan.pixel_mm
    found[box] = scan.distance(~wide) < reach
    return found


def _find_trachea(
    scan: CoarseScan, air: NDArray[np.uint8], body: NDArray[np.uint8]
) -> _Track | None:
    """The longest stack of round patches that lies near the middle."""
    tracks: list[_Track] = []
    area = scan.spacing_mm[1] * scan.spacing_mm[2]
    step_mm = 4.0 + 0.8 * scan.spacing_mm[0]
    for number, (pixels, inside, whole) in enumerate(zip(scan.hu, air, body, strict=True)):
        lumen = ((pixels < LUMEN_HU) & (inside > 0)).view(np.uint8)
        for center, size in _round_patches(lumen, whole, scan):
            _extend(tracks, number, center, size * area, step_mm / scan.pixel_mm)
    needed = min(len(air), max(3, round(MINIMUM_LENGTH_MM / scan.spacing_mm[0])))
    long = [t for t in tracks if len(t.slices) >= needed]
    return max(long, key=lambda t: (len(t.slices), max(t.areas)), default=None)


def _round_patches(
    lumen: NDArray[np.uint8], body: NDArray[np.uint8], scan: CoarseScan
) -> list[tuple[tuple[int, int], float]]:
    """Row, column and pixels of round patches of air in the middle third of the body."""
    across = np.nonzero(body.any(axis=0))[0]
    if across.size == 0:
        return []
    left, width = int(across[0]), int(across[-1] - across[0])
    count, _, boxes, centers = cv2.connectedComponentsWithStats(lumen, connectivity=4)
    found = []
    area = scan.spacing_mm[1] * scan.spacing_mm[2]
    for number in range(1, count):
        size = float(boxes[number, cv2.CC_STAT_AREA])
        longest = max(boxes[number, cv2.CC_STAT_WIDTH], boxes[number, cv2.CC_STAT_HEIGHT])
        middle = abs(centers[number][0] - left - width / 2) < width / 6
        if middle and 50.0 < size * area < 700.0 and size > 0.45 * longest**2:
            column, row = centers[number]
            found.append(((round(row), round(column)), size))
    return found


def _extend(
    tracks: list[_Track], number: int, center: tuple[int, int], area: float, reach: float
) -> None:
    """Add a patch to the track that ends right above it, or start a track."""
    for track in tracks:
        away = np.hypot(track.centers[-1][0] - center[0], track.centers[-1][1] - center[1])
        near = track.slices[-1] == number - 1 and away < reach
        if near and 0.5 < area / track.areas[-1] < 2.0:
            track.slices.append(number)
            track.centers.append(center)
            track.areas.append(area)
            return
    tracks.append(_Track([number], [center], [area]))


def _surroundings(scan: CoarseScan, track: _Track) -> tuple[slice, slice, slice]:
    """Box around the trachea that reaches down to the ends of the main bronchi."""
    margin = (75.0, 60.0, 75.0)
    low = [track.slices[0], *np.min(track.centers, axis=0)]
    high = [track.slices[-1], *np.max(track.centers, axis=0)]
    steps = [round(m / mm) for m, mm in zip(margin, scan.spacing_mm, strict=True)]
    starts = [0, *(max(0, int(c) - s) for c, s in zip(low[1:], steps[1:], strict=True))]
    ends = [min(n, int(c) + s + 1) for c, s, n in zip(high, steps, scan.hu.shape, strict=True)]
    return slice(starts[0], ends[0]), slice(starts[1], ends[1]), slice(starts[2], ends[2])


def _grow(
    scan: CoarseScan,
    air: NDArray[np.bool_],
    hu: NDArray[np.int16],
    seeds: list[tuple[int, int, int]],
) -> NDArray[np.bool_] | None:
    """The lumen at the highest limit at which it does not leak."""
    grown: NDArray[np.bool_] | None = None
    before = LEAK_ML
    for limit in GROWTH_HU:
        labels = cc3d.connected_components(air & (hu < limit), connectivity=6)
        hit = np.bincount([int(labels[s]) for s in seeds])
        hit[0] = 0
        if not hit.any():
            continue
        region = labels == int(hit.argmax())
        volume = float(region.sum()) * scan.voxel_ml
        if volume > LEAK_ML or volume > LEAK_RATIO * before:
            break
        grown, before = region, volume
    return grown

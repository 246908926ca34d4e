"""Trachea and main bronchi, which are no lung."""

from collections.abc import Sequence

import cc3d
import numpy as np
from numpy.typing import NDArray

from groundglass.lungs.coarse import CoarseScan
from groundglass.lungs.trachea import Patch, find_trachea

GROWTH_HU = range(-1000, -839, 20)
"""Limits that the lumen is grown at, one after the other, until it leaks into the lung."""

LEAK_ML = 120.0
"""No trachea with its main bronchi is larger."""

LEAK_STEP_ML = 35.0
"""Nor does it grow by more from one limit to the next."""

MAIN_BRONCHUS_SHARE = 0.4
"""Airways thinner than this share of the trachea are lobar and stay with the lung."""

WALL_MM = 1.8
"""Thickness of the wall, which is no lung either."""

MARGIN_MM = (75.0, 60.0, 75.0)
"""Reach of the main bronchi from the trachea along slice, row and column."""


def find_airways(
    scan: CoarseScan, air: NDArray[np.uint8], body: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Trachea and main bronchi with their walls, 1 inside; empty where none is to be seen.

    Args:
        scan: The scan.
        air: Air in the body.
        body: The body.
    """
    found = np.zeros_like(air)
    trachea = find_trachea(scan, air, body)
    if not trachea:
        return found
    box = _surroundings(scan, trachea)
    origin = [part.start for part in box]
    seeds = [tuple(np.subtract((p.slice, p.row, p.column), origin)) for p in trachea]
    lumen = _grow(scan, air[box] > 0, scan.hu[box], seeds)
    if lumen is None:
        return found
    radius_mm = float(np.sqrt(np.median([p.area_mm2 for p in trachea]) / np.pi))
    thin_mm = MAIN_BRONCHUS_SHARE * radius_mm
    labels = cc3d.connected_components(scan.distance(lumen) > thin_mm, connectivity=26)
    wide = np.isin(labels, list({int(labels[seed]) for seed in seeds} - {0}))
    found[box] = scan.distance(~wide) < thin_mm + WALL_MM + 0.5 * scan.pixel_mm
    return found


def _surroundings(scan: CoarseScan, trachea: Sequence[Patch]) -> tuple[slice, slice, slice]:
    """Box around the trachea that reaches down to the ends of the main bronchi."""
    points = np.array([(p.slice, p.row, p.column) for p in trachea])
    margin = np.rint(np.divide(MARGIN_MM, scan.spacing_mm)).astype(int)
    low, high = points.min(axis=0) - margin, points.max(axis=0) + margin + 1
    low = np.maximum(low, (points[0, 0], 0, 0))
    high = np.minimum(high, scan.hu.shape)
    first, row, column = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return first, row, column


def _grow(
    scan: CoarseScan,
    air: NDArray[np.bool_],
    hu: NDArray[np.int16],
    seeds: Sequence[tuple[int, ...]],
) -> NDArray[np.bool_] | None:
    """The lumen at the highest limit at which it does not leak; ``None`` if it always does."""
    grown: NDArray[np.bool_] | None = None
    before = 0.0
    for limit in GROWTH_HU:
        labels = cc3d.connected_components(air & (hu < limit), connectivity=6)
        hit = np.bincount([int(labels[seed]) for seed in seeds])
        hit[0] = 0
        if not hit.any():
            continue
        region = labels == int(hit.argmax())
        volume = float(region.sum()) * scan.voxel_ml
        if volume > LEAK_ML or volume - before > LEAK_STEP_ML:
            break
        grown, before = region, volume
    return grown

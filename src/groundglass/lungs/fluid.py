"""Fluid around the lung, which is no lung, told from consolidated lung."""

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.lungs.coarse import CoarseScan

FLUID_HU = (-15, 18)
"""Hounsfield units of an effusion; consolidated lung holds blood and lies above."""

AIRLESS_HU = -70
"""An effusion has no voxel below it; consolidated lung mostly has some nearby."""

LAYER_MM = 4.0
"""Thinner layers are chance."""

POOL_MM2 = 100.0
"""Smaller pools on a slice are chance as well."""

SMOOTH_MM = 8.0
"""Width over which Hounsfield units are averaged."""

_DARKEST_HU = -200


def find_fluid(scan: CoarseScan, number: int) -> NDArray[np.bool_]:
    """Pixels of a slice that lie in fluid: as dense as water, and no air nearby.

    The median passes over noise; open airways and spared lobules mark consolidated lung.
    """
    reach = int(SMOOTH_MM / 2 / scan.spacing_mm[0])
    group = scan.hu[max(0, number - reach) : number + reach + 1]
    gray = np.clip(group, _DARKEST_HU, _DARKEST_HU + 255).mean(axis=0) - _DARKEST_HU
    gray = gray.astype(np.uint8)
    size = 2 * max(1, round(SMOOTH_MM / 2 / scan.pixel_mm)) + 1
    median = cv2.medianBlur(gray, size)
    low, high = (hu - _DARKEST_HU for hu in FLUID_HU)
    near = scan.disk(SMOOTH_MM / 2)
    airless = cv2.erode(cv2.blur(gray, (3, 3)), near) > AIRLESS_HU - _DARKEST_HU
    water = np.asarray((median > low) & (median < high) & airless).astype(np.uint8)
    layers = cv2.morphologyEx(water, cv2.MORPH_OPEN, scan.disk(LAYER_MM / 2))
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(layers, connectivity=4)
    large = boxes[:, cv2.CC_STAT_AREA] * scan.pixel_mm**2 > POOL_MM2
    large[0] = False
    return np.asarray(cv2.dilate(large[labels].astype(np.uint8), near) > 0)

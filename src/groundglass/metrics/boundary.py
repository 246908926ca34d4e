"""How far the edges of two masks lie apart."""

from math import nan

import edt
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def edge_distance(
    found: NDArray[np.bool_], true: NDArray[np.bool_], near: float = 2.0
) -> tuple[float, float]:
    """Mean distance of two edges, and the share of both that lies near the other.

    The edge of a mask is its outermost pixels. Distances are taken from every pixel of either
    edge to the nearest of the other.

    Args:
        found: Mask, (row, column).
        true: The other, same shape.
        near: Distance up to which an edge counts as near, in pixels.

    Returns:
        Mean distance in pixels, and the share, 0 to 1; NaN both where a mask is empty.
    """
    edges = [mask & ~ndimage.binary_erosion(mask) for mask in (found, true)]
    if not all(edge.any() for edge in edges):
        return nan, nan
    away = [edt.edt(~edge, black_border=False) for edge in edges]
    distances = np.concatenate([away[1][edges[0]], away[0][edges[1]]])
    return float(distances.mean()), float((distances <= near).mean())

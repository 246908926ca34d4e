"""Thin tips of the lungs beside the diaphragm, which networks that see few pixels of them lose."""

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.lungs.bowel import gas_from, is_darker, small_pieces
from groundglass.lungs.coarse import CoarseScan


def find_recesses(
    scan: CoarseScan, air: NDArray[np.uint8], lungs: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Small pieces of air that go on from lung, beside it on a slice or from the slice above.

    Looked for in the lower half of the lungs alone, where no large airway lies beside them. A piece
    that is darker than the patient's lung is gas of bowel, a large one stomach or bowel.

    Args:
        scan: The scan.
        air: 1 in air within the body, airways left out.
        lungs: Lung as found, true inside.

    Returns:
        True in what is added, on the grid of the scan.
    """
    added = np.zeros_like(lungs)
    shown = np.flatnonzero(lungs.any(axis=(1, 2)))
    if not shown.size:
        return added
    gas_hu = gas_from(scan, lungs)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    for number in range(int(shown[0] + shown[-1]) // 2 + 1, len(lungs)):
        rest = ((air[number] > 0) & ~lungs[number]).view(np.uint8)
        above = (lungs[number - 1] | added[number - 1]).view(np.uint8)
        near = above | cv2.dilate(lungs[number].view(np.uint8), cross)
        for piece in small_pieces(scan, rest):
            if (piece & near).any() and not is_darker(scan.hu[number], piece, gas_hu):
                added[number] |= piece > 0
    return added

"""Whether the scan shows the whole lungs."""

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.quality.chest import Chest
from groundglass.quality.limits import Limits, judged
from groundglass.report import QualityCheck

OURS = "own limit; the series of healthy and diseased lungs that it was tried on stay below"

CUT_ALONG = Limits(high=3.0, highest=50.0, source=OURS)
CUT_IN_PLANE = Limits(high=0.5, highest=10.0, source=OURS)

PADDING_HU = -1500
"""Below it lies no matter: what the scanner writes outside its field of view."""


def lungs_cut(chest: Chest) -> QualityCheck | None:
    """Whether the scan ends within the lungs at apex or base.

    Measured is the lung on the first or the last slice, the larger of the two, in per cent of the
    largest section of the lungs.
    """
    if not chest.is_stack:
        return None
    areas = chest.areas_cm2
    shares = 100.0 * areas[[0, -1]] / areas.max()
    ends = [
        end for end, share in zip(("top", "bottom"), shares, strict=True) if share > CUT_ALONG.high
    ]
    return judged(
        "lungs-cut",
        "lung on the first or last slice, of its largest section",
        float(shares.max()),
        "%",
        CUT_ALONG,
        f"The scan ends within the lungs at its {' and '.join(ends)}: volumes and percentages are "
        "of the part that it shows.",
    )


def lungs_cut_in_plane(chest: Chest) -> QualityCheck:
    """Whether the field of view cuts the lungs in front, behind or at the sides.

    Measured is the share of the outline of the lungs that lies on the edge of the picture or of
    the round field of view.
    """
    padded = bool(chest.scan.slices.min() <= PADDING_HU)
    outline = touching = 0
    for lungs, voxels_hu in zip(chest.lungs.array, chest.scan.slices, strict=True):
        if not lungs.any():
            continue
        inside = (lungs > 0).view(np.uint8)
        rim = inside - cv2.erode(inside, _CROSS, borderValue=0)
        outline += int(np.count_nonzero(rim))
        touching += int(np.count_nonzero(rim & _edge(voxels_hu, padded)))
    return judged(
        "lungs-cut-in-plane",
        "outline of the lungs on the edge of the field of view",
        100.0 * touching / max(outline, 1),
        "%",
        CUT_IN_PLANE,
        "The field of view cuts the lungs at the edge of the slices: what lies outside does not "
        "count.",
    )


_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)).astype(np.uint8)


def _edge(voxels_hu: NDArray[np.int16], padded: bool) -> NDArray[np.uint8]:
    """The edge of the field of view on a slice, two pixels wide, 1 on it."""
    edge = np.zeros(voxels_hu.shape, np.uint8)
    edge[:2] = edge[-2:] = 1
    edge[:, :2] = edge[:, -2:] = 1
    if padded:
        outside = (voxels_hu <= PADDING_HU).view(np.uint8)
        edge[cv2.dilate(outside, np.ones((5, 5), np.uint8)) > 0] = 1
    return edge

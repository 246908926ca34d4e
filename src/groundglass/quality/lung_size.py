"""Whether lungs of this size and on these sides can be an adult's."""

import numpy as np

from groundglass.labels import Lung
from groundglass.quality.chest import Chest
from groundglass.quality.limits import Limits, judged
from groundglass.report import QualityCheck

VOLUME_ML = Limits(
    low=1500.0,
    high=9000.0,
    lowest=500.0,
    highest=12000.0,
    source="total lung capacity of adults, 4 to 8 liters (Stocks and Quanjer, European "
    "Respiratory Journal 1995; 8:492), less for shallow inspiration and disease",
)
RIGHT_SHARE = Limits(
    low=42.0,
    high=66.0,
    source="own limit around 53 to 55 %, the usual share of the right lung; a lung that has "
    "collapsed or was removed lies outside",
)
HEART_SIDE = Limits(
    low=-3.0,
    source="own limit; 4 mm and more in the series and phantoms that it was tried on",
)

HEART_HEIGHTS = (0.40, 0.75)
"""From apex to base of the lungs, the part in which the heart lies."""


def lung_volume(chest: Chest) -> QualityCheck | None:
    """Whether the volume of both lungs together can be an adult's."""
    if not chest.is_stack:
        return None
    voxels = sum(int(np.count_nonzero(s)) for s in chest.lungs.slices)
    return judged(
        "lung-volume",
        "volume of both lungs",
        voxels * chest.lungs.voxel_volume_ml,
        "ml",
        VOLUME_ML,
        "The lungs are smaller or larger than an adult's: a child, a part of the chest, lungs not "
        "found as a whole, or a wrong voxel size.",
    )


def right_lung_share(chest: Chest) -> QualityCheck | None:
    """Whether right and left lung divide the volume as usual; one that was not found has none."""
    counts = chest.lungs.counts().sum(axis=0)
    right, left = int(counts[Lung.RIGHT]), int(counts[Lung.LEFT])
    if not chest.is_stack or not right + left:
        return None
    return judged(
        "right-lung-share",
        "share of the right lung in the volume of both",
        100.0 * right / (right + left),
        "%",
        RIGHT_SHARE,
        "One lung is much smaller than the other: collapse, effusion, surgery, or a lung not found "
        "as a whole.",
    )


def heart_side(chest: Chest) -> QualityCheck | None:
    """Whether the heart lies to the left, as it does unless the volume or the patient is mirrored.

    Measured is how far the middle of all that lies between the lungs, at the height of the heart,
    lies left of the middle of the body.
    """
    offset_mm = _heart_offset_mm(chest)
    if offset_mm is None:
        return None
    return judged(
        "heart-side",
        "heart, left of the middle of the body",
        offset_mm,
        "mm",
        HEART_SIDE,
        "The heart lies to the right: right and left are swapped in the file, or the heart is "
        "there (situs inversus) or was drawn there by collapse. Check the sides before using them.",
    )


def _heart_offset_mm(chest: Chest) -> float | None:
    if not chest.is_stack:
        return None
    span, lungs = chest.coarse_span, chest.coarse_lungs
    first, last = (int(span.start + h * (span.stop - span.start)) for h in HEART_HEIGHTS)
    widths, middles = [], []
    for pixels in lungs[first:last]:
        right, left = pixels == int(Lung.RIGHT), pixels == int(Lung.LEFT)
        both = right.any(axis=1) & left.any(axis=1)
        starts = right.shape[1] - right[both, ::-1].argmax(axis=1)  # column behind the right lung
        ends = left[both].argmax(axis=1)
        widths.append(np.maximum(ends - starts, 0))
        middles.append((starts + ends - 1) / 2)
    if not widths or not np.concatenate(widths).any():
        return None
    middle = np.average(np.concatenate(middles), weights=np.concatenate(widths))
    return float((middle - chest.middle[1]) * chest.coarse.spacing_mm[2])

"""What of the network's boxes is taken for lesions in use: each pixel once, and long enough."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from groundglass.detections import Detection, Detections
from groundglass.linking import LinkedLesion, link_detections
from groundglass.scan import CTScan, Note, Scan
from groundglass.systems.overlapping import keep_apart

LEAST_EXTENT_MM = 5.0
"""Length along the body below which a lesion of a volume is taken for the dome of the diaphragm,
the apex or the edge of the heart, which a slice cuts lengthwise and the next ones do not show."""


@dataclass(frozen=True, slots=True)
class Found:
    """One lesion on one slice, with its outline within a part of the slice."""

    detection: Detection
    part: tuple[slice, slice]
    inside: NDArray[np.bool_]


def apart(found: Iterable[Found], shape: tuple[int, int]) -> Iterator[Found]:
    """Lesions of one slice, the surest first, each pixel in one of them."""
    kept = list(found)
    owned = keep_apart(((one.part, one.inside) for one in kept), shape)
    for one, own in zip(kept, owned, strict=True):
        if own is not None:
            area_px = float(np.count_nonzero(own))
            yield Found(replace(one.detection, area_px=area_px), one.part, own)


def lasting(scan: Scan, found: list[Found]) -> tuple[list[Found], tuple[Note, ...]]:
    """In volumes, those of lesions that are long enough along the body; of pictures, all.

    A lesion that the first or the last slice cuts may go on beyond it, and stays. A scan shorter
    than twice the length that is asked for cannot tell, and keeps all.

    Returns:
        The lesions, and a note if some were left out.
    """
    if not isinstance(scan, CTScan):
        return found, ()
    count, slice_mm = len(scan.slices), scan.spacing_mm[0]
    if count * slice_mm < 2 * LEAST_EXTENT_MM:
        return found, ()
    boxes = Detections("covid_ct_mask_net", "", scan, tuple(one.detection for one in found))
    short = [one for one in link_detections(boxes) if _is_short(one, count, slice_mm)]
    if not short:
        return found, ()
    left_out = {id(item) for lesion in short for item in lesion.items}
    message = (
        f"{len(short)} {'finding' if len(short) == 1 else 'findings'} of less than "
        f"{LEAST_EXTENT_MM:g} mm along the body left out, as the diaphragm, the apex and the heart "
        "look on single slices; a small lesion may be among them."
    )
    kept = [one for one in found if id(one.detection) not in left_out]
    return kept, (Note("short-findings", message),)


def _is_short(lesion: LinkedLesion, count: int, slice_mm: float) -> bool:
    """Whether a lesion of a volume ends on both sides within it, too soon.

    Args:
        lesion: Linked through the slices.
        count: Number of slices.
        slice_mm: Their distance.
    """
    first, last = lesion.slices
    if first == 0 or last == count - 1:
        return False
    return (last - first + 1) * slice_mm < LEAST_EXTENT_MM - 1e-3

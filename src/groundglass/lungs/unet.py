"""Lungs of a volume by networks that look along it and across it, with edges from the scan.

Liu et al. 2021, doi:10.1016/j.ymeth.2021.07.001, section 2.1.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.errors import EmptyMaskError
from groundglass.intensity import window_hu
from groundglass.labels import Lung
from groundglass.lungs.airways import find_airways
from groundglass.lungs.body import find_air, find_body
from groundglass.lungs.bowel import find_bowel
from groundglass.lungs.coarse import CoarseScan
from groundglass.lungs.crf import refine_probability
from groundglass.lungs.fill import bounding_box
from groundglass.lungs.recesses import find_recesses
from groundglass.lungs.sides import find_sides
from groundglass.lungs.threshold import note_lungs
from groundglass.mask import Mask
from groundglass.scan import CTScan, Note

Probability = NDArray[np.float32]

Look = Callable[[Probability], Probability]
"""Takes lung gray of a slice, (row, column), to the probability of lung on it."""

LookAcross = Callable[[Probability, float], Probability]
"""Takes lung gray, (slice, row, column), head first, and the distance of slices in pixels of a
slice to the probability of lung by views from the side."""

AXIAL_SHARE = 0.75
"""Share of the slices in what both views say; the rest is the view from the side. The paper tells
none; half and half lost 0.002 of Dice on the validation patients, 0.65 to 1 are alike there."""

MARGIN_PX = 12
"""Margin around likely lung within which edges are looked for."""

CLOSER_MARGIN_MM = 15.0
"""Margin around the lungs where they are looked at more closely."""

_UNLIKELY = 0.02


def lungs_by_network(
    scan: CTScan,
    axial: Look,
    sagittal: LookAcross | None = None,
    progress: Callable[[float], None] | None = None,
) -> tuple[Mask, tuple[Note, ...]]:
    """Lungs, and what was noticed; see :func:`groundglass.lungs.find_lungs`.

    The slices are looked at twice: the box around the body tells where lungs are, the box around
    these shows them as large as slices of training do. There the views are averaged; air that goes
    on from lung beside the diaphragm is added. The probability is brought to the slices of the
    scan, and sharpened by a dense conditional random field.

    Args:
        scan: CT volume.
        axial: Looks at slices.
        sagittal: Looks at the slices from the side; ``None`` for none.
        progress: Told how far it is.

    Raises:
        EmptyMaskError: If there is no lung.
    """
    coarse = CoarseScan.of(scan)
    body = find_body(coarse)
    box = bounding_box(body > 0, margin=0)
    if box is None:
        raise _no_lung(scan)
    tell = progress or (lambda _: None)
    columns = np.flatnonzero(body.any((0, 1)))
    middle = float(columns.mean())
    rough = find_sides(coarse, (_look(coarse, body, box, axial, None) > 0.5).view(np.uint8), middle)
    tell(0.3)
    closer = bounding_box(rough > 0, margin=round(CLOSER_MARGIN_MM / coarse.pixel_mm))
    if closer is None:
        raise _no_lung(scan)
    whole = _look(coarse, body, closer, axial, sagittal)
    tell(0.7)
    sides = find_sides(coarse, (whole > 0.5).view(np.uint8), middle)
    bowel = find_bowel(coarse, sides) > 0
    sides[bowel], whole[bowel] = 0, 0
    tips = find_tips(coarse, body, sides > 0, bowel)
    whole[tips] = 1
    sides = find_sides(coarse, ((sides > 0) | tips).view(np.uint8), middle)
    if not sides.any():
        raise _no_lung(scan)
    lungs = _sharpen(scan, coarse, whole, sides)
    tell(1.0)
    return Mask.on(scan, lungs, Lung), tuple(note_lungs(scan, sides, lungs))


def find_tips(
    coarse: CoarseScan, body: NDArray[np.uint8], lungs: NDArray[np.bool_], bowel: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Air beside the diaphragm that goes on from lung and is neither airway nor bowel.

    Args:
        coarse: The scan.
        body: Its body, (slice, row, column).
        lungs: Lung as found, same shape, without bowel.
        bowel: What was taken out of it as bowel.
    """
    air = find_air(coarse, body)
    air[find_airways(coarse, air, body) > 0] = 0
    air[bowel] = 0
    return find_recesses(coarse, air, lungs)


def fuse_views(axial: Probability, sagittal: Probability) -> Probability:
    """Probability of lung by both views, from that of each on one grid."""
    share = np.float32(AXIAL_SHARE)
    fused: Probability = share * axial + (1 - share) * sagittal
    return fused


def _look(
    coarse: CoarseScan,
    body: NDArray[np.uint8],
    box: tuple[slice, slice, slice],
    axial: Look,
    sagittal: LookAcross | None,
) -> Probability:
    """Probability of lung in a box, within the body, on the coarse grid."""
    gray = window_hu(coarse.hu[box])
    probability = np.stack([axial(view) for view in gray])
    if sagittal is not None:
        slice_px = coarse.spacing_mm[0] / coarse.spacing_mm[1]
        probability = fuse_views(probability, sagittal(gray, slice_px))
    whole = np.zeros(coarse.hu.shape, np.float32)
    whole[box] = probability * (body[box] > 0)
    return whole


def _no_lung(scan: CTScan) -> EmptyMaskError:
    return EmptyMaskError(
        f"found no lung in '{scan.source.name}', expected a chest CT; check that the scan shows "
        "the chest and that its values are Hounsfield units, or take --lungs threshold"
    )


def _sharpen(
    scan: CTScan, coarse: CoarseScan, probability: Probability, sides: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Lungs on the grid of the scan, numbered as in ``Lung``."""
    by_slice, by_row, by_column = coarse.factors
    lungs = np.zeros(scan.slices.shape, np.uint8)
    grown = _grow(sides)
    size = (probability.shape[2] * by_column, probability.shape[1] * by_row)
    for number, (hu, result) in enumerate(zip(scan.slices, lungs, strict=True)):
        likely = probability[number // by_slice] * (grown[number // by_slice] > 0)
        if not (likely > _UNLIKELY).any():
            continue
        rows, columns = hu.shape
        fine = cv2.resize(likely, size, interpolation=cv2.INTER_LINEAR)[:rows, :columns]
        side = cv2.resize(grown[number // by_slice], size, interpolation=cv2.INTER_NEAREST)[
            :rows, :columns
        ]
        where = np.s_[_span((fine > _UNLIKELY).any(1)), _span((fine > _UNLIKELY).any(0))]
        sharp = refine_probability(np.asarray(fine[where], np.float32), window_hu(hu[where]))
        result[where] = np.where(sharp > 0.5, side[where], 0)
    return lungs


def _span(where: NDArray[np.bool_]) -> slice:
    places = np.flatnonzero(where)
    return slice(max(int(places[0]) - MARGIN_PX, 0), int(places[-1]) + 1 + MARGIN_PX)


def _grow(sides: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Sides that reach a little beyond the lungs, for edges that move outward."""
    kernel = np.ones((5, 5), np.uint8)
    wide = np.stack([cv2.dilate(pixels, kernel) for pixels in sides])
    return np.where(sides > 0, sides, wide)

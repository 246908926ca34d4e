"""Lungs by threshold, components and the shape of the chest, without a network."""

import numpy as np
from numpy.typing import NDArray

from groundglass.errors import EmptyMaskError
from groundglass.labels import Lung
from groundglass.lungs.airways import find_airways
from groundglass.lungs.body import find_air, find_body
from groundglass.lungs.bowel import find_bowel
from groundglass.lungs.coarse import CoarseScan
from groundglass.lungs.fill import fill_lungs
from groundglass.lungs.refine import refine
from groundglass.lungs.sides import find_sides
from groundglass.lungs.wall import fill_to_wall
from groundglass.mask import Mask
from groundglass.scan import CTScan, Note

MINIMUM_SHARE = 0.05
"""Lung takes more of the body than this on some slice."""

CUT_CM2 = 10.0
"""Lung on the first or last slice from which the scan is said to end within the lungs."""


def lungs_by_threshold(scan: CTScan) -> tuple[Mask, tuple[Note, ...]]:
    """Lungs, and what was noticed; see :func:`groundglass.lungs.find_lungs`.

    Air within the body without trachea, main bronchi and bowel is the aerated lung. It is divided
    into right and left, completed with vessels and with consolidated lung before the ribs, and
    only then drawn at the full resolution of the scan.

    Raises:
        EmptyMaskError: If there is no lung.
    """
    coarse = CoarseScan.of(scan)
    body = find_body(coarse)
    air = find_air(coarse, body)
    airways = find_airways(coarse, air, body)
    air[airways > 0] = 0
    middle = _middle(body)
    aerated = find_sides(coarse, air, middle)
    barred = airways | find_bowel(coarse, aerated)
    aerated[barred > 0] = 0
    if not _shows_chest(aerated, body):
        raise EmptyMaskError(
            f"found no lung in '{scan.source.name}', expected a chest CT; check that the scan "
            "shows the chest and that its values are Hounsfield units"
        )
    whole = fill_lungs(coarse, aerated)
    whole = fill_lungs(coarse, fill_to_wall(coarse, whole, middle))
    whole[barred > 0] = 0
    lungs = refine(scan, coarse, whole, barred)
    return Mask.on(scan, lungs, Lung), tuple(note_lungs(scan, aerated, lungs))


def _middle(body: NDArray[np.uint8]) -> float:
    """Column of the middle of the body."""
    weights = body.sum(axis=(0, 1), dtype=np.int64)
    if not weights.any():
        return float(body.shape[2]) / 2
    middle: np.float64 = np.average(np.arange(body.shape[2]), weights=weights)
    return float(middle)


def _shows_chest(lungs: NDArray[np.uint8], body: NDArray[np.uint8]) -> bool:
    """Whether lung takes a good part of the body on some slice, unlike the sinuses of a head."""
    areas = np.count_nonzero(lungs, axis=(1, 2))
    return bool(np.any(areas > MINIMUM_SHARE * np.count_nonzero(body, axis=(1, 2))))


def note_lungs(scan: CTScan, aerated: NDArray[np.uint8], lungs: NDArray[np.uint8]) -> list[Note]:
    """What a reader should know of lungs as found: one is missing, or the scan cuts them off."""
    found = [lung for lung in Lung if (aerated == lung).any()]
    notes = []
    if len(found) == 1:
        other = Lung.LEFT if found[0] is Lung.RIGHT else Lung.RIGHT
        notes.append(
            Note(
                "one-lung",
                f"Only the {found[0].title} was found; the {other.title} is missing, holds no air "
                "or lies outside the scan, and counts for nothing in the scores.",
            )
        )
    _, row_mm, column_mm = scan.spacing_mm
    areas = [np.count_nonzero(lungs[end]) * row_mm * column_mm / 100.0 for end in (0, -1)]
    cut = [w for w, area in zip(("top", "bottom"), areas, strict=True) if area > CUT_CM2]
    if cut:
        notes.append(
            Note(
                "lungs-cut",
                f"The scan ends within the lungs at its {' and '.join(cut)}: volumes and "
                "percentages are of the part that it shows.",
            )
        )
    return notes

"""Lungs by threshold, components and the shape of the chest, without a network."""

import numpy as np

from groundglass.errors import EmptyMaskError
from groundglass.labels import Lung
from groundglass.lungs.airways import find_airways
from groundglass.lungs.body import find_air, find_body
from groundglass.lungs.coarse import CoarseScan
from groundglass.lungs.fill import fill_lungs
from groundglass.lungs.refine import refine
from groundglass.lungs.sides import find_sides
from groundglass.mask import Mask
from groundglass.scan import CTScan, Note


def lungs_by_threshold(scan: CTScan) -> tuple[Mask, tuple[Note, ...]]:
    """Lungs."""
    coarse = CoarseScan.of(scan)
    body = find_body(coarse)
    air = find_air(coarse, body)
    airways = find_airways(coarse, air, body)
    air[airways > 0] = 0
    across = np.nonzero(body.any(axis=(0, 1)))[0]
    middle = float(across[0] + across[-1]) / 2 if across.size else 0.0
    lungs = find_sides(coarse, air, middle)
    if not lungs.any():
        raise EmptyMaskError(
            f"found no lung in '{scan.source.name}', expected a chest CT in Hounsfield units; "
            "check that the scan shows the chest and that its values are Hounsfield units"
        )
    lungs = fill_lungs(coarse, lungs)
    lungs[airways > 0] = 0
    return Mask.on(scan, refine(scan, coarse, lungs, airways), Lung), ()

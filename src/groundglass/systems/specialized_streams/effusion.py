"""Pleural effusion beside the opacities: it lies in the chest, beside the lungs that hold air."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from groundglass.geometry.frame import Box
from groundglass.labels import Lesion
from groundglass.mask import Mask
from groundglass.scan import CTScan, Scan
from groundglass.systems.specialized_streams.pictures import gray_of

MARGIN = 0.15
"""Margin around the lungs within which an effusion is looked for, as a share of their box: fluid
shrinks the lung that is found."""

Finder = Callable[[NDArray[np.float32], Box], tuple[NDArray[np.float32], NDArray[np.float32]]]
"""Takes the lung gray of a slice, and a part of it, to the chances of effusion and of any opacity
on the slice."""


def add_effusion(scan: Scan, lungs: Mask, opacities: Mask, find: Finder, threshold: float) -> Mask:
    """Opacities with the effusion around the lungs.

    Lungs as they are found take in the edge of an effusion, where density alone would make it
    consolidation: inside the lungs, too, it is effusion where that is surer than any opacity.

    Args:
        scan: CT volume or pictures.
        lungs: Its lungs.
        opacities: What was found inside them, label set ``Lesion``.
        find: Gives the chances of effusion and of any opacity.
        threshold: Chance above which a pixel is effusion.
    """
    whole = None
    if isinstance(scan, CTScan):
        whole = Box.around(lungs.array.max(0) > 0, MARGIN)
    masks = []
    for index, (lung, found) in enumerate(zip(lungs.slices, opacities.slices, strict=True)):
        box = whole if isinstance(scan, CTScan) else Box.around(lung > 0, MARGIN)
        merged = np.array(found)
        if box is not None and lung.any():
            part = np.s_[box.top : box.bottom, box.left : box.right]
            fluid_chance, opacity_chance = (c[part] for c in find(gray_of(scan, index), box))
            surer = (lung[part] == 0) | (fluid_chance > opacity_chance)
            fluid = (fluid_chance > threshold) & surer
            merged[part][fluid] = int(Lesion.PLEURAL_EFFUSION)
        masks.append(merged)
    return Mask.on(scan, masks, Lesion)

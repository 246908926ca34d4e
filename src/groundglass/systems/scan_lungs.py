"""The lungs of any scan, by the method that was asked for."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from groundglass.errors import NotMeasurableError
from groundglass.lungs import LUNG_METHODS, find_lungs
from groundglass.lungs.dense import Look, add_dense_lung
from groundglass.mask import Mask
from groundglass.scan import CTScan, CTSlices, Note, Scan
from groundglass.systems.system import (
    PICTURE_LUNGS_SYSTEM,
    LungMapper,
    Progress,
    Segmenter,
    load_lung_network,
    lung_finder,
)

COMPLETED = "threshold+network"
"""By threshold, and the dense parts that aerated lung surrounds by the baseline's network."""

DEFAULT_LUNGS = COMPLETED

Found = tuple[Mask, str, tuple[Note, ...]]
"""Lungs, the name of the method, and what was noticed."""


def check_lung_method(method: str) -> None:
    """Tell a way to find lungs that there is not, or has no weights, before the long work.

    Raises:
        UnknownNameError: If there is no such way.
        WeightsError: If it has no weights.
    """
    if method != COMPLETED and method not in LUNG_METHODS:
        load_lung_network(method, "cpu")


def find_scan_lungs(
    scan: Scan,
    method: str = DEFAULT_LUNGS,
    *,
    segmenter: Segmenter | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Found:
    """Lungs of a volume by a method, of pictures by the network that finds them.

    Args:
        scan: CT volume or pictures.
        method: ``threshold+network``, a name in ``LUNG_METHODS``, ``unet``, or the folder of a run
            of ``lung_unet``; for volumes.
        segmenter: The system in use; finds the lungs of pictures where it can.
        device: Where networks run.
        progress: Told how far it is.

    Raises:
        EmptyMaskError: If a volume has no lung.
        NotMeasurableError: If a method for volumes is asked for pictures.
    """
    if isinstance(scan, CTSlices):
        if method != DEFAULT_LUNGS:
            raise NotMeasurableError(
                f"the lungs of pictures asked for by '{method}', which needs a volume",
                "a CT volume, or no --lungs for pictures: a network finds their lungs",
            )
        return _of_pictures(scan, segmenter, device, progress)
    if method == COMPLETED:
        lungs, notes = find_lungs(scan)
        lungs, more = add_dense_lung(scan, lungs, _look(scan, lungs, device, progress))
        return lungs, method, (*notes, *more)
    if method in LUNG_METHODS:
        lungs, notes = find_lungs(scan, method)
        return lungs, method, notes
    network = load_lung_network(method, device)
    lungs, notes = network.find_volume_lungs(scan, progress)
    return lungs, network.card.name, notes


def _look(scan: CTScan, lungs: Mask, device: str, progress: Progress | None) -> Look:
    """The baseline's network, loaded when it is first asked."""

    def look(numbers: Sequence[int]) -> Iterator[NDArray[np.float32]]:
        network = lung_finder(None, device)
        assert isinstance(network, LungMapper)
        return network.lung_probability(scan, lungs, numbers, progress)

    return look


def _of_pictures(
    scan: CTSlices, segmenter: Segmenter | None, device: str, progress: Progress | None
) -> Found:
    lungs = lung_finder(segmenter, device).find_lungs(scan, progress)
    empty = [name for name, s in zip(scan.names, lungs.slices, strict=True) if not s.any()]
    if not empty:
        return lungs, PICTURE_LUNGS_SYSTEM, ()
    shown = ", ".join(f"'{name}'" for name in empty[:5]) + (" ..." if len(empty) > 5 else "")
    note = Note("no-lungs", f"No lung was found on {len(empty)} of the pictures: {shown}.")
    return lungs, PICTURE_LUNGS_SYSTEM, (note,)

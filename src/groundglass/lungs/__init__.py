"""Lungs of a CT volume, right and left."""

from collections.abc import Callable

from groundglass.errors import UnknownNameError
from groundglass.lungs.hull import lungs_by_hull
from groundglass.lungs.threshold import lungs_by_threshold
from groundglass.mask import Mask
from groundglass.scan import CTScan, Note

LungMethod = Callable[[CTScan], tuple[Mask, tuple[Note, ...]]]

LUNG_METHODS: dict[str, LungMethod] = {
    "threshold": lungs_by_threshold,
    "hull": lungs_by_hull,
}
"""Every way to find lungs, by name."""


def find_lungs(scan: CTScan, method: str = "threshold") -> tuple[Mask, tuple[Note, ...]]:
    """The lungs of a chest CT, and what was noticed on the way.

    Lung includes its vessels, its lobar and smaller bronchi and all disease within the pleura.
    It does not include trachea and main bronchi, nor a pleural effusion.

    Args:
        scan: CT volume; one slice is enough.
        method: A name in ``LUNG_METHODS``.

    Returns:
        Mask with label set ``Lung`` on the grid of the scan, and notes: that only one lung was
        found, or that the scan ends within the lungs.

    Raises:
        EmptyMaskError: If there is no lung in the scan: no lungs is not healthy lungs.
        UnknownNameError: If there is no such method.
    """
    if method not in LUNG_METHODS:
        raise UnknownNameError.of("method to find lungs", method, LUNG_METHODS)
    return LUNG_METHODS[method](scan)

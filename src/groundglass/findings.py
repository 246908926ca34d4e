"""What was found on a scan: its lungs and lesions together on one grid."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.errors import EmptyMaskError, GeometryError
from groundglass.labels import OPACITIES, Lung
from groundglass.mask import Mask
from groundglass.scan import Scan


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """A scan with its lungs and lesions, the input of every score.

    Attributes:
        scan: CT volume or pictures.
        lungs: Label set ``Lung``; at least one voxel.
        lesions: Label set ``Lesion``; may be empty.
        lobes: Label set ``Lobe``; ``None`` where they are not known, as on pictures.
        regions: Label set ``Region``; ``None`` where they are not known.

    Raises:
        GeometryError: If the masks lie on different grids.
        EmptyMaskError: If there is no lung voxel: no lungs is not healthy lungs.
    """

    scan: Scan
    lungs: Mask
    lesions: Mask
    lobes: Mask | None = None
    regions: Mask | None = None

    def __post_init__(self) -> None:
        """Refuse masks of different grids and a scan without lungs."""
        for name in ("lesions", "lobes", "regions"):
            mask = getattr(self, name)
            if mask is not None and not self.lungs.same_grid(mask):
                raise GeometryError(
                    f"found lungs and {name} on different grids, expected one grid; "
                    "build both with Mask.on(scan, ...)"
                )
        if not any(s.any() for s in self.lungs.slices):
            raise EmptyMaskError(
                f"found no lung in '{self.scan.source.name}', expected a chest CT; "
                "check that the scan shows the chest"
            )

    def opacity_pixels(self) -> NDArray[np.int64]:
        """Opacified lung pixels of each slice and lung, shape (slice, 3), as in Mask.counts.

        Column 0, opacity outside the lungs, is always zero: it does not count.
        """
        size = int(max(Lung)) + 1
        counts = np.zeros((len(self.lungs.slices), size), np.int64)
        for row, lungs, lesion in zip(
            counts, self.lungs.slices, self.lesions.where(*OPACITIES), strict=True
        ):
            row[:] = np.bincount(lungs[lesion], minlength=size)[:size]
        counts[:, 0] = 0
        return counts

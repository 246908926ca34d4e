"""Lung and opacity slice by slice: the table behind the curve, the key slices and the record."""

import numpy as np
from pydantic import BaseModel, ConfigDict

from groundglass.findings import Findings
from groundglass.labels import Lesion, Lung
from groundglass.scan import CTScan
from groundglass.write.wording import printable


class SliceRow(BaseModel):
    """One slice of a volume, or one picture."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    index: int
    """Number of the slice, 0 at the apex and rising to the feet; of the picture, in order."""

    name: str | None = None
    """Name of the picture; null for the slices of a volume."""

    position_mm: float | None = None
    """Head-foot coordinate of the middle of the slice in mm, rising to the head, as in the third
    number of a DICOM Image Position; null for pictures."""

    lung_pixels: dict[str, int]
    """Pixels of each lung."""

    opacity_pixels: dict[str, int]
    """Opacified pixels of each lung: ground-glass opacity, consolidation and lesion of unknown
    kind, inside the lungs."""

    lesion_pixels: dict[str, int] = {}
    """Pixels of each kind of lesion on the slice, inside the lungs or not; kinds that the slice
    does not show are left out."""

    percent: float | None = None
    """Opacified share of both lungs on this slice, 0 to 100; null where it shows no lung."""

    @property
    def opacity(self) -> int:
        """Opacified pixels of both lungs."""
        return sum(self.opacity_pixels.values())

    @property
    def lung(self) -> int:
        """Pixels of both lungs."""
        return sum(self.lung_pixels.values())


def slice_table(findings: Findings) -> list[SliceRow]:
    """One row for every slice, from head to feet, or for every picture in order."""
    lungs, lesions = findings.lungs.counts(), findings.lesions.counts()
    opacity = findings.opacity_pixels()
    positions = slice_positions_mm(findings)
    names = None if isinstance(findings.scan, CTScan) else findings.scan.names
    rows = []
    for i in range(len(lungs)):
        lung_pixels = int(lungs[i, 1:].sum())
        percent = 100.0 * int(opacity[i, 1:].sum()) / lung_pixels if lung_pixels else None
        rows.append(
            SliceRow(
                index=i,
                name=None if names is None else printable(names[i]),
                position_mm=None if positions is None else round(positions[i], 3),
                lung_pixels={lung.title: int(lungs[i, lung]) for lung in Lung},
                opacity_pixels={lung.title: int(opacity[i, lung]) for lung in Lung},
                lesion_pixels={k.title: int(lesions[i, k]) for k in Lesion if lesions[i, k]},
                percent=percent,
            )
        )
    return rows


def slice_positions_mm(findings: Findings) -> list[float] | None:
    """Head-foot coordinate (LPS, rising to the head) of the middle of each slice; else ``None``."""
    geometry = findings.lungs.geometry
    if geometry is None:
        return None
    slices, rows, columns = geometry.spatial_shape
    middles = np.array([[i, (rows - 1) / 2, (columns - 1) / 2] for i in range(slices)])
    return [float(z) for z in geometry.map_indices_to_reference(middles)[:, 2]]

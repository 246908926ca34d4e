"""How much of each lung, lobe and region is opacified, and how that changed."""

import numpy as np
from numpy.typing import NDArray

from groundglass.findings import Findings
from groundglass.followup.comparison import Change, Measure
from groundglass.labels import OPACITIES
from groundglass.mask import Mask

BOTH = "both lungs"


def measures(findings: Findings) -> dict[str, Measure]:
    """How much of both lungs, each lung, lobe and region is opacified, by its title."""
    found: dict[str, Measure] = {}
    opaque = np.isin(findings.lesions.array, [int(kind) for kind in OPACITIES])
    inside = findings.lungs.array > 0
    for parts in (findings.lungs, findings.lobes, findings.regions):
        if parts is not None:
            found |= _measures_of(parts, inside, opaque)
    whole = [found[lung.title] for lung in findings.lungs.labels if lung.title in found]
    volume_ml, opacity_ml = (
        sum(one.volume_ml for one in whole),
        sum(one.opacity_ml for one in whole),
    )
    return {BOTH: _measure(volume_ml, opacity_ml)} | found


def _measures_of(
    parts: Mask, inside: NDArray[np.bool_], opaque: NDArray[np.bool_]
) -> dict[str, Measure]:
    size = int(max(parts.labels)) + 1
    voxels = np.bincount(parts.array[inside], minlength=size) * parts.voxel_volume_ml
    found = np.bincount(parts.array[inside & opaque], minlength=size) * parts.voxel_volume_ml
    return {
        part.title: _measure(float(voxels[int(part)]), float(found[int(part)]))
        for part in parts.labels
        if voxels[int(part)]
    }


def _measure(volume_ml: float, opacity_ml: float) -> Measure:
    return Measure(
        volume_ml=round(volume_ml, 3),
        opacity_ml=round(opacity_ml, 3),
        opacity_percent=round(100.0 * opacity_ml / volume_ml, 4),
    )


def changes(before: dict[str, Measure], after: dict[str, Measure]) -> dict[str, Change]:
    """Change of every lung, lobe and region that both scans show, by its title."""
    return {
        name: Change(
            volume_ml=round(after[name].volume_ml - old.volume_ml, 3),
            opacity_ml=round(after[name].opacity_ml - old.opacity_ml, 3),
            opacity_points=round(after[name].opacity_percent - old.opacity_percent, 4),
            opacity_percent=(
                round(100.0 * (after[name].opacity_ml / old.opacity_ml - 1.0), 2)
                if old.opacity_ml
                else None
            ),
        )
        for name, old in before.items()
        if name in after
    }

"""Quality control: what is looked at before any number is written."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from groundglass.mask import Mask
from groundglass.quality.acquisition import (
    contrast_medium,
    kernel,
    metal,
    patient_position,
    slice_spacing,
)
from groundglass.quality.chest import Chest
from groundglass.quality.coverage import lungs_cut, lungs_cut_in_plane
from groundglass.quality.familiarity import unlike_training
from groundglass.quality.lung_size import heart_side, lung_volume, right_lung_share
from groundglass.quality.motion import alternating_slices, breathing_step, doubled_edges
from groundglass.report import Quality, QualityCheck
from groundglass.scan import CTScan, Scan

CHECKS: Mapping[str, Callable[[Chest], QualityCheck | None]] = MappingProxyType(
    {
        "lungs-cut": lungs_cut,
        "lungs-cut-in-plane": lungs_cut_in_plane,
        "lung-volume": lung_volume,
        "right-lung-share": right_lung_share,
        "heart-side": heart_side,
        "breathing-step": breathing_step,
        "alternating-slices": alternating_slices,
        "doubled-edges": doubled_edges,
        "metal": metal,
        "contrast-medium": contrast_medium,
        "patient-position": patient_position,
        "coarse-slices": slice_spacing,
        "kernel": kernel,
    }
)
"""Checks of a CT volume by name, in reading order. Pictures have ``unlike-training`` alone."""


def check_quality(scan: Scan, lungs: Mask) -> Quality:
    """Look at a scan and its lungs before anything is measured on them.

    Args:
        scan: CT volume or pictures.
        lungs: Its lungs, label set ``Lung``; at least one voxel.

    Returns:
        Every check that the scan allows: what was measured, its limits and what follows.
    """
    found: list[QualityCheck | None] = []
    if isinstance(scan, CTScan):
        chest = Chest(scan, lungs)
        found += [check(chest) for check in CHECKS.values()]
    found.append(unlike_training(scan, lungs))
    return Quality(checks=tuple(check for check in found if check is not None))

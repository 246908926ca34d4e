"""How much air is in the lungs, by their density."""

import numpy as np

from groundglass.findings import Findings
from groundglass.score import Score
from groundglass.severity.count import (
    hounsfield_units,
    lung_voxels,
    percent_of_lung,
    voxels_by_lung,
)

WELL_AERATED_HU = (-950, -700)
"""Density of well-aerated lung, both ends included."""

COLOMBI = "Colombi et al., Radiology 2020; 296:E86, doi:10.1148/radiol.2020201433"


def percentage_of_well_aerated_lung(findings: Findings) -> Score:
    """Percentage of the lungs that is well aerated, -950 to -700 HU, in all and per lung.

    It needs no lesion mask. It falls with disease, with shallow inspiration and with emphysema.

    Args:
        findings: Lungs of a CT volume.

    Raises:
        NotMeasurableError: For pictures, which carry no Hounsfield units.

    References:
        Colombi et al., Radiology 2020, doi:10.1148/radiol.2020201433.
    """
    low, high = WELL_AERATED_HU
    aerated = ((s >= low) & (s <= high) for s in hounsfield_units(findings))
    value, parts = percent_of_lung(findings, aerated)
    return Score(
        name="percentage_of_well_aerated_lung",
        title="percentage of well-aerated lung",
        value=value,
        unit="%",
        parts=parts,
        maximum=100.0,
        definition=f"Lung voxels from {low} to {high} HU, per 100 lung voxels.",
        reference=COLOMBI,
    )


def well_aerated_volume_ml(findings: Findings) -> Score:
    """Volume of well-aerated lung, -950 to -700 HU, in all and per lung, in ml.

    Args:
        findings: Lungs of a CT volume.

    Raises:
        NotMeasurableError: For pictures, which carry no Hounsfield units.

    References:
        Colombi et al., Radiology 2020, doi:10.1148/radiol.2020201433.
    """
    low, high = WELL_AERATED_HU
    aerated = ((s >= low) & (s <= high) for s in hounsfield_units(findings))
    voxel_ml = findings.lungs.voxel_volume_ml
    parts = {lung.title: n * voxel_ml for lung, n in voxels_by_lung(findings, aerated).items()}
    return Score(
        name="well_aerated_volume_ml",
        title="well-aerated volume",
        value=sum(parts.values()),
        unit="ml",
        parts=parts,
        definition=f"Lung voxels from {low} to {high} HU, times the volume of a voxel.",
        reference=COLOMBI,
    )


def mean_lung_density_hu(findings: Findings) -> Score:
    """Mean density of the lungs with all that is in them, in all and per lung, in HU.

    Args:
        findings: Lungs of a CT volume.

    Raises:
        NotMeasurableError: For pictures, which carry no Hounsfield units.
    """
    voxels_hu = hounsfield_units(findings)
    voxels = lung_voxels(findings)
    sums = dict.fromkeys(voxels, 0)
    for lungs, values in zip(findings.lungs.slices, voxels_hu, strict=True):
        for lung in sums:
            sums[lung] += int(values[lungs == int(lung)].sum(dtype=np.int64))
    return Score(
        name="mean_lung_density_hu",
        title="mean lung density",
        value=sum(sums.values()) / sum(voxels.values()),
        unit="HU",
        parts={lung.title: sums[lung] / voxels[lung] for lung in voxels},
        minimum=-1024.0,
        definition="Mean of the Hounsfield units of all lung voxels, lesions and vessels included.",
    )

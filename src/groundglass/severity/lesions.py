"""How many lesions there are, and how large they are."""

import cc3d
import numpy as np
from numpy.typing import NDArray

from groundglass.errors import NotMeasurableError
from groundglass.findings import Findings
from groundglass.labels import OPACITIES, Lung
from groundglass.score import Score
from groundglass.severity.count import lung_voxels

LEAST_ML = 0.1
"""A smaller lesion is not counted: a ball of 6 mm, about what readers call a lesion."""


def lesion_count(findings: Findings) -> Score:
    """Number of separate lesions of 0.1 ml or more, in all and in each lung.

    Opacified voxels of a lung that touch at a face, an edge or a corner are one lesion, whatever
    their kinds. Lesions that grow together count as one: more disease may mean fewer lesions.

    Args:
        findings: Lungs and lesions of a CT volume.

    Raises:
        NotMeasurableError: For pictures, whose pixels have no size in mm.
    """
    volumes = _volumes_ml(findings)
    parts = {lung.title: float((found >= LEAST_ML).sum()) for lung, found in volumes.items()}
    return Score(
        name="lesion_count",
        title="number of lesions",
        value=sum(parts.values()),
        unit="grade",
        parts=parts,
        definition=(
            f"Separate pieces of opacified lung of {LEAST_ML} ml or more; voxels that touch at a "
            "face, an edge or a corner are one piece."
        ),
    )


def largest_lesion_volume_ml(findings: Findings) -> Score:
    """Volume of the largest lesion in ml, of all and of each lung.

    Args:
        findings: Lungs and lesions of a CT volume.

    Raises:
        NotMeasurableError: For pictures, whose pixels have no size in mm.
    """
    volumes = _volumes_ml(findings)
    parts = {lung.title: float(found.max(initial=0.0)) for lung, found in volumes.items()}
    return Score(
        name="largest_lesion_volume_ml",
        title="largest lesion",
        value=max(parts.values()),
        unit="ml",
        parts=parts,
        definition=(
            "Volume of the largest piece of opacified lung; voxels that touch at a face, an edge "
            "or a corner are one piece."
        ),
    )


def median_lesion_volume_ml(findings: Findings) -> Score:
    """Median volume of the lesions of 0.1 ml or more in ml, of all and of each lung; 0 for none.

    Args:
        findings: Lungs and lesions of a CT volume.

    Raises:
        NotMeasurableError: For pictures, whose pixels have no size in mm.
    """
    counted = {lung: found[found >= LEAST_ML] for lung, found in _volumes_ml(findings).items()}
    return Score(
        name="median_lesion_volume_ml",
        title="median lesion",
        value=_median(np.concatenate(list(counted.values()))),
        unit="ml",
        parts={lung.title: _median(found) for lung, found in counted.items()},
        definition=(
            f"Median volume of the separate pieces of opacified lung of {LEAST_ML} ml or more."
        ),
    )


def _median(volumes_ml: NDArray[np.float64]) -> float:
    return float(np.median(volumes_ml)) if volumes_ml.size else 0.0


def _volumes_ml(findings: Findings) -> dict[Lung, NDArray[np.float64]]:
    """Volume of each separate lesion, for each lung that the scan shows."""
    if findings.lungs.geometry is None:
        raise NotMeasurableError(
            "pictures without a pixel size in mm",
            "a CT volume; read the scan from DICOM, NIfTI, MetaImage or NRRD",
        )
    voxel_ml = findings.lungs.voxel_volume_ml
    numbers = _opacity_by_lung(findings)
    # the numbers of the lungs keep a lesion of one lung apart from one of the other
    pieces = cc3d.connected_components(numbers, connectivity=26, out_dtype=np.uint32)
    found = {}
    for lung in lung_voxels(findings):
        voxels = np.bincount(pieces[numbers == int(lung)])
        found[lung] = np.float64(voxel_ml) * voxels[voxels > 0]
    return found


def _opacity_by_lung(findings: Findings) -> NDArray[np.uint8]:
    """Number of the lung where a voxel is opacified lung, else 0, cut to the box around all."""
    lungs, lesions = findings.lungs.array, findings.lesions.array
    found = np.zeros(lungs.shape, np.uint8)
    for own, lung, lesion in zip(found, lungs, lesions, strict=True):
        if lesion.any():
            np.copyto(own, lung, where=np.isin(lesion, [int(kind) for kind in OPACITIES]))
    spans = [np.flatnonzero(found.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    if not len(spans[0]):
        return found[:1, :1, :1]
    return found[tuple(slice(int(s[0]), int(s[-1]) + 1) for s in spans)]

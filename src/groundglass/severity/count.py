"""Voxels of each lung, and the shares of a lung that follow from them.

Labels are compared as ``int(label)``: numpy compares with the enum member itself ten times slower.
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from groundglass.errors import NotMeasurableError
from groundglass.findings import Findings
from groundglass.labels import OPACITIES, Label, Lesion, Lung
from groundglass.mask import Mask
from groundglass.scan import CTGrid, CTScan


def lung_voxels(findings: Findings) -> dict[Lung, int]:
    """Voxels of each lung that the scan shows; a lung without a voxel has no entry."""
    counts = {
        lung: sum(int(np.count_nonzero(s == int(lung))) for s in findings.lungs.slices)
        for lung in Lung
    }
    return {lung: count for lung, count in counts.items() if count}


def voxels_by_lung(findings: Findings, chosen: Iterable[NDArray[np.bool_]]) -> dict[Lung, int]:
    """Chosen voxels of each lung that the scan shows; those outside the lungs do not count.

    Args:
        findings: Lungs and lesions.
        chosen: One (row, column) array per slice.
    """
    counts = dict.fromkeys(lung_voxels(findings), 0)
    for lungs, wanted in zip(findings.lungs.slices, chosen, strict=True):
        if wanted.any():
            for lung in counts:
                counts[lung] += int(np.count_nonzero(wanted & (lungs == int(lung))))
    return counts


def lesion_slices(findings: Findings, *kinds: Lesion) -> Iterator[NDArray[np.bool_]]:
    """For each slice, the (row, column) pixels of the wanted kinds of lesion.

    Raises:
        NotMeasurableError: If one kind is wanted and an opacity in the lungs is of unknown kind:
            its share would be too small without anyone seeing it.
    """
    if set(kinds) != set(OPACITIES):
        _refuse_unknown_kinds(findings)
    for lesions in findings.lesions.slices:
        wanted = lesions == int(kinds[0])
        for kind in kinds[1:]:
            wanted |= lesions == int(kind)
        yield wanted


def opacity_slices(findings: Findings) -> Iterator[NDArray[np.bool_]]:
    """For each slice, the (row, column) pixels of opacity of any kind, inside the lungs or not."""
    return lesion_slices(findings, *OPACITIES)


def hounsfield_units(findings: Findings) -> NDArray[np.int16]:
    """Hounsfield units of the scan, shape (slice, row, column).

    Raises:
        NotMeasurableError: For pictures, which have none, and for masks without their scan.
    """
    if isinstance(findings.scan, CTGrid):
        raise NotMeasurableError("masks without their scan", "the scan itself; name it")
    if not isinstance(findings.scan, CTScan):
        raise NotMeasurableError(
            "pictures without Hounsfield units",
            "a CT volume; read the scan from DICOM, NIfTI, MetaImage or NRRD",
        )
    return findings.scan.slices


def percent_of_lung(
    findings: Findings, chosen: Iterable[NDArray[np.bool_]]
) -> tuple[float, dict[str, float]]:
    """Per cent of lung voxels that are chosen: of both lungs together, and of each by its title."""
    voxels, counts = lung_voxels(findings), voxels_by_lung(findings, chosen)
    parts = {lung.title: 100.0 * counts[lung] / voxels[lung] for lung in voxels}
    return 100.0 * sum(counts.values()) / sum(voxels.values()), parts


def percent_by_part(
    findings: Findings, parts: Mask | None, chosen: Iterable[NDArray[np.bool_]]
) -> dict[Label, float]:
    """Per cent of each lobe or region that is chosen; one without a voxel has no entry.

    Args:
        findings: Lungs and lesions.
        parts: The lobes or the regions of the findings.
        chosen: One (row, column) array per slice.

    Raises:
        NotMeasurableError: If the lobes and regions are not known.
    """
    if parts is None:
        raise NotMeasurableError(
            "lungs without lobes and regions", "a CT volume that shows the lungs from apex to base"
        )
    size = int(max(parts.labels)) + 1
    voxels, found = np.zeros((2, size), np.int64)
    for lungs, numbers, wanted in zip(findings.lungs.slices, parts.slices, chosen, strict=True):
        inside = lungs > 0
        voxels += np.bincount(numbers[inside], minlength=size)[:size]
        found += np.bincount(numbers[inside & wanted], minlength=size)[:size]
    return {
        part: float(100.0 * found[part] / voxels[part]) for part in parts.labels if voxels[part]
    }


def caution_of_missing(percent: Mapping[Label, float], whole: int, what: str) -> str | None:
    """What to say of a sum of grades where some parts of the lungs are missing; ``None`` if none.

    Args:
        percent: From :func:`percent_by_part`.
        whole: Number of parts of whole lungs.
        what: ``lobes`` or ``regions``.
    """
    missing = whole - len(percent)
    if not missing:
        return None
    return (
        f"{missing} of {whole} {what} hold no lung and add nothing, so that the sum may be too low "
        "to be held against a cut-off"
    )


def _refuse_unknown_kinds(findings: Findings) -> None:
    unknown = (s == int(Lesion.UNSPECIFIED) for s in findings.lesions.slices)
    if any(voxels_by_lung(findings, unknown).values()):
        raise NotMeasurableError(
            "lesions of unknown kind",
            "ground-glass opacity told from consolidation; choose a system that does",
        )

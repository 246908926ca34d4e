"""How dense the opacities are, and whether both lungs have them."""

from groundglass.errors import NotMeasurableError
from groundglass.findings import Findings
from groundglass.score import Score
from groundglass.severity.count import hounsfield_units, lung_voxels, opacity_slices
from groundglass.severity.lesions import LEAST_ML, lesion_count


def mean_opacity_density_hu(findings: Findings) -> Score:
    """Mean density of the opacified lung, in all and per lung, in HU.

    Ground-glass opacity lies about -700 to -300 HU, consolidation near 0 HU; the mean rises as
    one becomes the other. A lung without opacity has no part.

    Args:
        findings: Lungs and lesions of a CT volume.

    Raises:
        NotMeasurableError: For pictures, which carry no Hounsfield units, and where there is no
            opacity: nothing has no density.
    """
    voxels_hu = hounsfield_units(findings)
    sums, counts = (dict.fromkeys(lung_voxels(findings), 0) for _ in range(2))
    for lungs, values, opacity in zip(
        findings.lungs.slices, voxels_hu, opacity_slices(findings), strict=True
    ):
        if opacity.any():
            for lung in sums:
                chosen = values[opacity & (lungs == int(lung))]
                sums[lung] += int(chosen.sum(dtype="int64"))
                counts[lung] += chosen.size
    if not any(counts.values()):
        raise NotMeasurableError("no opacity", "opacified lung to measure")
    return Score(
        name="mean_opacity_density_hu",
        title="mean density of the opacities",
        value=sum(sums.values()) / sum(counts.values()),
        unit="HU",
        parts={lung.title: sums[lung] / counts[lung] for lung in sums if counts[lung]},
        minimum=-1024.0,
        definition="Mean of the Hounsfield units of all opacified lung voxels.",
    )


def bilateral_disease(findings: Findings) -> Score:
    """Whether both lungs have a lesion: 1 where they do, else 0.

    Args:
        findings: Lungs and lesions of a CT volume.

    Raises:
        NotMeasurableError: For pictures, whose pixels have no size in mm, and where the scan
            shows one lung only.
    """
    lesions = lesion_count(findings).parts
    if len(lesions) < 2:
        raise NotMeasurableError("one lung", "a scan of both lungs")
    diseased = [lung for lung, count in lesions.items() if count]
    meaning = "no lesion"
    if diseased:
        meaning = "both lungs" if len(diseased) == 2 else f"{diseased[0]} only"
    return Score(
        name="bilateral_disease",
        title="bilateral disease",
        value=float(len(diseased) == 2),
        unit="grade",
        maximum=1.0,
        meaning=meaning,
        definition=f"1 where each lung has a lesion of {LEAST_ML} ml or more, else 0.",
    )

"""One scan to one report: the only place that knows the order of the stages."""

from collections.abc import Callable, Collection
from pathlib import Path

from groundglass.report import Report

Progress = Callable[[str, float], None]
"""Called with the name of the running stage and its finished fraction, 0 to 1."""


def analyze(
    path: Path,
    *,
    system: str = "baseline_unet",
    series: str | None = None,
    tolerate: Collection[str] = (),
    device: str = "cpu",
    progress: Progress | None = None,
) -> Report:
    """Read a chest CT, find lungs and pneumonia, and score the severity.

    Args:
        path: File or folder of DICOM, NIfTI, MetaImage, NRRD or pictures.
        system: Name of the system that finds the lesions, or folder of a training run.
        series: Series to read where a folder holds several.
        tolerate: Names of oddities to accept; each becomes a note in the report.
        device: Where the network runs.
        progress: Told how far each stage is.

    Raises:
        GroundglassError: What was found, what was expected, what to do.
    """
    raise NotImplementedError

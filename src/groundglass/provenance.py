"""What made a result: versions, weights, device and input, complete enough to make it again."""

import platform
from collections.abc import Mapping
from datetime import UTC, date, datetime
from importlib.metadata import PackageNotFoundError, version

from groundglass.report import Provenance
from groundglass.scan import Source
from groundglass.version import __version__

LIBRARIES = (
    "numpy",
    "scipy",
    "scikit-image",
    "opencv-python-headless",
    "connected-components-3d",
    "edt",
    "pydicom",
    "pylibjpeg-openjpeg",
    "pylibjpeg-rle",
    "pyjpegls",
    "python-gdcm",
    "highdicom",
    "nibabel",
    "SimpleITK",
    "pillow",
    "torch",
    "segmentation-models-pytorch",
)
"""Packages that touch the numbers: they read the pixels, find the lungs or run the network."""

INPUT_UIDS = ("StudyInstanceUID", "SeriesInstanceUID")
"""The only DICOM attributes that leave the input: they name the scan, not the patient."""

ACQUISITION_DATES = ("AcquisitionDate", "SeriesDate", "StudyDate")
"""DICOM attributes that say when a scan was made, the most exact first."""


def describe(  # noqa: PLR0913 - one argument for each fact that only the caller knows
    source: Source,
    *,
    system: str,
    weights_sha256: str,
    lungs_method: str,
    regions_source: str = "",
    device: str = "cpu",
    settings: Mapping[str, str] | None = None,
    seconds: Mapping[str, float] | None = None,
    facts: Mapping[str, str] | None = None,
) -> Provenance:
    """What made a result: the given facts, with versions, time and input filled in.

    Args:
        source: Where the scan came from.
        system: Name of the system that found the lesions.
        weights_sha256: Checksum of the system's weights.
        lungs_method: How the lungs were found.
        regions_source: Where lobes and regions come from; empty where there are none.
        device: Where the network ran.
        settings: Every setting that differs from its default.
        seconds: Time of each stage.
        facts: ``system_title``, ``system_doi`` and ``trained_on``, as far as they are known.
    """
    return Provenance(
        version=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        system=system,
        weights_sha256=weights_sha256,
        lungs_method=lungs_method,
        regions_source=regions_source,
        device=device,
        settings=dict(settings or {}),
        libraries={"python": platform.python_version(), **library_versions()},
        input_uids=input_uids(source),
        seconds=dict(seconds or {}),
        **(facts or {}),
    )


def acquired_on(source: Source) -> date | None:
    """Day on which a DICOM input was acquired; ``None`` where it is not stated.

    For the days between two scans, and for FHIR: the date itself stands in no other report.
    """
    if not source.headers:
        return None
    for keyword in ACQUISITION_DATES:
        try:
            return datetime.strptime(str(source.headers[0].get(keyword, "")), "%Y%m%d").date()
        except ValueError:  # empty, blanked or of an old form
            continue
    return None


def library_versions() -> dict[str, str]:
    """Installed version of each package that touches the numbers; those missing are left out."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def input_uids(source: Source) -> dict[str, str]:
    """Study and Series Instance UID of a DICOM input by attribute keyword; else nothing.

    The UIDs stand as they were stored, even where they are not valid UIDs.
    """
    if not source.headers:
        return {}
    uids = {keyword: str(source.headers[0].get(keyword, "")) for keyword in INPUT_UIDS}
    return {keyword: uid for keyword, uid in uids.items() if uid}

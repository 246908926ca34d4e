"""Results to disk: the report as a page, as data, as a table row, and the masks."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from groundglass.errors import MissingExtraError, OutputError, UnknownNameError
from groundglass.write.folder import check_folder, move_in_when_done, results_named

if TYPE_CHECKING:  # the list of formats is asked for by `--help`, which must not wait for numpy
    from groundglass.findings import Findings
    from groundglass.mask import Mask
    from groundglass.report import Report
    from groundglass.scan import Scan

__all__ = [
    "DEFAULT_FORMATS",
    "FORMATS",
    "RESULTS",
    "VERSIONS",
    "Format",
    "check_folder",
    "check_formats",
    "earlier_results",
    "make_formats",
    "write",
    "write_lungs",
    "write_masks",
]


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write a report.

    Attributes:
        meaning: What is written, in one sentence.
        module: Module whose ``write(report, folder)`` writes it and returns the files it made;
            loaded on first use.
        needs_series: Whether it can be written for scans that were read from DICOM alone.
        package: Package of the extra ``pdf`` that it needs.
        needs_volume: Whether it can be written for volumes alone, not for pictures.
        numbers_alone: Whether it holds nothing but numbers, and is left out where quality control
            withheld them.
        needs_one_object: Whether it can refer to one multi-frame object, not to several.
    """

    meaning: str
    module: str
    needs_series: bool = False
    package: str = ""
    needs_volume: bool = False
    numbers_alone: bool = False
    needs_one_object: bool = False

    @property
    def writer(self) -> "Callable[[Report, Path], list[Path]]":
        """The function that writes a report into an existing folder and returns its files."""
        writer: Callable[[Report, Path], list[Path]] = import_module(self.module).write
        return writer


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "html": Format("One self-contained page for reading and printing.", f"{__name__}.html"),
        "json": Format("Everything that was measured, for programs.", f"{__name__}.record"),
        "csv": Format("One table row with the scores.", f"{__name__}.table"),
        "radiomics": Format(
            "Shape and density of each lesion, a table row for each.",
            f"{__name__}.lesion_table",
            needs_volume=True,
            numbers_alone=True,
        ),
        "nifti": Format("The masks as NIfTI (as PNG for pictures).", f"{__name__}.masks"),
        "pdf": Format(
            "The page as PDF (needs groundglass[pdf]).", f"{__name__}.pdf", package="weasyprint"
        ),
        "fhir": Format(
            "The scores as FHIR R4 DiagnosticReport.", f"{__name__}.fhir", numbers_alone=True
        ),
        "seg": Format(
            "The masks as DICOM Segmentation.",
            f"{__name__}.dicom_seg",
            True,
            needs_one_object=True,
        ),
        "seg-labelmap": Format(
            "The masks as compressed DICOM Label Map Segmentations.",
            f"{__name__}.dicom_labelmap",
            True,
            needs_one_object=True,
        ),
        "sr": Format(
            "The scores as DICOM structured report.",
            f"{__name__}.dicom_sr",
            True,
            numbers_alone=True,
        ),
        "ko": Format(
            "The key images as DICOM Key Object Selection.", f"{__name__}.dicom_key_images", True
        ),
        "rtstruct": Format(
            "The outlines as DICOM RT Structure Set.", f"{__name__}.dicom_rtstruct", True
        ),
        "sc": Format(
            "The key slices as DICOM Secondary Capture, lesions drawn in.",
            f"{__name__}.dicom_capture",
            True,
        ),
        "pdf-dicom": Format(
            "The page as DICOM Encapsulated PDF (needs groundglass[pdf]).",
            f"{__name__}.dicom_pdf",
            True,
            "weasyprint",
        ),
    }
)
"""Every format by name, in the order in which they are written: a later one may refer to an
earlier one. A new one is a module with ``write(report, folder)`` and a line here."""

RESULTS = (
    *("report.html", "report.json", "report.csv", "lesions.csv", "report.pdf", "report.fhir.json"),
    *("lungs.nii.gz", "lesions.nii.gz", "lobes.nii.gz", "regions.nii.gz", "labels.json"),
    *("lungs/*.png", "lesions/*.png"),
    *("segmentation.dcm", "segmentation_lobes.dcm", "labelmap_*.dcm", "structured_report.dcm"),
    *("key_images.dcm", "key_slice_*.dcm", "structure_set.dcm", "report_pdf.dcm"),
    *("detections.html", "detections.json", "detections.csv", "detected_lesions.csv"),
    *("classification.html", "classification.json", "class_map.png"),
    *("comparison.html", "comparison.json", "comparison.csv"),
)
"""Every file that some format writes, and those of answers and comparisons, which may be of another
scan as well; ``*`` stands for any part of a name."""

VERSIONS = "versions"
"""Folder for the results as they were before each correction by a reader, numbered from 1."""

DEFAULT_FORMATS = ("html", "json", "csv", "nifti")
"""What is written where nothing is asked for; every scan allows them."""


def write(
    report: "Report",
    folder: Path,
    formats: Collection[str] = DEFAULT_FORMATS,
) -> list[Path]:
    """Write a report in the wanted formats: all of them, or nothing.

    Results of an earlier run are replaced, and those in other formats go: they may be of another
    scan. Anything else in the folder is left alone: where a file that groundglass did not write
    has the name of a result, nothing is written.

    Args:
        report: What was found.
        folder: Where to; made where it does not exist.
        formats: Names in ``FORMATS``.

    Returns:
        The files, in the order of ``formats``.

    Raises:
        UnknownNameError: If a format does not exist.
        MissingExtraError: If a format needs a package that is not installed.
        OutputError: If the scan does not allow a format, the folder cannot be written, or a file
            of the user is in the way. The folder is then as it was.
    """
    check_formats(formats, report.findings.scan)
    obsolete = earlier_results(folder) if formats else ()
    return move_in_when_done(folder, lambda at: make_formats(report, at, formats), obsolete)


def earlier_results(folder: Path) -> list[Path]:
    """Results of an earlier run in a folder, by their paths within it; see ``RESULTS``."""
    return results_named(folder, RESULTS)


def make_formats(report: "Report", at: Path, formats: Collection[str]) -> list[Path]:
    """Make the wanted formats in an existing folder, without regard to what lies there.

    Args:
        report: What was found.
        at: Existing folder.
        formats: Names in ``FORMATS`` that the scan allows; see :func:`check_formats`.

    Returns:
        The files, in the order of ``formats``; those that hold nothing but numbers are left out
        where quality control withheld them.
    """
    allowed = [n for n in formats if not (report.withheld and FORMATS[n].numbers_alone)]
    made = {name: FORMATS[name].writer(report, at) for name in FORMATS if name in allowed}
    return [file for name in dict.fromkeys(allowed) for file in made[name]]


def check_formats(formats: Collection[str], scan: "Scan") -> None:
    """Make sure that a scan allows the wanted formats, before the work that leads to them.

    Args:
        formats: Names in ``FORMATS``.
        scan: The scan as it was read.

    Raises:
        UnknownNameError: If a format does not exist.
        MissingExtraError: If a format needs a package that is not installed.
        OutputError: If a format needs a DICOM series, and the scan was read from another format;
            one multi-frame object, and there are several; or Hounsfield units, and there are masks
            alone.
    """
    for name in formats:
        if name not in FORMATS:
            raise UnknownNameError.of("format", name, FORMATS)
        package = FORMATS[name].package
        if package and find_spec(package) is None:
            raise MissingExtraError(
                f"found no {package}, expected it for the format {name}; "
                "pip install 'groundglass[pdf]', or choose another format"
            )
    volumes = [name for name in formats if FORMATS[name].needs_volume]
    if volumes and not _is_volume(scan):
        raise OutputError(
            f"found pictures in '{scan.source.name}', expected a CT volume for "
            f"{' and '.join(volumes)}; choose other formats"
        )
    if volumes and not _has_densities(scan):
        raise OutputError(
            f"found the masks of '{scan.source.name}' without their scan, expected the scan for "
            f"{' and '.join(volumes)}; name it with --scan, or choose other formats"
        )
    wanting = [name for name in formats if FORMATS[name].needs_series]
    if wanting and not scan.source.headers:
        others = ", ".join(name for name, format in FORMATS.items() if not format.needs_series)
        found = f"read as {scan.source.format}, which has"
        if scan.source.format == "dicom":  # masks without their scan, or a result without names
            found = "without headers, and so"
        raise OutputError(
            f"found '{scan.source.name}' {found} no series that "
            f"{' and '.join(wanting)} could refer to, expected a DICOM series; choose among "
            f"{others}"
        )
    _refuse_several_objects(formats, scan)


def _refuse_several_objects(formats: Collection[str], scan: "Scan") -> None:
    """Refuse what cannot refer to the slices of a series in several multi-frame objects."""
    wanting = [name for name in formats if FORMATS[name].needs_one_object]
    objects = sum("PerFrameFunctionalGroupsSequence" in h for h in scan.source.headers)
    if wanting and objects > 1:
        raise OutputError(
            f"found '{scan.source.name}' in {objects} multi-frame objects, expected one, or one "
            f"object for each slice, for {' and '.join(wanting)}; choose other formats such as "
            "nifti or rtstruct"
        )


def _is_volume(scan: "Scan") -> bool:
    from groundglass.scan import CTScan

    return isinstance(scan, CTScan)


def _has_densities(scan: "Scan") -> bool:
    from groundglass.scan import CTGrid

    return not isinstance(scan, CTGrid)


def write_masks(findings: "Findings", folder: Path) -> list[Path]:
    """Write the masks alone: all of them, or nothing.

    Results of an earlier run in the folder go, as with :func:`write`.

    A volume gives ``lungs.nii.gz`` and ``lesions.nii.gz`` in the geometry it was stored in, and
    ``lobes.nii.gz`` and ``regions.nii.gz`` where they are known.
    Pictures give ``lungs/NAME.png`` and ``lesions/NAME.png`` of the same size, 8-bit label
    numbers. ``labels.json`` beside them says what the numbers mean.

    Args:
        findings: Lungs and lesions of a CT volume or of pictures.
        folder: Where to; made where it does not exist.

    Returns:
        The files.

    Raises:
        OutputError: If the folder cannot be written, or a file of the user is in the way. The
            folder is then as it was.
    """
    from groundglass.write.masks import make_masks, masks_of

    masks = masks_of(findings)
    obsolete = earlier_results(folder)
    return move_in_when_done(folder, lambda at: make_masks(findings.scan, masks, at), obsolete)


def write_lungs(scan: "Scan", lungs: "Mask", folder: Path) -> list[Path]:
    """Write the mask of the lungs alone, as :func:`write_masks` does with both.

    Args:
        scan: CT volume or pictures.
        lungs: Label set ``Lung``, on the grid of the scan.
        folder: Where to; made where it does not exist.

    Returns:
        The files.

    Raises:
        OutputError: If the folder cannot be written, or a file of the user is in the way. The
            folder is then as it was.
    """
    from groundglass.write.masks import make_masks

    obsolete = earlier_results(folder)
    return move_in_when_done(folder, lambda at: make_masks(scan, {"lungs": lungs}, at), obsolete)

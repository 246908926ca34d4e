"""Results to disk: the report as a page, as data, as a table row, and the masks."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from groundglass.errors import UnknownNameError
from groundglass.write.folder import check_folder, move_in_when_done

if TYPE_CHECKING:  # the list of formats is asked for by `--help`, which must not wait for numpy
    from groundglass.findings import Findings
    from groundglass.mask import Mask
    from groundglass.report import Report
    from groundglass.scan import Scan

__all__ = ["FORMATS", "Format", "check_folder", "write", "write_lungs", "write_masks"]


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write a report.

    Attributes:
        meaning: What is written, in one sentence.
        module: Module whose ``write(report, folder)`` writes it and returns the files it made;
            loaded on first use.
    """

    meaning: str
    module: str

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
        "nifti": Format("The masks as NIfTI (as PNG for pictures).", f"{__name__}.masks"),
    }
)
"""Every format by name. A new one is a module with ``write(report, folder)`` and a line here."""


def write(
    report: "Report",
    folder: Path,
    formats: Collection[str] = ("html", "json", "csv", "nifti"),
) -> list[Path]:
    """Write a report in the wanted formats: all of them, or nothing.

    Results of an earlier run are replaced. Anything else in the folder is left alone: where a
    file that groundglass did not write has the name of a result, nothing is written.

    Args:
        report: What was found.
        folder: Where to; made where it does not exist.
        formats: Names in ``FORMATS``.

    Returns:
        The files, in the order of ``formats``.

    Raises:
        UnknownNameError: If a format does not exist.
        OutputError: If the folder cannot be written, or a file of the user is in the way. The
            folder is then as it was.
    """
    for name in formats:
        if name not in FORMATS:
            raise UnknownNameError.of("format", name, FORMATS)
    writers = [FORMATS[name].writer for name in dict.fromkeys(formats)]
    return move_in_when_done(folder, lambda at: [f for make in writers for f in make(report, at)])


def write_masks(findings: "Findings", folder: Path) -> list[Path]:
    """Write the masks alone: all of them, or nothing.

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
    from groundglass.write.masks import make_masks

    masks = masks_of(findings)
    return move_in_when_done(folder, lambda at: make_masks(findings.scan, masks, at))


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
    from groundglass.write.masks import make_masks, masks_of

    return move_in_when_done(folder, lambda at: make_masks(scan, {"lungs": lungs}, at))

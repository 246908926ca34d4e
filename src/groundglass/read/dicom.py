"""CT series in DICOM: a folder, one slice, classic or enhanced multi-frame."""

from collections.abc import Sequence
from pathlib import Path

from pydicom import Dataset

from groundglass.errors import UnreadableScanError
from groundglass.read.dicom_files import Header, read_headers
from groundglass.read.dicom_pixels import decode, same_pixels
from groundglass.read.dicom_series import choose_series
from groundglass.read.dicom_slices import slices_of
from groundglass.read.dicom_stack import Stack, stack_of
from groundglass.read.grid import check_grid
from groundglass.read.hounsfield import Tally, check_hounsfield_units
from groundglass.read.request import Request
from groundglass.read.volume import size_of
from groundglass.read.wording import counted, plain
from groundglass.scan import CTScan, Source

_FACTS = {
    "modality": ("Modality", ""),
    "manufacturer": ("Manufacturer", ""),
    "model": ("ManufacturerModelName", ""),
    "kernel": ("ConvolutionKernel", ""),
    "slice thickness": ("SliceThickness", " mm"),
    "tube voltage": ("KVP", " kV"),
    "patient position": ("PatientPosition", ""),
}
"""Facts for the report that name nobody; descriptions are free text and may."""


def read_dicom(paths: Sequence[Path], request: Request) -> CTScan:
    """CT volume from DICOM files.

    Args:
        paths: Files that begin like DICOM, of one or several series, in any order.
        request: What was asked for.

    Raises:
        UnreadableScanError: If no CT series can be read faithfully.
        UnknownNameError: If the wanted series does not exist.
    """
    oddities = request.oddities
    headers = read_headers(paths, oddities, single=request.single_file)
    if not headers:
        raise UnreadableScanError(
            "found a DICOM directory (DICOMDIR) without images, expected a CT series; "
            "give the folder with its images"
        )
    series = choose_series(headers, request.series, oddities)
    stack = stack_of(slices_of(series.headers, oddities), oddities, same_pixels)
    _note_stack(stack, series.headers[0], request)
    single_slice = request.single_file and len(stack.slices) == 1
    check_grid(stack.geometry, oddities, single_slice=single_slice)
    tally = Tally()
    voxels = decode(stack, tally)
    check_hounsfield_units(voxels, tally, oddities)
    if tally.surplus:
        oddities.note(
            "surplus-pixels",
            f"Found {counted(tally.surplus, 'slice')} with more pixels than rows and columns need; "
            "the rest was left out.",
        )
    source = Source(
        name=request.name,
        format="dicom",
        description={**_facts(series.headers[0]), **size_of(stack.geometry)},
        notes=oddities.notes,
        headers=_headers_from_head_to_feet(stack),
        stored=stack.geometry,
    )
    return CTScan.of(stack.geometry.with_array(voxels), source)


def _note_stack(stack: Stack, first: Header, request: Request) -> None:
    """Note what the headers say about the stack beside where its slices lie."""
    step_mm = float(stack.geometry.spacing[0])
    if len(stack.slices) == 1:
        request.oddities.note(
            "single-slice",
            f"Found one slice; its thickness, {step_mm:g} mm, was taken for the distance between "
            "slices.",
        )
    tilt, thickness = _number(first, "GantryDetectorTilt"), _number(first, "SliceThickness")
    if abs(tilt) > 0.5 and not stack.shifts_px.any():
        request.oddities.note(
            "tilt-in-header",
            f"Found a gantry tilt of {tilt:g} degrees in the header of slices that are stacked "
            "straight; their positions were believed.",
        )
    if 0 < thickness < step_mm / 1.5 and len(stack.slices) > 1:
        request.oddities.note(
            "spaced-slices",
            f"Found slices {thickness:g} mm thick every {step_mm:.4g} mm; what lies between them "
            "was not scanned or is missing.",
        )


def _headers_from_head_to_feet(stack: Stack) -> tuple[Dataset, ...]:
    """One header per file, the uppermost slice first."""
    upward = stack.geometry.unit_vectors()[0][2] > 0
    slices = reversed(stack.slices) if upward else stack.slices
    datasets = {id(s.header): s.header.dataset for s in slices}
    return tuple(datasets.values())


def _facts(header: Header) -> dict[str, str]:
    facts = {}
    for title, (keyword, unit) in _FACTS.items():
        if text := plain(header.text(keyword)):
            facts[title] = f"{text}{unit}"
    return facts


def _number(header: Header, keyword: str) -> float:
    try:
        return float(header.text(keyword))
    except ValueError:
        return 0.0

"""The slices of a CT series: where each lies and how its stored values become Hounsfield units."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from groundglass.errors import UnreadableScanError
from groundglass.read.dicom_files import Header
from groundglass.read.oddities import Oddities
from groundglass.read.wording import counted, plain, times

_RELATIVE_TOLERANCE = 1e-3
"""Difference between headers of one series that rounding explains."""


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """One slice before its pixels are decoded.

    Attributes:
        header: Header of the file that holds it.
        frame: Which frame of the file, from 0.
        shape: Rows and columns.
        position: Center of the first pixel in LPS millimeters.
        along_row: Unit vector in which columns count up.
        along_column: Unit vector in which rows count up.
        spacing_mm: Distance between rows and between columns.
        slope: Hounsfield units per stored unit.
        intercept: Hounsfield units of a stored zero.
    """

    header: Header
    frame: int
    shape: tuple[int, int]
    position: NDArray[np.float64]
    along_row: NDArray[np.float64]
    along_column: NDArray[np.float64]
    spacing_mm: tuple[float, float]
    slope: float
    intercept: float

    @property
    def path(self) -> Path:
        """The file."""
        return self.header.path

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit vector across the slice."""
        return np.cross(self.along_row, self.along_column)


def slices_of(headers: Sequence[Header], oddities: Oddities) -> list[Slice]:
    """Every slice of a series, in the order of the files.

    Args:
        headers: Headers of one series.
        oddities: Where to note or refuse.

    Raises:
        UnreadableScanError: If a slice lacks its position, its values are no Hounsfield units, or
            slices of different kinds are mixed.
    """
    for header in headers:
        _check_frames(header)
    _check_rescale(headers, oddities)
    slices = [_slice(header, frame) for header in headers for frame in range(header.frames)]
    _refuse_mixture(slices)
    rescales = {(s.slope, s.intercept) for s in slices}
    if len(rescales) > 1:
        oddities.note(
            "rescale-varies",
            f"Found {len(rescales)} different rescales in one series; each slice was converted "
            "with its own.",
        )
    if any(h.text("LossyImageCompression") == "01" for h in headers):
        oddities.note(
            "lossy", "Found slices that were compressed with loss; fine structure may be missing."
        )
    return slices


def _slice(header: Header, frame: int) -> Slice:
    if header.text("SamplesPerPixel") not in ("", "1"):
        raise UnreadableScanError(
            f"found '{header.path.name}' in color, expected one gray value per pixel; "
            "give the original CT series"
        )
    rows, columns = (int(_numbers(header, frame, k, 1)[0]) for k in ("Rows", "Columns"))
    cosines = _numbers(header, frame, "ImageOrientationPatient", 6)
    along_row, along_column = _perpendicular(cosines, header)
    rows_mm, columns_mm = _numbers(header, frame, "PixelSpacing", 2)
    return Slice(
        header=header,
        frame=frame,
        shape=(rows, columns),
        position=_numbers(header, frame, "ImagePositionPatient", 3),
        along_row=along_row,
        along_column=along_column,
        spacing_mm=(float(rows_mm), float(columns_mm)),
        slope=_optional(header, frame, "RescaleSlope", 1.0),
        intercept=_optional(header, frame, "RescaleIntercept", 0.0),
    )


def _numbers(header: Header, frame: int, keyword: str, count: int) -> NDArray[np.float64]:
    """Numbers of an attribute that must be there."""
    text = header.text(keyword, frame)
    try:
        numbers = np.array([float(part) for part in text.split("\\")], dtype=np.float64)
    except ValueError:
        numbers = np.empty(0)
    if numbers.size != count or not np.isfinite(numbers).all():
        found = f"'{plain(text)}' as" if text else "no"
        raise UnreadableScanError(
            f"found {found} {keyword} in '{header.path.name}', expected "
            f"{counted(count, 'number')}; export the series again"
        )
    return numbers


def _optional(header: Header, frame: int, keyword: str, missing: float) -> float:
    if not header.text(keyword, frame):
        return missing
    return float(_numbers(header, frame, keyword, 1)[0])


def _perpendicular(
    cosines: NDArray[np.float64], header: Header
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Unit vectors along rows and columns, freed of the rounding in the header."""
    row, column = cosines[:3], cosines[3:]
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if abs(row @ column) > 1e-2 or any(abs(length - 1) > 1e-2 for length in lengths):
        raise UnreadableScanError(
            f"found ImageOrientationPatient {_joined(cosines)} in '{header.path.name}', expected "
            "two perpendicular unit vectors; export the series again"
        )
    row = row / lengths[0]
    column = column - (column @ row) * row
    return row, column / np.linalg.norm(column)


def _check_frames(header: Header) -> None:
    """Refuse frames of which nothing says where they lie."""
    frames = header.frames
    if frames == 1:
        return
    if not header.is_multi_frame:
        raise UnreadableScanError(
            f"found '{header.path.name}' with {frames} frames in one CT Image object, expected "
            "one; export the series as Enhanced CT, or slice by slice"
        )
    groups = len(header.value("PerFrameFunctionalGroupsSequence") or ())
    if groups != frames:
        raise UnreadableScanError(
            f"found '{header.path.name}' with {frames} frames and functional groups for {groups}, "
            "expected as many; export the series again"
        )


def _check_rescale(headers: Sequence[Header], oddities: Oddities) -> None:
    """Refuse stored values that no rescale turns into Hounsfield units."""
    every = [(header, frame) for header in headers for frame in range(header.frames)]
    units = {header.text("RescaleType", frame) for header, frame in every} - {"", "HU", "US"}
    if units:
        raise UnreadableScanError(
            f"found values in {plain(', '.join(sorted(units)))}, expected Hounsfield units (HU); "
            "give the usual CT series, not a material or energy map"
        )
    slopes = [header.text("RescaleSlope", frame) for header, frame in every]
    if any(slope and _zero(slope) for slope in slopes):
        raise UnreadableScanError(
            "found a RescaleSlope of 0, expected Hounsfield units per stored unit; "
            "export the series again"
        )
    without = sum(
        not (slope and header.text("RescaleIntercept", frame))
        for (header, frame), slope in zip(every, slopes, strict=True)
    )
    if without:
        oddities.tolerate(
            "no-rescale",
            found=f"{without} of {len(every)} slices without RescaleSlope and RescaleIntercept",
            expected="both, to turn stored values into Hounsfield units",
            advice="export the series again",
            done="stored values were taken as Hounsfield units",
        )


def _zero(text: str) -> bool:
    try:
        return float(text) == 0
    except ValueError:
        return False


def _refuse_mixture(slices: Sequence[Slice]) -> None:
    """Refuse slices that cannot be one volume: another size, direction, spacing or frame."""
    kinds = Counter(_kind(slices[0], s) for s in slices)
    if len(kinds) > 1:
        listed = "; ".join(f"{count} with {kind}" for kind, count in kinds.most_common(4))
        raise UnreadableScanError(
            f"found {len(kinds)} kinds of slices in one series ({listed}), expected one; "
            "put each kind in a folder of its own"
        )


def _kind(first: Slice, other: Slice) -> str:
    """What makes a slice differ from others, in words; the first one's where rounding differs."""
    spacing = other.spacing_mm
    if np.allclose(spacing, first.spacing_mm, rtol=_RELATIVE_TOLERANCE):
        spacing = first.spacing_mm
    directions = np.concatenate([other.along_row, other.along_column])
    expected = np.concatenate([first.along_row, first.along_column])
    if np.allclose(directions, expected, atol=_RELATIVE_TOLERANCE):
        directions = expected
    return (
        f"{times(other.shape)} pixels of {times(spacing)} mm, "
        f"orientation {_joined(directions)}{_frame_words(first, other)}"
    )


def _frame_words(first: Slice, other: Slice) -> str:
    frames = [s.header.text("FrameOfReferenceUID") for s in (first, other)]
    return ", another frame of reference" if all(frames) and frames[0] != frames[1] else ""


def _joined(numbers: NDArray[np.float64]) -> str:
    return "\\".join(f"{number + 0.0:.3g}" for number in np.round(numbers, 3))

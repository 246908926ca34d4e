"""Where the slices of a series lie: gaps, doubles, tilt, and the grid they make together."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom.uid import RE_VALID_UID

from groundglass.errors import UnreadableScanError
from groundglass.read.dicom_slices import Slice
from groundglass.read.grid import geometry_of
from groundglass.read.oddities import Oddities
from groundglass.read.wording import counted, plain, quoted

OFF_GRID_MM = 0.1
"""How far a slice may lie from its place on an even grid: the rounding of positions in headers."""

OFF_AXIS_MM = 0.25
"""How far a slice may be shifted sideways before the stack counts as askew."""

SAME_PLACE_MM = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """Slices in order, and the straight even grid they are read to.

    Attributes:
        slices: Sorted along their normal.
        geometry: The grid: axes slice (along the normal), row, column.
        places: For each slice its index along the grid, whole numbers but for uneven spacing.
        shifts_px: For each slice the (row, column) of its first pixel on the grid.
    """

    slices: tuple[Slice, ...]
    geometry: hd.VolumeGeometry
    places: NDArray[np.float64]
    shifts_px: NDArray[np.float64]


def stack_of(
    slices: Sequence[Slice], oddities: Oddities, same_pixels: Callable[[Slice, Slice], bool]
) -> Stack:
    """The stack that slices make.

    Args:
        slices: Slices of one kind in any order.
        oddities: Where to note or refuse.
        same_pixels: Whether two slices at one place hold the same picture.

    Raises:
        UnreadableScanError: For gaps, doubles and other stacks that are no even straight volume.
    """
    normal = slices[0].normal
    ordered = _without_doubles(
        sorted(slices, key=lambda s: float(s.position @ normal)), normal, oddities, same_pixels
    )
    if len(ordered) == 1:
        places, step_mm = np.zeros(1), _thickness_mm(ordered[0])
    else:
        along = np.array([s.position @ normal for s in ordered])
        places, step_mm = _places(along - along[0], oddities)
    shifts = _shifts_px(ordered, normal, oddities)
    return _on_grid(ordered, places, step_mm, shifts)


def _without_doubles(
    ordered: Sequence[Slice],
    normal: NDArray[np.float64],
    oddities: Oddities,
    same_pixels: Callable[[Slice, Slice], bool],
) -> list[Slice]:
    kept: list[Slice] = []
    copies, doubles = 0, []
    for one in ordered:
        if not kept or (one.position - kept[-1].position) @ normal > SAME_PLACE_MM:
            kept.append(one)
        elif same_pixels(kept[-1], one):
            copies += 1
        else:
            doubles.append(one)
    if copies:
        oddities.note(
            "copies",
            f"Found {counted(copies, 'slice')} stored again with the same pixels; read once.",
        )
    if doubles:
        oddities.tolerate(
            "duplicates",
            found=f"{counted(len(doubles), 'slice')} at a position that another one holds, first "
            f"{quoted(doubles[0].path.name)} at {_position(doubles[0])}",
            expected="one slice at each position",
            advice="put each reconstruction or time point in a folder of its own",
            done="the first at each position was kept",
        )
    return kept


def _thickness_mm(single: Slice) -> float:
    """Slice thickness, the only length across a slice without neighbors."""
    text = single.header.text("SliceThickness", single.frame)
    try:
        thickness = float(text)
    except ValueError:
        thickness = 0.0
    if thickness <= 0:
        raise UnreadableScanError(
            f"found the single slice '{single.path.name}' with thickness '{plain(text)}', expected "
            "a SliceThickness above 0 mm; give the folder of its series"
        )
    return thickness


def _places(along: NDArray[np.float64], oddities: Oddities) -> tuple[NDArray[np.float64], float]:
    """Index of every slice on an even grid, and the step of the grid in mm."""
    gaps = np.diff(along)
    for guess in (float(np.median(gaps)), float(gaps.min())):
        places = np.concatenate([[0.0], np.cumsum(np.maximum(np.rint(gaps / guess), 1.0))])
        step_mm = float(along[-1] / places[-1])
        if np.abs(along - places * step_mm).max() <= OFF_GRID_MM:
            _refuse_gap(places, step_mm, oddities)
            return places, step_mm
    even = float(np.median(gaps))
    oddities.tolerate(
        "irregular-spacing",
        found=f"steps of {gaps.min():.4g} to {gaps.max():.4g} mm between slices",
        expected=f"even steps, each slice within {OFF_GRID_MM} mm of its place",
        advice="export the series again, or only its evenly spaced part",
        done=f"slices were resampled linearly to even steps of about {even:.4g} mm",
    )
    _refuse_lost_volume(along.size, along[-1] / even)
    step_mm = float(along[-1] / np.rint(along[-1] / even))
    return along / step_mm, step_mm


def _refuse_gap(places: NDArray[np.float64], step_mm: float, oddities: Oddities) -> None:
    missing = int(places[-1]) + 1 - places.size
    if not missing:
        return
    _refuse_lost_volume(places.size, places[-1])
    holes = int(np.count_nonzero(np.diff(places) > 1))
    longest = step_mm * float(np.diff(places).max())
    oddities.tolerate(
        "gap",
        found=f"{missing} of {int(places[-1]) + 1} slices missing in "
        f"{counted(holes, 'gap')}, the longest {longest:.4g} mm",
        expected=f"a slice every {step_mm:.4g} mm",
        advice="export or copy the whole series again",
        done="the missing slices were filled linearly from their neighbors",
    )


def _refuse_lost_volume(found: int, wanted: float) -> None:
    if wanted + 1 > 2 * found:
        raise UnreadableScanError(
            f"found {found} slices where {wanted + 1:.0f} are needed, expected at least half of "
            "them; export or copy the whole series again"
        )


def _shifts_px(
    ordered: Sequence[Slice], normal: NDArray[np.float64], oddities: Oddities
) -> NDArray[np.float64]:
    """How far each slice lies beside the first, in rows and columns; zero for a straight stack."""
    first = ordered[0]
    offsets = np.array([s.position - first.position for s in ordered])
    along = offsets @ normal
    sideways = np.stack([offsets @ first.along_column, offsets @ first.along_row], axis=1)
    if np.abs(sideways).max() <= OFF_AXIS_MM:
        return np.zeros_like(sideways)
    lean = along @ sideways / (along @ along)
    if np.abs(sideways - np.outer(along, lean)).max() > OFF_AXIS_MM:
        raise UnreadableScanError(
            f"found slices shifted sideways by up to {np.abs(sideways).max():.1f} mm against each "
            "other, expected a straight stack; put each acquisition in a folder of its own"
        )
    degrees = float(np.degrees(np.arctan(np.linalg.norm(lean))))
    oddities.tolerate(
        "gantry-tilt",
        found=f"slices that lean by {degrees:.1f} degrees (a tilted gantry)",
        expected="slices at right angles to the way they are stacked",
        advice="give a reformatted axial series",
        done="each slice was shifted linearly to its place in mm",
    )
    shifts: NDArray[np.float64] = sideways / np.array(first.spacing_mm)
    return shifts


def _on_grid(
    ordered: Sequence[Slice],
    places: NDArray[np.float64],
    step_mm: float,
    shifts_px: NDArray[np.float64],
) -> Stack:
    first = ordered[0]
    # The grid of an askew stack is wide enough for every slice.
    origin = np.floor(shifts_px.min(axis=0) + 1e-9)
    extra = np.ceil(shifts_px.max(axis=0) - origin - 1e-9).astype(int)
    rows_mm, columns_mm = first.spacing_mm
    affine = np.eye(4)
    affine[:3, 0] = first.normal * step_mm
    affine[:3, 1] = first.along_column * rows_mm
    affine[:3, 2] = first.along_row * columns_mm
    affine[:3, 3] = first.position + affine[:3, 1:3] @ origin
    count = int(np.rint(places[-1])) + 1
    shape = (count, first.shape[0] + int(extra[0]), first.shape[1] + int(extra[1]))
    frame = first.header.text("FrameOfReferenceUID")
    valid = frame if re.fullmatch(RE_VALID_UID, frame) else None
    geometry = geometry_of(affine, shape, frame_of_reference=valid)
    return Stack(tuple(ordered), geometry, places, shifts_px - origin)


def _position(one: Slice) -> str:
    return "(" + ", ".join(f"{x:.1f}" for x in one.position) + ") mm"

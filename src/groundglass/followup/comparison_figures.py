"""Pictures of a comparison: the course over time, and slices of both scans side by side."""

import base64
import io
from dataclasses import dataclass
from typing import Any

import highdicom as hd
import numpy as np
import SimpleITK
from matplotlib.figure import Figure
from numpy.typing import NDArray

from groundglass.findings import Findings
from groundglass.followup.compare import Compared
from groundglass.followup.comparison import Comparison
from groundglass.followup.lung_image import cut, lung_box
from groundglass.followup.measures import BOTH
from groundglass.intensity import window_hu
from groundglass.labels import OPACITIES, Lung
from groundglass.scan import CTScan
from groundglass.write.figures import Box, Picture, Plane, overlaid

sitk: Any = SimpleITK  # its functions carry no types

INK = "#1a232e"
AIR_HU = -1024


@dataclass(frozen=True, slots=True)
class Pair:
    """One slice of the earlier scan and what lies there on the later one."""

    earlier: Picture
    later: Picture
    caption: str


def timeline(comparison: Comparison) -> Picture:
    """The opacified share of the lungs, and the volume of each kind of opacity, over time."""
    figure = Figure(figsize=(9.6, 3.2), layout="constrained")
    share, volume = figure.subplots(1, 2)
    at, ticks = _times(comparison)
    colors = {BOTH: INK} | {lung.title: lung.color for lung in Lung}
    for name, color in colors.items():
        values = [
            scan.parts[name].opacity_percent if name in scan.parts else np.nan
            for scan in comparison.scans
        ]
        width = 2.4 if name == BOTH else 1.4
        share.plot(at, values, "o-", color=color, linewidth=width, label=name)
    share.set_ylabel("opacified, % of the lung")
    share.set_ylim(bottom=0)
    bottom = np.zeros(len(at))
    wide = 0.5 * (min(np.diff(at)) if len(at) > 1 else 1.0)
    for kind in OPACITIES:
        ml = np.array([scan.kinds_ml.get(kind.title, 0.0) for scan in comparison.scans])
        if ml.any():
            volume.bar(at, ml, wide, bottom, color=kind.color, label=kind.title)
            bottom += ml
    volume.set_ylabel("opacity, ml")
    for axes in (share, volume):
        axes.set_xticks(at, ticks)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, fontsize=8)
    return picture_of(figure, "Opacified share of the lungs and volume of opacity over time")


def picture_of(figure: Figure, alt: str) -> Picture:
    """A drawing as a picture for a page."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=150)
    data = base64.b64encode(stream.getvalue()).decode("ascii")
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    return Picture(f"data:image/png;base64,{data}", width, height, alt)


def pairs(compared: Compared, number: int) -> list[Pair]:
    """Slices of an interval: the later scan is moved onto the earlier one.

    Args:
        compared: What was compared.
        number: Number of the interval from 0.
    """
    earlier, later = (compared.points[i].findings for i in (number, number + 1))
    transform = compared.registrations[number].transform
    box = lung_box(earlier)
    found = []
    for index in _slices(earlier, later, transform, box):
        caption = f"Slice {index + 1} of {len(earlier.lungs.array)}"
        ours = _plane(earlier, index, box)
        theirs = _moved_plane(earlier, later, transform, index, box)
        found.append(
            Pair(
                overlaid(ours, f"{caption} of the earlier scan with its lesions"),
                overlaid(theirs, f"The later scan laid on {caption.lower()}, with its lesions"),
                caption,
            )
        )
    return found


def _times(comparison: Comparison) -> tuple[list[float], list[str]]:
    days = [scan.day for scan in comparison.scans]
    known = [day for day in days if day is not None]
    if len(known) == len(days) and len(set(known)) == len(known):
        return [float(day) for day in known], [f"day {day}" for day in known]
    return (
        [float(n) for n in range(len(days))],
        [f"scan {n}" for n in range(1, len(days) + 1)],
    )


def _slices(earlier: Findings, later: Findings, transform: Any, box: Box) -> list[int]:
    """The slices with most lesion on both scans in the upper, middle and lower earlier lungs."""
    coarse = sitk.BinShrink(cut(earlier.lungs.voxels, box).to_simpleitk(), [1, 4, 4])
    later_lesions = later.lesions.voxels.to_simpleitk()
    moved = sitk.Resample(later_lesions, coarse, transform, sitk.sitkNearestNeighbor, 0)
    there = np.count_nonzero(_array(moved), axis=(1, 2)) * 16
    lesion = np.count_nonzero(earlier.lesions.array[box], axis=(1, 2)) + there[: _length(box)]
    area = np.count_nonzero(earlier.lungs.array[box], axis=(1, 2))
    thirds = np.array_split(np.flatnonzero(area), 3)
    chosen = [
        part[np.argmax(lesion[part] if lesion[part].any() else area[part])]
        for part in thirds
        if len(part)
    ]
    return [box[0].start + int(index) for index in chosen]


def _length(box: Box) -> int:
    return int(box[0].stop - box[0].start)


def _plane(earlier: Findings, index: int, box: Box) -> Plane:
    """A slice of the earlier scan."""
    assert isinstance(earlier.scan, CTScan)
    there = (index, *box[1:])
    gray = _gray(earlier.scan.slices[there])
    aspect = earlier.scan.spacing_mm[1] / earlier.scan.spacing_mm[2]
    return Plane(gray, earlier.lungs.array[there], earlier.lesions.array[there], aspect)


def _moved_plane(earlier: Findings, later: Findings, transform: Any, index: int, box: Box) -> Plane:
    """What the later scan shows on a slice of the earlier one."""
    assert isinstance(earlier.scan, CTScan)
    assert isinstance(later.scan, CTScan)
    there = (slice(index, index + 1), *box[1:])
    grid = cut(earlier.lungs.voxels, there).to_simpleitk()

    def at(volume: hd.Volume, how: int, background: int) -> NDArray[Any]:
        image = sitk.Resample(volume.to_simpleitk(), grid, transform, how, background)
        return np.ascontiguousarray(_array(image)[0])

    gray = _gray(at(later.scan.voxels, sitk.sitkLinear, AIR_HU))
    lungs, lesions = (
        at(one.voxels, sitk.sitkNearestNeighbor, 0) for one in (later.lungs, later.lesions)
    )
    return Plane(gray, lungs, lesions, earlier.scan.spacing_mm[1] / earlier.scan.spacing_mm[2])


def _gray(voxels_hu: NDArray[np.int16]) -> NDArray[np.uint8]:
    return np.asarray(np.rint(window_hu(voxels_hu) * 255.0), np.uint8)


def _array(image: Any) -> NDArray[Any]:
    """Voxels of an ITK image of ours in slice, row, column."""
    found: NDArray[Any] = sitk.GetArrayFromImage(image).transpose(2, 1, 0)
    return found

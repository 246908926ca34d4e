"""The curve of involvement: opacified share of each lung from apex to base, as SVG coordinates."""

from dataclasses import dataclass

from groundglass.labels import Lung
from groundglass.write.slices import SliceRow

WIDTH = 300.0
"""Width of the drawing area in SVG units."""

LEAST_LUNG = 0.02
"""A lung that shows less than this of its largest area has no curve there: the share of a few
pixels says nothing."""

_FULL_SCALES = (2, 5, 10, 20, 40, 60, 80, 100)
_ROOM = 0.94
_NUMBERS = 24.0
_LEAST_GAP = 11.0


@dataclass(frozen=True, slots=True)
class Side:
    """One lung in the drawing.

    Attributes:
        lung: Which one.
        size: Outline of its area slice by slice, an SVG path.
        shares: Outlines of its opacified share, SVG paths.
    """

    lung: Lung
    size: str
    shares: list[str]


@dataclass(frozen=True, slots=True)
class Tick:
    """A number beside an axis."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Profile:
    """The drawing: right lung to the left of the middle line, left lung to the right, head up.

    Attributes:
        width: Width of the drawing in SVG units.
        height: Its height.
        plot_width: Width of the plot; the slice numbers stand to its right.
        sides: The two lungs.
        percent_ticks: Along the horizontal axis.
        slice_ticks: Along the vertical axis, at the slices shown above.
    """

    width: float
    height: float
    plot_width: float
    sides: list[Side]
    percent_ticks: list[Tick]
    slice_ticks: list[Tick]


def profile(
    rows: list[SliceRow], shown: slice, marked: list[int], height_over_width: float
) -> Profile:
    """Draw the involvement of each lung from apex to base.

    Args:
        rows: Every slice.
        shown: The slices from the upper to the lower end of the drawing.
        marked: Slices to mark on the vertical axis.
        height_over_width: Shape of the drawing.
    """
    height = WIDTH * height_over_width
    start, stop, _ = shown.indices(len(rows))
    step = height / (stop - start)
    heights = {i: (i - start + 0.5) * step for i in range(start, stop)}
    largest = max(pixels for row in rows for pixels in row.lung_pixels.values())
    shares = {lung: _shares(rows, lung) for lung in Lung}
    highest = max((s for side in shares.values() for s in side.values()), default=0.0)
    full = next(scale for scale in _FULL_SCALES if highest <= scale or scale == 100)
    middle = (WIDTH - _NUMBERS) / 2
    reach = middle * _ROOM

    def outline(lengths: dict[int, float], outward: float) -> str:
        points = [(middle + outward * lengths[i], heights[i]) for i in lengths]
        return _steps(points, middle, step)

    sides = []
    for lung in Lung:
        outward = -reach if lung is Lung.RIGHT else reach
        sizes = {i: rows[i].lung_pixels[lung.title] / largest for i in heights}
        scaled = {i: share / full for i, share in shares[lung].items() if i in heights}
        runs = [outline({i: scaled[i] for i in run}, outward) for run in _runs(scaled)]
        sides.append(Side(lung, outline(sizes, outward), runs))
    percents = [
        Tick(middle + side * reach * part, f"{full * part:g}")
        for side, part in ((-1, 1.0), (-1, 0.5), (0, 0.0), (1, 0.5), (1, 1.0))
    ]
    return Profile(WIDTH, height, 2 * middle, sides, percents, _slice_ticks(marked, heights))


def _shares(rows: list[SliceRow], lung: Lung) -> dict[int, float]:
    """Opacified per cent of a lung by slice, where there is enough of it."""
    least = LEAST_LUNG * max(row.lung_pixels[lung.title] for row in rows)
    return {
        row.index: 100.0 * row.opacity_pixels[lung.title] / row.lung_pixels[lung.title]
        for row in rows
        if row.lung_pixels[lung.title] and row.lung_pixels[lung.title] >= least
    }


def _runs(shares: dict[int, float]) -> list[list[int]]:
    """Slices without a gap between them."""
    runs: list[list[int]] = []
    for index in sorted(shares):
        if runs and runs[-1][-1] == index - 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    return runs


def _steps(points: list[tuple[float, float]], middle: float, step: float) -> str:
    """A closed outline from the middle line along one step for each slice and back."""
    along = " ".join(f"H{x:.1f} V{y + step / 2:.2f}" for x, y in points)
    return f"M{middle:.1f} {points[0][1] - step / 2:.2f} {along} H{middle:.1f} Z"


def _slice_ticks(marked: list[int], heights: dict[int, float]) -> list[Tick]:
    ticks: list[Tick] = []
    for index in sorted(marked):
        height = heights.get(index)
        if height is not None and (not ticks or height - ticks[-1].at >= _LEAST_GAP):
            ticks.append(Tick(height, str(index + 1)))
    return ticks

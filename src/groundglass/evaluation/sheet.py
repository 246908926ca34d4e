"""A sheet of the worst and the best slices of an evaluation, truth and prediction outlined."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from groundglass.data.cohort import Case
from groundglass.evaluation.protocols import Found
from groundglass.evaluation.result import CaseMetrics
from groundglass.labels import OPACITIES

WORST, BEST = 6, 3
TRUTH_COLOR, FOUND_COLOR = "#35c4a5", "#ff9f1c"
_COLUMNS = 3


def draw_sheet(
    rows: Sequence[CaseMetrics], cases: Sequence[Case], find: Callable[[Case], Found]
) -> Figure:
    """The six slices with the worst and the three with the best Dice of lesions.

    On a slice without a true lesion Dice is 0 where anything was marked and 1 otherwise.

    Args:
        rows: Metrics of each slice and structure.
        cases: The cases they were measured on.
        find: Finds the lesions of a case.
    """
    by_name = {case.case: case for case in cases}
    lesion_rows = [row for row in rows if row.structure == "lesion"]
    ranked = sorted(lesion_rows, key=lambda row: (row.metrics["dice"], row.case))
    worst, best = ranked[:WORST], ranked[WORST:][-BEST:]
    shown = [*worst, *best]
    lines = -(-len(shown) // _COLUMNS)
    figure = Figure(figsize=(4 * _COLUMNS, 3.3 * lines), layout="constrained", facecolor="black")
    figure.suptitle(
        f"{len(worst)} worst and {len(best)} best of {len(ranked)} slices; "
        "truth green, found orange",
        color="white",
    )
    panels = np.ravel(figure.subplots(lines, _COLUMNS, squeeze=False))
    for axes in panels:
        axes.set_axis_off()
    for axes, row in zip(panels, shown, strict=False):
        case = by_name[row.case]
        lesions = case.read_lesions()
        assert lesions is not None
        _draw(axes, case.read_image(), np.isin(lesions, OPACITIES), find(case))
        axes.set_title(f"{row.case}: Dice {row.metrics['dice']:.2f}", color="white", fontsize=9)
    return figure


def _draw(
    axes: Axes, pixels: NDArray[np.uint8], true: NDArray[np.bool_], found: NDArray[np.bool_]
) -> None:
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255)
    for mask, color in ((true, TRUTH_COLOR), (found, FOUND_COLOR)):
        if mask.any() and not mask.all():
            axes.contour(mask, levels=[0.5], colors=[color], linewidths=1.0)

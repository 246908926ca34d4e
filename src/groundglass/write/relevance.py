"""The curve of relevance: how much each slice weighed in a class, as SVG coordinates."""

from dataclasses import dataclass

import numpy as np

from groundglass.report import Answer
from groundglass.write.profile import WIDTH, Tick

_ROOM = 0.94
_NUMBERS = 24.0


@dataclass(frozen=True, slots=True)
class RelevanceCurve:
    """The drawing: relevance to the right, head up, the height of the curve of involvement.

    Attributes:
        width: Width of the drawing in SVG units.
        height: Its height.
        plot_width: Width of the plot.
        outline: What each slice weighed, an SVG path.
        equal_at: Where a slice of equal share would end.
        percent_ticks: Along the horizontal axis.
        slice_tick: At the slice that weighed most.
    """

    width: float
    height: float
    plot_width: float
    outline: str
    equal_at: float
    percent_ticks: list[Tick]
    slice_tick: Tick


def relevance_curve(
    answer: Answer, shown: slice, height_over_width: float
) -> RelevanceCurve | None:
    """Draw how much each slice weighed; ``None`` where the system does not say.

    Args:
        answer: With or without a class.
        shown: The slices from the upper to the lower end of the drawing.
        height_over_width: Shape of the drawing.
    """
    found = answer.classification
    if found is None or found.relevance is None or len(found.relevance) < 2:
        return None
    start, stop, _ = shown.indices(len(found.relevance))
    values = found.relevance[start:stop].astype(float)
    most = max(float(values.max()), 1e-9)
    height = WIDTH * height_over_width
    step = height / (stop - start)
    plot_width = WIDTH - _NUMBERS
    reach = plot_width * _ROOM
    along = " ".join(
        f"H{reach * value / most:.1f} V{(index + 1) * step:.2f}"
        for index, value in enumerate(values)
    )
    highest = int(np.argmax(values))
    weighing = max(1, int(np.count_nonzero(found.relevance)))
    return RelevanceCurve(
        WIDTH,
        height,
        plot_width,
        f"M0 0 {along} H0 Z",
        reach / weighing / most,
        [Tick(0.0, "0"), Tick(reach, f"{100 * most:.2g}")],
        Tick((highest + 0.5) * step, str(start + highest + 1)),
    )

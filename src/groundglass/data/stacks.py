"""Slices of one series as neighbors of each other, and as a volume."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.data.cohort import UNKNOWN, Case
from groundglass.intensity import read_picture_window

REACH_PX = 24
"""How far the crop of a slice may have moved against that of its neighbor."""

Neighbors = tuple[int | None, int | None]
"""Index of the case before and of the case after; ``None`` at an end, a gap, or a lone slice."""


def find_neighbors(cases: Sequence[Case]) -> list[Neighbors]:
    """The neighbors of each case within its series.

    Args:
        cases: Rows of a cohort, in any order.
    """
    places = {
        (case.patient, case.series, case.number): index
        for index, case in enumerate(cases)
        if case.series and case.number is not None
    }

    def at(case: Case, step: int) -> int | None:
        if not case.series or case.number is None:
            return None
        return places.get((case.patient, case.series, case.number + step))

    return [(at(case, -1), at(case, 1)) for case in cases]


def find_shift(moving: NDArray[np.uint8], still: NDArray[np.uint8]) -> tuple[int, int]:
    """How far a slice must be moved to lie on its neighbor, (rows, columns), whole pixels.

    Slices of one size are taken to lie on one grid. Where each was cropped to its own lungs the
    sizes differ; then the shift of the best correlation is taken, at most ``REACH_PX``.

    Args:
        moving: Picture, (row, column).
        still: The neighbor's picture.
    """
    if moving.shape == still.shape:
        return 0, 0
    rows, columns = (min(a, b) for a, b in zip(moving.shape, still.shape, strict=True))
    edge = min(8, rows // 4, columns // 4)
    inner = still[edge : rows - edge, edge : columns - edge]
    around = np.pad(moving, REACH_PX, mode="edge")
    likeness = cv2.matchTemplate(around, inner, cv2.TM_CCOEFF_NORMED)
    reach = REACH_PX + edge
    _, _, _, (column, row) = cv2.minMaxLoc(likeness[: 2 * reach + 1, : 2 * reach + 1])
    return reach - row, reach - column


def lay(
    pixels: NDArray[np.uint8], shift: tuple[int, int], shape: tuple[int, ...], fill: int
) -> NDArray[np.uint8]:
    """A picture moved by a shift onto a grid of another size.

    Args:
        pixels: Picture, (row, column).
        shift: (rows, columns) to move by.
        shape: (row, column) of the grid.
        fill: Value where the picture does not reach.
    """
    laid = np.full(shape, fill, np.uint8)
    to, of = [], []
    for step, size, wanted in zip(shift, pixels.shape, shape, strict=True):
        first, last = max(step, 0), max(min(size + step, wanted), step, 0)
        to.append(slice(first, last))
        of.append(slice(first - step, last - step))
    laid[tuple(to)] = pixels[tuple(of)]
    return laid


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """Consecutive slices of one series on one grid.

    Attributes:
        cases: The cases, in order.
        gray: Pictures, (slice, row, column); soft tissue where a slice was cropped.
        lungs: 1 inside, 0 where a slice was cropped, ``UNKNOWN`` on slices without a mask.
        lesions: Numbers of ``Lesion``, alike.
    """

    cases: tuple[Case, ...]
    gray: NDArray[np.uint8]
    lungs: NDArray[np.uint8]
    lesions: NDArray[np.uint8]

    @property
    def layers(self) -> tuple[NDArray[np.uint8], ...]:
        """Gray, lungs and lesions."""
        return self.gray, self.lungs, self.lesions

    @classmethod
    def of(cls, cases: Sequence[Case]) -> "Stack":
        """Read slices and lay them on one grid.

        Args:
            cases: Neighbors, in order; at least one.
        """
        pictures = [case.read_image() for case in cases]
        places = [(0, 0)]
        for before, picture in pairwise(pictures):
            row, column = find_shift(picture, before)
            places.append((places[-1][0] + row, places[-1][1] + column))
        first = np.min(places, axis=0)
        shifts = [(int(r - first[0]), int(c - first[1])) for r, c in places]
        ends = [np.add(shift, p.shape) for shift, p in zip(shifts, pictures, strict=True)]
        shape = tuple(int(n) for n in np.max(ends, axis=0))
        tissue = round(np.median([read_picture_window(p).tissue_gray for p in pictures]))

        def laid(masks: Sequence[NDArray[np.uint8] | None]) -> NDArray[np.uint8]:
            return np.stack(
                [
                    np.full(shape, UNKNOWN, np.uint8) if mask is None else lay(mask, s, shape, 0)
                    for mask, s in zip(masks, shifts, strict=True)
                ]
            )

        gray = [lay(p, shift, shape, tissue) for p, shift in zip(pictures, shifts, strict=True)]
        return cls(
            tuple(cases),
            np.stack(gray),
            laid([case.read_lungs() for case in cases]),
            laid([case.read_lesions() for case in cases]),
        )


def find_runs(cases: Sequence[Case], least: int = 1) -> list[tuple[Case, ...]]:
    """Unbroken runs of neighbors.

    Args:
        cases: Rows of a cohort.
        least: Number of slices below which a run is left out.
    """
    numbered: dict[tuple[str, str], list[Case]] = defaultdict(list)
    for case in cases:
        if case.series and case.number is not None:
            numbered[case.patient, case.series].append(case)
    runs: list[list[Case]] = []
    for of_series in numbered.values():
        last: int | None = None
        for case in sorted(of_series, key=lambda one: one.number or 0):
            if last is None or case.number != last + 1:
                runs.append([])
            runs[-1].append(case)
            last = case.number
    return [tuple(run) for run in runs if len(run) >= least]

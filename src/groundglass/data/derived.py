"""Further pictures made of slices: other views of a series, and several slices in one picture."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.data.case import write_gray
from groundglass.data.cohort import UNKNOWN, Case, write_cohort
from groundglass.data.stacks import Stack, find_runs
from groundglass.errors import CohortError, UnknownNameError
from groundglass.labels import Lesion

View = Literal["coronal", "sagittal"]

LEAST_SLICES = 48
"""A series of fewer slices gives no other view worth looking at."""

SLICE_PX = 1.5
"""Distance of slices in pixels; pictures do not say it, and thin slices are near it."""


_LESION_VALUES = " ".join(f"{int(kind)}:{int(kind)}" for kind in Lesion)


def view_name(text: str) -> View:
    """A view by its name.

    Raises:
        UnknownNameError: If there is no such view.
    """
    for view in get_args(View):
        if text == view:
            return cast("View", view)
    raise UnknownNameError.of("view", text, get_args(View))


def reformat(
    cases: Sequence[Case], view: View, folder: Path, every: int = 4, keep_empty: bool = False
) -> list[Case]:
    """Views of series across their slices, written as pictures with a cohort table.

    Slices are laid on each other where each was cropped by itself; their distance is taken for
    ``SLICE_PX`` pixels. Series shorter than ``LEAST_SLICES`` are left out.

    Args:
        cases: Slices of a cohort with numbers, patients and splits.
        view: ``coronal`` or ``sagittal``.
        folder: Holds the pictures and ``cohort.csv`` afterwards.
        every: Rows or columns from one view to the next.
        keep_empty: Whether views without lung are kept.

    Returns:
        The cases of the new table. They have no neighbors.

    Raises:
        CohortError: If no series is long enough.
    """
    runs = find_runs(cases, LEAST_SLICES)
    if not runs:
        raise CohortError(
            f"found no series of {LEAST_SLICES} numbered slices, expected one; give a table whose "
            "rows have series and number"
        )
    made: list[Case] = []
    for run in runs:
        stack = Stack.of(run)
        axis = 1 if view == "coronal" else 2
        for place in range(every // 2, stack.gray.shape[axis], every):
            cut = _Cut(*(np.take(v, place, axis) for v in stack.layers))
            if keep_empty or (cut.lungs == 1).any():
                name = f"{run[0].case}_{view}_{place:04d}"
                made.append(cut.stretched().write(folder, name, run[0]))
    write_cohort(made, folder / "cohort.csv")
    return made


def paste(cases: Sequence[Case], folder: Path, count: int, seed: int = 0) -> list[Case]:
    """Pictures of three slices squeezed side by side, with a cohort table.

    Half of them show one slice thrice, the others three slices of one patient.

    Args:
        cases: Slices whose lesions are known.
        folder: Holds the pictures and ``cohort.csv`` afterwards.
        count: Number of pictures.
        seed: Seed of the choice.

    Returns:
        The cases of the new table.

    Raises:
        CohortError: If no slice shows a lesion.
    """
    by_patient: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        if isinstance(case.lesions, Path):
            by_patient[case.patient].append(case)
    if not by_patient:
        raise CohortError("found no case with lesions, expected some; add their masks to the table")
    random = np.random.default_rng(seed)
    patients = sorted(by_patient)
    made = []
    for number in range(count):
        of_patient = by_patient[patients[random.integers(len(patients))]]
        chosen = random.integers(len(of_patient), size=3)
        parts = [of_patient[int(k)] for k in (chosen if number % 2 else chosen[:1].repeat(3))]
        cuts = [_Cut.of(case).squeezed(3, _Cut.of(parts[0]).gray.shape) for case in parts]
        whole = _Cut(*(np.hstack(layer) for layer in zip(*(c.layers for c in cuts), strict=True)))
        made.append(whole.write(folder, f"pasted_{number:04d}", parts[0]))
    write_cohort(made, folder / "cohort.csv")
    return made


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """A picture with its masks, each (row, column)."""

    gray: NDArray[np.uint8]
    lungs: NDArray[np.uint8]
    lesions: NDArray[np.uint8]

    @classmethod
    def of(cls, case: Case) -> "_Cut":
        gray = case.read_image()
        unknown = np.full(gray.shape, UNKNOWN, np.uint8)
        lungs, lesions = case.read_lungs(), case.read_lesions()
        return cls(
            gray, unknown if lungs is None else lungs, unknown if lesions is None else lesions
        )

    @property
    def layers(self) -> tuple[NDArray[np.uint8], ...]:
        return self.gray, self.lungs, self.lesions

    def stretched(self) -> "_Cut":
        """Rows set as far apart as slices are."""
        rows, columns = self.gray.shape
        return self._resized(round(rows * SLICE_PX), columns)

    def squeezed(self, parts: int, shape: tuple[int, ...]) -> "_Cut":
        """As one of several side by side in a picture of a size."""
        return self._resized(shape[0], max(1, shape[1] // parts))

    def _resized(self, rows: int, columns: int) -> "_Cut":
        size = (columns, rows)
        shrinks = columns < self.gray.shape[1]
        smooth = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        gray = cv2.resize(self.gray, size, interpolation=smooth)
        masks = [
            cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
            for mask in (self.lungs, self.lesions)
        ]
        return _Cut(*(np.asarray(layer, np.uint8) for layer in (gray, *masks)))

    def write(self, folder: Path, name: str, like: Case) -> Case:
        """Write the picture and the masks that are known throughout; the case of them."""
        folder = folder.resolve()
        paths: dict[str, Path] = {}
        for layer, pixels in zip(("image", "lungs", "lesions"), self.layers, strict=True):
            if not (pixels == UNKNOWN).any() or layer == "image":
                paths[layer] = write_gray(folder / layer / f"{name}.png", pixels)
        return Case(
            case=name,
            patient=like.patient,
            split=like.split,
            image=paths["image"],
            lungs=paths.get("lungs"),
            lungs_values="1:both" if "lungs" in paths else "",
            lesions=paths.get("lesions"),
            lesions_values=_LESION_VALUES if "lesions" in paths else "",
        )

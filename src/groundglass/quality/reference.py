"""Makes ``training_gray.json`` anew, from the training slices of cohort tables."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from groundglass.data.cohort import Case, Cohort
from groundglass.intensity import picture_gray
from groundglass.mask import Mask
from groundglass.quality.familiarity import TrainingGray, slice_facts
from groundglass.scan import CTSlices, Source

LungFinder = Callable[[CTSlices], Mask]
"""Finds the lungs on pictures, for cases whose lungs nobody drew."""


def make_training_gray(tables: Sequence[Path], find_lungs: LungFinder) -> TrainingGray:
    """What the training slices of cohort tables look like.

    Args:
        tables: Cohort tables; their ``train`` split alone is used.
        find_lungs: Finds the lungs where the table has none.

    Raises:
        CohortError: If a table is wrong or has no training slices.
    """
    cases = Cohort.read(tables).split("train")
    return TrainingGray.of([table.stem for table in tables], _facts(cases, find_lungs))


def _facts(
    cases: Sequence[Case], find_lungs: LungFinder
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    for case in cases:
        pixels = case.read_image()
        lungs = case.read_lungs()
        if lungs is None:
            picture = CTSlices((case.case,), (pixels,), Source(case.case, "pictures"))
            lungs = find_lungs(picture).slices[0]
        facts = slice_facts(picture_gray(pixels), lungs)
        if facts is not None:
            yield case.patient, np.array(facts)

"""How large the lesions of a cohort are, and how many of them are tiny."""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel

from groundglass.data.cohort import Case
from groundglass.errors import CohortError
from groundglass.labels import is_opacity
from groundglass.metrics.instances import TINY_PX, connected_lesions


class LesionSizes(BaseModel):
    """Lesions of a split: connected regions of single slices (Liu et al. 2021, Table 1).

    Attributes:
        split: The split; ``all`` for all together.
        slices: Slices with lesions.
        patients: Their patients.
        regions: Number of lesions.
        mean_px: Mean area in pixels of the pictures.
        median_px: Median area.
        tiny_percent: Share of lesions that are tiny, below 0.059 % of a slice of 512 x 512.
    """

    split: str
    slices: int
    patients: int
    regions: int
    mean_px: float
    median_px: float
    tiny_percent: float


def measure_lesion_sizes(cases: Sequence[Case]) -> list[LesionSizes]:
    """Sizes of the lesions of each split, in the order of the splits, and of all together.

    Pictures are taken at the resolution of a slice of 512 x 512 that they were cropped from.

    Args:
        cases: Rows of a cohort.

    Raises:
        CohortError: If no case shows a lesion.
    """
    areas: list[tuple[Case, list[int]]] = []
    for case in cases:
        lesions = case.read_lesions()
        if lesions is not None:
            _, masks = connected_lesions(is_opacity(lesions))
            areas.append((case, [int(mask.sum()) for mask in masks]))
    shown = [(case, sizes) for case, sizes in areas if sizes]
    if not shown:
        raise CohortError("found no case with lesions, expected some; add their masks to the table")
    splits = [name for name in ("train", "val", "test") if any(c.split == name for c, _ in shown)]
    return [
        _summarize(split, [(c, s) for c, s in shown if split in ("all", c.split)])
        for split in (*splits, "all")
    ]


def _summarize(split: str, shown: Sequence[tuple[Case, list[int]]]) -> LesionSizes:
    sizes = np.concatenate([sizes for _, sizes in shown])
    return LesionSizes(
        split=split,
        slices=len(shown),
        patients=len({case.patient for case, _ in shown}),
        regions=len(sizes),
        mean_px=round(float(sizes.mean()), 2),
        median_px=float(np.median(sizes)),
        tiny_percent=round(100 * float((sizes < TINY_PX).mean()), 2),
    )

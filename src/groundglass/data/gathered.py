"""Pictures of one patient as one series, where a set of pictures has no volumes."""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import cv2

from groundglass.data.cohort import Case, write_cohort
from groundglass.errors import CohortError


def gather(cases: Sequence[Case], folder: Path) -> list[Case]:
    """A series for each patient and class, its pictures gray and in the order of the table.

    Pictures chosen for an article are no volume: their order and distance mean nothing, and a
    healthy slice of a diseased patient is rarely among them.

    Args:
        cases: Pictures with a label; those without are left out.
        folder: Holds a folder for each series, and ``cohort.csv``, afterwards.

    Returns:
        The cases of the new table.

    Raises:
        CohortError: If there is no picture with a label, or two patients go by one name of folder.
    """
    by_series: dict[tuple[str, str], list[Case]] = defaultdict(list)
    for case in cases:
        if case.label and not case.is_series:
            by_series[case.patient, case.label].append(case)
    if not by_series:
        raise CohortError(
            "found no picture with a label, expected some; give a table of labeled pictures"
        )
    made: list[Case] = []
    for (patient, label), pictures in by_series.items():
        name = re.sub(r"[^\w.-]+", "_", f"{label}-{patient}")
        place = folder / name
        if place.exists():
            raise CohortError(
                f"found patient '{patient}' twice under the name '{name}', expected names that "
                "differ; rename one, or choose an empty folder"
            )
        place.mkdir(parents=True)
        for number, picture in enumerate(pictures, start=1):
            cv2.imwrite(str(place / f"{number:03d}.png"), picture.read_image())
        made.append(
            Case(
                case=name,
                patient=patient,
                series=name,
                split=pictures[0].split,
                image=place.resolve(),
                label=label,
            )
        )
    write_cohort(made, folder / "cohort.csv")
    return made

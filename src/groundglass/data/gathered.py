"""Pictures of one patient as one series, where a set of pictures has no volumes."""

import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from groundglass.data.case import write_gray
from groundglass.data.cohort import Case, write_cohort
from groundglass.errors import CohortError, GroundglassError


def gather(
    cases: Sequence[Case], folder: Path, check: Callable[[Path], object] | None = None
) -> tuple[list[Case], dict[str, str]]:
    """A series for each patient and class, its pictures gray and in the order of the table.

    Pictures chosen for an article are no volume: their order and distance mean nothing, and a
    healthy slice of a diseased patient is rarely among them.

    Args:
        cases: Pictures with a label; those without are left out.
        folder: Holds a folder for each series, and ``cohort.csv``, afterwards.
        check: Called with each series; one that it refuses is left out.

    Returns:
        The cases of the new table, and the reason of each series that was left out.

    Raises:
        CohortError: If there is no picture with a label, or two patients go by one name of folder.
    """
    by_series = _by_series(cases)
    if not by_series:
        raise CohortError(
            "found no picture with a label, expected some; give a table of labeled pictures"
        )
    made: list[Case] = []
    left_out: dict[str, str] = {}
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
            write_gray(place / f"{number:03d}.png", picture.read_image())
        try:
            if check is not None:
                check(place)
        except GroundglassError as error:
            left_out[name] = str(error)
            shutil.rmtree(place)
            continue
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
    return made, left_out


def _by_series(cases: Sequence[Case]) -> dict[tuple[str, str], list[Case]]:
    by_series: dict[tuple[str, str], list[Case]] = defaultdict(list)
    for case in cases:
        if case.label and not case.is_series:
            by_series[case.patient, case.label].append(case)
    return by_series

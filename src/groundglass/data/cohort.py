"""The cohort table: one row a case, every file checked, no patient in two splits."""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, Self, cast, get_args

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from groundglass.errors import CohortError

Split = Literal["train", "val", "test"]


def split_name(text: str) -> Split:
    """A split by its name.

    Raises:
        CohortError: If there is no such split.
    """
    for split in get_args(Split):
        if text == split:
            return cast("Split", split)
    raise CohortError(f"found split '{text}', expected train, val or test; correct it")


UNKNOWN = 255
"""Number in a training mask where the truth is not known; losses and metrics leave it out."""


class Case(BaseModel):
    """One row of a cohort table: a picture of a slice with what is known about it.

    Attributes:
        case: Name, unique in the table.
        patient: Patient, or the closest thing known; never crosses a split.
        series: Series the slice comes from; empty where it stands alone.
        split: ``train``, ``val`` or ``test``.
        image: Gray 8-bit picture.
        lungs: Mask of the lungs; empty where not known.
        lungs_values: Values in the lungs file and the label each means, ``255:both`` or
            ``1:right 2:left``.
        lesions: Mask of the lesions; empty where not known. ``none`` says that there are none.
        lesions_values: Values in the lesions file and the ``Lesion`` number each means, ``255:3``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    case: str
    patient: str
    series: str = ""
    split: Split
    image: Path
    lungs: Path | None = None
    lungs_values: str = ""
    lesions: Path | Literal["none"] | None = None
    lesions_values: str = ""

    @model_validator(mode="after")
    def _values_go_with_files(self) -> Self:
        for kind, path, values in (
            ("lungs", self.lungs, self.lungs_values),
            ("lesions", self.lesions, self.lesions_values),
        ):
            if isinstance(path, Path) != bool(values):
                raise ValueError(f"{kind} and {kind}_values must be given together")
        return self

    def read_image(self) -> NDArray[np.uint8]:
        """Gray picture, (row, column)."""
        return _read_gray(self.image)

    def read_lungs(self) -> NDArray[np.uint8] | None:
        """Lungs, (row, column), 1 inside; ``None`` where not known."""
        if self.lungs is None:
            return None
        pixels = _read_gray(self.lungs)
        return np.isin(pixels, list(_parse_values(self.lungs_values))).astype(np.uint8)

    def read_lesions(self) -> NDArray[np.uint8] | None:
        """Lesions, (row, column), numbers of ``Lesion``; ``None`` where not known."""
        if self.lesions is None:
            return None
        if self.lesions == "none":
            return np.zeros_like(self.read_image())
        assert isinstance(self.lesions, Path)
        table = np.zeros(256, np.uint8)
        for value, number in _parse_values(self.lesions_values).items():
            table[value] = int(number)
        return table[_read_gray(self.lesions)]


def _parse_values(text: str) -> dict[int, str]:
    pairs = (item.partition(":") for item in text.split())
    return {int(value): meaning for value, _, meaning in pairs}


def _read_gray(path: Path) -> NDArray[np.uint8]:
    pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if pixels is None:
        raise CohortError(f"found '{path}' unreadable, expected a gray picture; replace the file")
    return np.asarray(pixels, np.uint8)


class Cohort:
    """The cases of one or more cohort tables.

    Attributes:
        cases: All rows.
    """

    def __init__(self, cases: Sequence[Case]) -> None:
        self.cases = tuple(cases)
        _refuse_repeated_cases(self.cases)
        _refuse_patients_across_splits(self.cases)
        _refuse_missing_files(self.cases)

    def split(self, name: Split) -> tuple[Case, ...]:
        """Cases of one split.

        Raises:
            CohortError: If there are none.
        """
        cases = tuple(c for c in self.cases if c.split == name)
        if not cases:
            counts = Counter(c.split for c in self.cases)
            raise CohortError(f"found no case in split '{name}', only {dict(counts)}; add some")
        return cases

    @classmethod
    def read(cls, tables: Iterable[Path]) -> "Cohort":
        """Read cohort tables; file names in them are relative to the table.

        Raises:
            CohortError: If a row is wrong, a file is missing or a patient is in two splits.
        """
        return cls([case for table in tables for case in _read_table(Path(table))])


def _read_table(table: Path) -> list[Case]:
    if not table.is_file():
        raise CohortError(
            f"found no cohort table '{table}', expected a CSV; "
            "make one with groundglass data import"
        )
    cases = []
    with table.open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            known = {key: value for key, value in row.items() if value}
            for key in ("image", "lungs", "lesions"):
                if key in known and known[key] != "none":
                    known[key] = str((table.parent / known[key]).resolve())
            try:
                cases.append(Case.model_validate(known))
            except ValidationError as error:
                first = error.errors()[0]
                column = ".".join(str(part) for part in first["loc"]) or "row"
                raise CohortError(
                    f"found a wrong row in '{table.name}', line {number}, {column}: "
                    f"{first['msg']}; correct the table"
                ) from None
    return cases


def write_cohort(cases: Sequence[Case], table: Path) -> None:
    """Write a cohort table that :meth:`Cohort.read` reads back."""
    table.parent.mkdir(parents=True, exist_ok=True)
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(Case.model_fields))
        writer.writeheader()
        for case in cases:
            writer.writerow({k: "" if v is None else str(v) for k, v in case.model_dump().items()})


def _refuse_repeated_cases(cases: Sequence[Case]) -> None:
    name, times = Counter(c.case for c in cases).most_common(1)[0] if cases else ("", 1)
    if times > 1:
        raise CohortError(f"found case '{name}' {times} times, expected once; rename the others")


def _refuse_patients_across_splits(cases: Sequence[Case]) -> None:
    splits: dict[str, set[str]] = defaultdict(set)
    for case in cases:
        splits[case.patient].add(case.split)
    torn = sorted(patient for patient, found in splits.items() if len(found) > 1)
    if torn:
        raise CohortError(
            f"found patient '{torn[0]}' in splits {sorted(splits[torn[0]])} "
            f"({len(torn)} such patients), expected one split each; split by patient"
        )


def _refuse_missing_files(cases: Sequence[Case]) -> None:
    files = [
        (case.case, path)
        for case in cases
        for path in (case.image, case.lungs, case.lesions)
        if isinstance(path, Path)
    ]
    missing = [(name, path) for name, path in files if not path.is_file()]
    if missing:
        raise CohortError(
            f"found no file '{missing[0][1]}' for case '{missing[0][0]}' ({len(missing)} files "
            "missing), expected every file of the table; correct the paths"
        )

"""The cohort table: one row a case, every file checked, no patient in two splits."""

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from groundglass.data.case import UNKNOWN, Case, Split, split_name
from groundglass.data.file_check import find_faults, refuse_faults
from groundglass.errors import CohortError

__all__ = [
    "UNKNOWN",
    "Case",
    "Cohort",
    "Split",
    "cohort_text",
    "ct_slices",
    "known_cases",
    "read_table",
    "split_name",
    "write_cohort",
]


class Cohort:
    """The cases of one or more cohort tables.

    Attributes:
        cases: All rows.
    """

    def __init__(self, cases: Sequence[Case]) -> None:
        self.cases = tuple(cases)
        _refuse_repeated_cases(self.cases)
        _refuse_patients_across_splits(self.cases)

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
            CohortError: If a row is wrong, a patient is in two splits, or a file is missing, is no
                picture, or does not fit the picture that it is a mask of.
        """
        cohort = cls([case for table in tables for case in read_table(Path(table))])
        refuse_faults(find_faults(cohort.cases))
        return cohort


def read_table(table: Path) -> list[Case]:
    """Cases of a table; its files are not looked at.

    Raises:
        CohortError: If there is no table, or a row is wrong.
    """
    if not table.is_file():
        raise CohortError(
            f"found no cohort table '{table}', expected a CSV; "
            "make one with groundglass data import"
        )
    cases = []
    for number, row in enumerate(_read_rows(table), start=2):
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


def _read_rows(table: Path) -> "csv.DictReader[str]":
    """Rows of a table as spreadsheets save it, with a mark of its encoding or without."""
    try:
        text = table.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CohortError(
            f"found '{table.name}' in another encoding than UTF-8 (byte {error.start}), expected "
            "that; save it as 'CSV UTF-8', with commas between the columns"
        ) from None
    rows = csv.DictReader(io.StringIO(text, newline=""))
    columns = rows.fieldnames or []
    if "case" not in columns:
        header = text.partition("\n")[0].strip().replace('"', "")
        marks = {";": "semicolons", "\t": "tabs"}
        others = [name for mark, name in marks.items() if "case" in header.split(mark)]
        found = f"with {others[0]} between the columns" if others else f"with columns {columns}"
        raise CohortError(
            f"found '{table.name}' {found}, expected commas and a column 'case'; save it as "
            "'CSV UTF-8', with commas between the columns"
        )
    return rows


def write_cohort(cases: Sequence[Case], table: Path) -> None:
    """Write a cohort table that :meth:`Cohort.read` reads back."""
    table.parent.mkdir(parents=True, exist_ok=True)
    table.write_bytes(cohort_text(cases).encode())


def cohort_text(cases: Sequence[Case]) -> str:
    """A cohort table as text."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(Case.model_fields))
    writer.writeheader()
    for case in cases:
        writer.writerow({k: "" if v is None else str(v) for k, v in case.model_dump().items()})
    return text.getvalue()


def files_of(cases: Sequence[Case]) -> list[Path]:
    """Every file of some cases once, those in the folders of series as well."""
    named = dict.fromkeys(path for case in cases for path in case.files.values())
    files = [[path] if path.is_file() else sorted(path.rglob("*")) for path in named]
    return [path for some in files for path in some if path.is_file()]


def ct_slices(cases: Sequence[Case]) -> list[Case]:
    """The cases that are CT slices.

    Raises:
        CohortError: If there are none.
    """
    slices = [case for case in cases if case.is_slice]
    if not slices:
        raise CohortError(
            f"found no CT slice among {len(cases)} cases, expected some, as radiographs and whole "
            "series have no place here; check the columns modality and image"
        )
    return slices


def known_cases(cases: Sequence[Case], kind: Literal["lungs", "lesions"]) -> list[Case]:
    """The CT slices whose lungs, or lesions, are known.

    Raises:
        CohortError: If there are none.
    """
    known = [case for case in cases if case.is_slice and getattr(case, kind) is not None]
    if not known:
        raise CohortError(
            f"found no CT slice among {len(cases)} cases of a split whose {kind} are known, "
            f"expected some; add their masks to the column {kind} of the table"
        )
    return known


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

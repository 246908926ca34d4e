"""Two tables of scores brought together: the same columns, the same cases."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from groundglass.errors import CohortError
from groundglass.scan import Note

CASE_COLUMNS = ("case", "scan")
"""Columns that name the case, the first one that both tables have."""

READER = "reader"
"""Column of the readers' table that tells several readers apart."""

OURS = "ours"

FEWEST = 3
"""With fewer cases there is no agreement to speak of."""

NOT_SCORES = ("slices", "slice_spacing_mm", "row_spacing_mm", "column_spacing_mm")
"""Columns with numbers that describe the scan."""


@dataclass(frozen=True, slots=True, eq=False)
class Ratings:
    """One score by each rater.

    Attributes:
        score: Column of the score.
        raters: Names of those who gave the score, ours first.
        cases: Names of the cases that each of them has.
        values: Shape (case, rater).
    """

    score: str
    raters: tuple[str, ...]
    cases: tuple[str, ...]
    values: NDArray[np.float64]


def ratings_of(ours: Path, readers: Path, case: str = "") -> tuple[list[Ratings], list[Note]]:
    """The scores that both tables hold, and notes on cases and values that are missing.

    Args:
        ours: CSV with a row for each case.
        readers: CSV with a row for each case, or for each case and reader.
        case: Column that names the case; by default one of ``CASE_COLUMNS``.

    Raises:
        CohortError: If a table cannot be read, a case stands twice, a reader has no name or ours,
            or they share no case or no score.
    """
    own, theirs = _table(ours), _table(readers)
    column = _case_column(case, own, theirs)
    own, notes = _with_case(own, column, ours.name)
    theirs, more = _with_case(theirs, column, readers.name)
    by_rater = {OURS: _by_case(own, column, ours.name)}
    if READER in theirs:
        for name, rows in theirs.groupby(_reader_names(theirs, readers.name), sort=True):
            by_rater[str(name)] = _by_case(rows, column, f"{readers.name}, reader {name}")
    else:
        by_rater[READER] = _by_case(theirs, column, readers.name)
    shared = [
        name
        for name in own.columns
        if name in theirs
        and name not in (column, READER, *NOT_SCORES)
        and _numbers(own[name]).notna().any()
        and _numbers(theirs[name]).notna().any()
    ]
    if not shared:
        raise CohortError(
            f"found no score that '{ours.name}' and '{readers.name}' both hold, expected columns "
            "of one name with numbers; rename those of the readers"
        )
    notes += [*more, *_missing_cases(by_rater)]
    found = []
    for name in shared:
        ratings, missing = _ratings(name, by_rater)
        notes += missing
        if len(ratings.cases) >= FEWEST:
            found.append(ratings)
        else:
            message = f"'{name}' has {len(ratings.cases)} cases, too few: left out."
            notes.append(Note("few-cases", message))
    if not found:
        raise CohortError(
            f"found fewer than {FEWEST} cases that '{ours.name}' and every reader of "
            f"'{readers.name}' share, expected more; see that the cases have the same names, and "
            "compare readers of different cases one by one"
        )
    return found, notes


def _table(path: Path) -> pd.DataFrame:
    try:
        found = pd.read_csv(path, dtype=str, encoding="utf-8-sig", keep_default_na=False)
    except (OSError, ValueError) as error:
        raise CohortError(
            f"found no table in '{path.name}' ({' '.join(str(error).split())}), expected CSV with "
            "a header; check the path"
        ) from error
    return found.rename(columns=str.strip).fillna("")


def _case_column(wanted: str, own: pd.DataFrame, theirs: pd.DataFrame) -> str:
    names = (wanted,) if wanted else CASE_COLUMNS
    for name in names:
        if name in own and name in theirs:
            return name
    raise CohortError(
        f"found no column {' or '.join(names)} in both tables, expected one that names the case; "
        "name it with --case"
    )


def _with_case(rows: pd.DataFrame, column: str, what: str) -> tuple[pd.DataFrame, list[Note]]:
    """The rows that name a case: spreadsheets save the empty ones below a table as well."""
    named = rows[column].str.strip() != ""
    if named.all():
        return rows, []
    message = f"{np.count_nonzero(~named)} rows of {what} name no case; left out."
    return rows[named], [Note("no-case", message)]


def _reader_names(rows: pd.DataFrame, what: str) -> "pd.Series[str]":
    names = rows[READER].str.strip()
    for wrong in ("", OURS):
        if (names == wrong).any():
            raise CohortError(
                f"found the reader '{wrong}' in {what}, expected a name of its own; "
                f"correct the column '{READER}'"
            )
    return names


def _by_case(rows: pd.DataFrame, column: str, what: str) -> pd.DataFrame:
    cases = rows[column].str.strip()
    twice = sorted(set(cases[cases.duplicated()]))
    if twice:
        raise CohortError(
            f"found the case {twice[0]} twice in {what}, expected one row for each case; "
            f"tell readers apart by a column '{READER}'"
        )
    return rows.set_index(cases)


def _numbers(column: "pd.Series[str]") -> "pd.Series[float]":
    return pd.to_numeric(column, errors="coerce")


def _missing_cases(by_rater: dict[str, pd.DataFrame]) -> list[Note]:
    """Cases that one table or reader lacks."""
    every = set().union(*(set(table.index) for table in by_rater.values()))
    notes = []
    for rater, table in by_rater.items():
        missing = sorted(str(case) for case in every - set(table.index))
        if missing:
            shown = ", ".join(missing[:10]) + (" ..." if len(missing) > 10 else "")
            message = f"{len(missing)} cases are missing from {rater}: {shown}; left out."
            notes.append(Note("missing-cases", message))
    return notes


def _ratings(name: str, by_rater: dict[str, pd.DataFrame]) -> tuple[Ratings, list[Note]]:
    given = {rater: _numbers(table[name]) for rater, table in by_rater.items()}
    notes = [
        Note("missing-score", f"{rater} gave no '{name}'; left out of it.")
        for rater, values in given.items()
        if values.isna().all()
    ]
    raters = [rater for rater, values in given.items() if values.notna().any()]
    every = sorted(set.intersection(*(set(by_rater[rater].index) for rater in raters)))
    present = pd.DataFrame({rater: given[rater] for rater in raters}).loc[every]
    whole = present[np.isfinite(present).all(axis=1)]
    for rater in raters:
        texts = by_rater[rater][name][every]
        wrong = texts[~np.isfinite(present[rater]) & (texts.str.strip() != "")]
        if len(wrong):
            message = f"'{name}' of {rater} is no number for {wrong.index[0]}: '{wrong.iloc[0]}'"
            notes.append(Note("no-number", f"{message} ({len(wrong)} such cases); left out."))
    if len(whole) < len(present):
        empty = ", ".join(str(case) for case in present.index.difference(whole.index)[:10])
        notes.append(Note("missing-values", f"'{name}' is not given by all for {empty}; left out."))
    cases = tuple(str(case) for case in whole.index)
    return Ratings(name, tuple(raters), cases, whole.to_numpy(np.float64)), notes

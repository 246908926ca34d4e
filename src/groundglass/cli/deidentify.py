"""Options that take from a report what names the patient."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundglass.deidentify import DATES, check, deidentify, read_key, refuse_versions

if TYPE_CHECKING:
    from groundglass.report import Report

Deidentify = Annotated[
    bool,
    typer.Option(
        "--deidentify",
        help="Remove what names patient, study and hospital (needs groundglass[deidentify]).",
    ),
]

Dates = Annotated[
    str | None,
    typer.Option(
        "--dates",
        help="Dates of a de-identified report; removed if not given.",
        metavar=f"[{'|'.join(DATES)}]",
        show_default=False,
    ),
]

KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key-file",
        help="Secret that makes the same identifiers on every run; random if not given.",
        metavar="FILE",
        show_default=False,
    ),
]


def deidentification(
    wanted: bool, dates: str | None, key_file: Path | None, out: Path
) -> "Callable[[Report], Report]":
    """What is done to a report before it is written to a folder; checked before the long work."""
    if not wanted:
        if dates is not None or key_file is not None:
            raise typer.BadParameter("--dates and --key-file need --deidentify.")
        return lambda report: report
    if dates is not None and dates not in DATES:
        raise typer.BadParameter(f"'{dates}' is not one of {', '.join(DATES)}.")
    key = None if key_file is None else read_key(key_file)
    chosen = dates or next(iter(DATES))
    check(chosen, key)
    refuse_versions(out)
    return partial(deidentify, dates=chosen, key=key)

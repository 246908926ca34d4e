"""Agreement of scores with readers."""

from pathlib import Path
from typing import Annotated

import typer

from groundglass.cli.console import say, say_json
from groundglass.cli.options import Json, OutFolder

commands = typer.Typer()


@commands.command()
def agree(
    ours: Annotated[
        Path,
        typer.Argument(
            help="Table of scores, a row for each case.", metavar="OURS.csv", show_default=False
        ),
    ],
    readers: Annotated[
        Path,
        typer.Argument(
            help="Table of readers; a column 'reader' tells several apart.",
            metavar="READERS.csv",
            show_default=False,
        ),
    ],
    out: OutFolder,
    case: Annotated[
        str, typer.Option("--case", help="Column that names the case.", metavar="COLUMN")
    ] = "",
    as_json: Json = False,
) -> None:
    """Measure how well scores agree with readers.

    ICC, weighted kappa and Bland-Altman limits for every score that both tables hold.
    """
    from groundglass.agreement.agree import agree, in_words
    from groundglass.agreement.write import write_agreement
    from groundglass.cli.summary import say_files, say_notes
    from groundglass.write import check_folder

    check_folder(out)
    found = agree(ours, readers, case=case)
    files = write_agreement(found, out)
    for line in in_words(found.agreement):
        say(line)
    say_notes(found.agreement.notes)
    say_files(files)
    if as_json:
        say_json(found.agreement.model_dump_json(indent=2))

"""Compare scans of one patient over time."""

from pathlib import Path
from typing import Annotated

import typer

from groundglass.cli.console import progress_bar, quiet_native_libraries, say, say_json
from groundglass.cli.options import DEFAULT_SYSTEM, Device, Json, OutFolder, System

commands = typer.Typer()


@commands.command()
def compare(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Two or more folders of results, or scans, in time order.",
            metavar="A B [C ...]",
            show_default=False,
        ),
    ],
    out: OutFolder,
    scans: Annotated[
        list[Path] | None,
        typer.Option(
            "--scan",
            help="Scan behind a folder of results, to register by gray. Once for each, in order.",
            metavar="SCAN",
            show_default=False,
        ),
    ] = None,
    days: Annotated[
        list[int] | None,
        typer.Option(
            "--day",
            help="Day of a scan, where DICOM dates do not tell it. Once for each, in order.",
            metavar="N",
            show_default=False,
        ),
    ] = None,
    system: System = DEFAULT_SYSTEM,
    device: Device = "cpu",
    as_json: Json = False,
) -> None:
    """Compare scans of one patient over time.

    Says what changed in each lung, lobe and region, and which lesions are new, resolved, grown or
    shrunk.
    """
    from groundglass.cli.summary import say_files, say_notes
    from groundglass.followup.compare import compare
    from groundglass.followup.write_comparison import change_in_words, write_comparison
    from groundglass.write import check_folder

    check_folder(out)
    quiet_native_libraries()
    with progress_bar() as progress:
        compared = compare(
            paths,
            scans=scans or (),
            days=days or (),
            system=system,
            device=device,
            progress=progress,
        )
        files = write_comparison(compared, out)
    for line in change_in_words(compared.comparison):
        say(line)
    say_notes(compared.comparison.notes)
    say_files(files)
    if as_json:
        say_json(compared.comparison.model_dump_json(indent=2))

"""Enhance the slices of a scan, to look at them."""

from typing import Annotated

import typer

from groundglass.cli.console import progress_bar, quiet_native_libraries, say
from groundglass.cli.options import OutFolder, ScanPath, Series, Tolerate

commands = typer.Typer()

METHODS = ("stochastic", "tone")


def known_method(method: str) -> str:
    """The given method; wrong usage if there is none of that name."""
    if method not in METHODS:
        raise typer.BadParameter(f"'{method}' is not one of {', '.join(METHODS)}.")
    return method


@commands.command()
def enhance(
    scan: ScanPath,
    out: OutFolder,
    method: Annotated[
        str,
        typer.Option(
            help="stochastic: local contrast by random walks. tone: dark tissue spread out.",
            metavar=f"[{'|'.join(METHODS)}]",
            callback=known_method,
        ),
    ] = "stochastic",
    slices: Annotated[
        list[int] | None,
        typer.Option(
            "--slice",
            help="Slice, counted from 1 at the head. May be repeated; all if not given.",
            min=1,
            show_default=False,
        ),
    ] = None,
    series: Series = None,
    tolerate: Tolerate = None,
) -> None:
    """Write enhanced slices as pictures.

    They are for looking at: nothing is measured on them.
    """
    from groundglass.enhancement.pictures import write_enhanced
    from groundglass.read import read
    from groundglass.write import check_folder

    check_folder(out)
    quiet_native_libraries()
    chosen = [number - 1 for number in slices or ()]
    with progress_bar() as progress:
        files = write_enhanced(
            read(scan, series=series, tolerate=tolerate or ()),
            out,
            method,
            chosen,
            lambda share: progress("slices", share),
        )
    say(f"{len(files)} pictures in {out}", "green")

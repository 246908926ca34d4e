"""The command line: ``groundglass COMMAND``."""

import os
import signal
from types import FrameType
from typing import Annotated

import typer

from groundglass.cli import (
    agree,
    analyze,
    bench_slices,
    classify,
    compare,
    data,
    detect,
    encoder_weights,
    enhance,
    evaluate,
    info,
    join,
    methods,
    pretrain,
    progressive,
    rescore,
    train,
    volumes,
)
from groundglass.cli.console import CommandGroup, quiet
from groundglass.version import __version__

app = typer.Typer(
    cls=CommandGroup,
    help="Pneumonia on chest CT: lungs, lesions, severity and report. Not a medical device.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich panels double the time of --help
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (
    analyze,
    detect,
    classify,
    rescore,
    compare,
    agree,
    methods,
    data,
    info,
    train,
    encoder_weights,
    join,
    pretrain,
    progressive,
    evaluate,
    bench_slices,
    enhance,
    volumes,
):
    app.add_typer(module.commands)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[
        bool,
        typer.Option(
            "--debug", help="Show tracebacks, logs and warnings; may stand after the command."
        ),
    ] = False,
    version: Annotated[  # noqa: ARG001 - typer calls _show_version
        bool,
        typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Options of every command."""
    quiet(debug=debug)


def _stop(number: int, _frame: FrameType | None) -> None:
    """End with exit code 143 on SIGTERM; temporary folders, which hold patient data, go."""
    if signal.getsignal(number) is not _stop:  # a training has its own way, after the batch
        return
    signal.signal(number, signal.SIG_IGN)  # a second signal must not cut the clearing short
    raise SystemExit(128 + number)


def main() -> None:
    """Run the command line and exit with its code."""
    signal.signal(signal.SIGTERM, _stop)
    # Threads that wait shall sleep: beside other programs, spinning slows a network fivefold.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app(prog_name="groundglass")

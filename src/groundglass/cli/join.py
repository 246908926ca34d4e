"""Join runs of single stages to one system."""

from pathlib import Path
from typing import Annotated

import typer

from groundglass.cli.console import say
from groundglass.cli.options import OutFolder

commands = typer.Typer()


@commands.command("join-stages")
def join_stages(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Runs of specialized_streams, one for each stage.", metavar="RUN..."),
    ],
    out: OutFolder,
) -> None:
    """Join runs of specialized_streams, one for each stage, to one system."""
    from groundglass.systems.specialized_streams.join import join_runs

    card = join_runs(runs, out)
    say(f"{out}: can {' and '.join(card.answers)}")

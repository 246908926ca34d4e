"""Make one system of several runs: of stages joined, or of weights averaged."""

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


@commands.command("average-runs")
def average_runs(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Runs of one network that started from the same weights.",
            metavar="RUN...",
        ),
    ],
    out: OutFolder,
) -> None:
    """Average the weights of runs that started from one network, to one as fast as each."""
    from groundglass.extras import need

    need("train")
    from groundglass.training import average
    from groundglass.training.run import Run

    average.average_runs([Run(folder) for folder in runs], out)
    typer.echo(out)

"""Make one system of several runs: of stages joined, or of seeds averaged."""

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
            help="Runs of one training that differ by seed alone and have start weights.",
            metavar="RUN...",
        ),
    ],
    out: OutFolder,
) -> None:
    """Average the weights of runs that differ by seed alone, to one network as fast as one."""
    from groundglass.extras import need

    need("train")
    from groundglass.training import average
    from groundglass.training.run import Run

    average.average_runs([Run(folder) for folder in runs], out)
    typer.echo(out)

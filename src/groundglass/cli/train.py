"""Train systems."""

from pathlib import Path
from typing import Annotated

import typer

commands = typer.Typer()

Tables = Annotated[
    list[Path], typer.Option("--data", help="Cohort table. May be repeated.", metavar="CSV")
]
SystemOrRun = Annotated[str, typer.Argument(help="Name of a system, or the folder of a run.")]
Results = Annotated[Path, typer.Option(help="Folder where results are kept.")]


@commands.command()
def train(
    system: Annotated[str, typer.Argument(help="Name of the system.")],
    tables: Tables,
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    recipe: Annotated[Path | None, typer.Option(help="YAML with settings.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting that differs, key=value. May be repeated."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted run.")
    ] = False,
) -> None:
    """Train a system on a cohort."""
    from groundglass.extras import need

    need("train")
    from groundglass.training.train import train

    train(system, tables, out, recipe=recipe, overrides=settings or [], resume=resume)
    typer.echo(out)

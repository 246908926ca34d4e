"""Train systems."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundglass.cli.console import progress_bar, say

if TYPE_CHECKING:
    from groundglass.training.watcher import Watcher

commands = typer.Typer()

Tables = Annotated[
    list[Path], typer.Option("--data", help="Cohort table. May be repeated.", metavar="CSV")
]
SystemOrRun = Annotated[str, typer.Argument(help="Name of a system, or the folder of a run.")]
Results = Annotated[Path, typer.Option(help="Folder where results are kept.")]


@commands.command()
def train(
    system: Annotated[str, typer.Argument(help="Name of the system.")],
    out: Annotated[Path, typer.Option(help="Folder of the run.", metavar="FOLDER")],
    tables: Annotated[
        list[Path] | None,
        typer.Option(
            "--data",
            help="Cohort table. May be repeated; a resumed run has its own.",
            metavar="CSV",
            show_default=False,
        ),
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="YAML with settings, or a recipe of the system by name.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting that differs, key=value. May be repeated."),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option("--device", help="cpu, cuda, cuda:0,1; as --set devices=.", metavar="DEVICE"),
    ] = None,
    logger: Annotated[
        str | None,
        typer.Option(
            "--logger", help="csv or tensorboard; as --set logger=.", metavar="[csv|tensorboard]"
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted run.")
    ] = False,
) -> None:
    """Train a system on a cohort."""
    from groundglass.extras import need

    need("train")
    if not tables and not resume:
        raise typer.BadParameter("missing; name a cohort table", param_hint="'--data'")
    from groundglass.training.train import train

    chosen = {"devices": device, "logger": logger}
    overrides = [*(settings or []), *(f"{key}={value}" for key, value in chosen.items() if value)]
    with told_on_stderr("training") as watcher:
        train(
            system,
            tables or [],
            out,
            recipe=recipe,
            overrides=overrides,
            resume=resume,
            watcher=watcher,
        )
    if os.environ.get("LOCAL_RANK", "0") == "0":  # one of several processes that train together
        typer.echo(out)


@contextmanager
def told_on_stderr(stage: str) -> Iterator["Watcher"]:
    """Shows the course of a training: a bar by the stage's name, and a line for each epoch."""
    from groundglass.training.watcher import Watcher

    with progress_bar() as show:

        class OnStderr(Watcher):
            def progress(self, fraction: float) -> None:
                show(stage, fraction)

            def line(self, text: str) -> None:
                say(text)

        yield OnStderr()

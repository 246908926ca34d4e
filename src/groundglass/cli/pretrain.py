"""Pretrain systems on slices, no label read."""

from pathlib import Path
from typing import Annotated

import typer

from groundglass.cli.train import told_on_stderr

commands = typer.Typer()


@commands.command()
def pretrain(
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
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted run.")
    ] = False,
) -> None:
    """Pretrain a system by painting what is erased from slices; no label is read."""
    from groundglass.extras import need

    need("train")
    if not tables and not resume:
        raise typer.BadParameter("missing; name a cohort table", param_hint="'--data'")
    from groundglass.pretraining.pretrain import pretrain

    with told_on_stderr("pretraining") as watcher:
        pretrain(
            system,
            tables or [],
            out,
            recipe=recipe,
            overrides=settings or [],
            resume=resume,
            watcher=watcher,
        )
    typer.echo(out)

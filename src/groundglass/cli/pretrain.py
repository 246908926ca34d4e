"""Pretrain systems on slices without labels."""

from pathlib import Path
from typing import Annotated

import typer

from groundglass.cli.train import Tables

commands = typer.Typer()


@commands.command()
def pretrain(
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
    """Pretrain a system by painting what is erased from slices; no label is read."""
    from groundglass.extras import need

    need("train")
    from groundglass.pretraining.pretrain import pretrain

    pretrain(system, tables, out, recipe=recipe, overrides=settings or [], resume=resume)
    typer.echo(out / "weights.safetensors")

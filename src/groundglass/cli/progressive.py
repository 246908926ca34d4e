"""Train on unlabeled slices as well."""

from pathlib import Path
from typing import Annotated

import typer

from groundglass.cli.train import told_on_stderr

commands = typer.Typer()


@commands.command()
def train_progressively(
    system: Annotated[str, typer.Argument(help="Name of the system.")],
    labeled: Annotated[
        list[Path],
        typer.Option("--data", help="Cohort table with labels. May be repeated.", metavar="CSV"),
    ],
    unlabeled: Annotated[
        Path, typer.Option(help="Cohort table of other patients; its labels are not read.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the runs.", metavar="FOLDER")],
    group: Annotated[int, typer.Option(help="Slices labeled in a round.")] = 5,
    slices: Annotated[
        int | None, typer.Option(help="Unlabeled slices used, drawn at random; all if not given.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of their order.")] = 0,
    recipe: Annotated[
        Path | None, typer.Option(help="YAML with settings, or a recipe of the system by name.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting that differs, key=value. May be repeated."),
    ] = None,
) -> None:
    """Train on labels that the system gives itself, a few more each round.

    Goes on where it was when called again.
    """
    from groundglass.extras import need

    need("train")
    from groundglass.training.progressive import learn_progressively

    with told_on_stderr("training") as watcher:
        run = learn_progressively(
            system,
            labeled,
            unlabeled,
            out,
            group=group,
            slices=slices,
            seed=seed,
            recipe=recipe,
            overrides=settings or (),
            watcher=watcher,
        )
    typer.echo(run.folder)

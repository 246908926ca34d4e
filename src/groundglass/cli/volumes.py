"""Cohorts of volumes: phantoms to learn from, and whether sources give classes away."""

from pathlib import Path
from typing import Annotated

import typer

from groundglass.cli.console import progress_bar, quiet_native_libraries, say

commands = typer.Typer()


@commands.command()
def phantom_cohort(
    out: Annotated[
        Path, typer.Argument(help="Empty or new folder.", metavar="OUT", show_default=False)
    ],
    volumes: Annotated[int, typer.Option(min=8, help="Number of volumes.")] = 240,
    size: Annotated[
        tuple[int, int, int], typer.Option(help="Slices, rows and columns; slices at most.")
    ] = (48, 160, 160),
    seed: Annotated[int, typer.Option(min=0, help="Seed of the cohort.")] = 0,
) -> None:
    """Make a cohort of synthetic chest CTs, half of them with pneumonia.

    cohort.csv holds the class of each volume alone; labels.csv holds the slices with lesions, to
    measure by.
    """
    from groundglass.data.phantom_cohort import PhantomCohort, write_phantom_cohort

    if size[0] < 36 or min(size[1:]) < 90:
        raise typer.BadParameter(f"{size} is coarser than what is read; take 36 90 90 at least.")
    with progress_bar() as progress:
        made_of = PhantomCohort(volumes=volumes, shape=size, seed=seed)
        table = write_phantom_cohort(made_of, out, lambda share: progress("volumes", share))
    say(f"{volumes} volumes in {table}", "green")


@commands.command()
def confounding(
    tables: Annotated[
        list[Path],
        typer.Option("--data", help="Cohort table; each is a source. Repeat.", metavar="CSV"),
    ],
    name: Annotated[str, typer.Option(help="Name of the result.")],
    results: Annotated[Path, typer.Option(help="Folder where results are kept.")] = Path(
        "benchmarks"
    ),
) -> None:
    """Measure how well class and source are told from pixels without lung.

    What a simple classifier tells without seeing the lungs, a network may go by as well.
    """
    from groundglass.evaluation.confounding import measure_confounding

    quiet_native_libraries()
    with progress_bar() as progress:
        found = measure_confounding(tables, name, lambda share: progress("cases", share))
    file = results / f"confounding-{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(found.model_dump_json(indent=2) + "\n", encoding="utf-8")
    typer.echo(found.model_dump_json(indent=2))

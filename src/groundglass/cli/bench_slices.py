"""Time the network of a system slice by slice."""

import re
from pathlib import Path
from typing import Annotated

import typer

commands = typer.Typer()


@commands.command()
def bench_slices(
    system: Annotated[str, typer.Argument(help="Name of a system, or the folder of a run.")],
    title: Annotated[str, typer.Option(help="What is timed, in words.")],
    recipe: Annotated[str, typer.Option(help="Recipe beside the system's card.")] = "recipe.yaml",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting that differs, key=value. May be repeated."),
    ] = None,
    size: Annotated[tuple[int, int], typer.Option(help="Rows and columns.")] = (512, 512),
    batch: Annotated[int, typer.Option(min=1, help="Slices of a batch.")] = 4,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    results: Annotated[Path, typer.Option(help="Folder where results are kept.")] = Path(
        "benchmarks"
    ),
) -> None:
    """Time a network: milliseconds for a slice, slices a second in batches, and memory.

    A system is built by its recipe with random weights, a run with its own.
    """
    from groundglass.evaluation.slice_speed import measure_slice_speed
    from groundglass.extras import need

    need("train")
    measured = measure_slice_speed(
        system,
        title,
        recipe=recipe,
        settings=settings or (),
        size_px=size,
        batch=batch,
        threads=threads,
    )
    words = "-".join(re.findall(r"[a-z0-9]+", title.lower()))
    name = f"slice-speed-{measured.system}-{words}-{'x'.join(map(str, size))}.json"
    results.mkdir(parents=True, exist_ok=True)
    (results / name).write_text(measured.model_dump_json(indent=2) + "\n", encoding="utf-8")
    typer.echo(measured.model_dump_json(indent=2))

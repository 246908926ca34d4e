"""Train, evaluate and compare systems."""

from pathlib import Path
from typing import Annotated

import typer

from groundglass.cli.console import progress_bar
from groundglass.cli.options import Device

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


@commands.command()
def evaluate(
    system: SystemOrRun,
    tables: Tables,
    name: Annotated[str, typer.Option(help="Name of the cohort in the table.")],
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    results: Results = Path("benchmarks"),
    device: Device = "cpu",
) -> None:
    """Measure lungs and lesions on a split of a cohort."""
    from groundglass.data.cohort import Cohort, split_name
    from groundglass.evaluation.evaluate import evaluate

    with progress_bar() as progress:
        evaluation = evaluate(
            system,
            Cohort.read(tables),
            split_name(split),
            name=name,
            device=device,
            progress=lambda done, of: progress("slices", done / of),
        )
    results.mkdir(parents=True, exist_ok=True)
    file = results / f"evaluation-{evaluation.system}-{name}-{split}.json"
    file.write_text(evaluation.model_dump_json(indent=2) + "\n", encoding="utf-8")
    typer.echo(evaluation.model_dump_json(indent=2))


@commands.command()
def evaluate_series(
    system: SystemOrRun,
    scan: Annotated[Path, typer.Argument(help="Folder of the series.")],
    labels: Annotated[Path, typer.Option(help="CSV with a label for each slice.")],
    results: Results = Path("benchmarks"),
    device: Device = "cpu",
) -> None:
    """Measure a whole scan against a reader's label of each slice."""
    from groundglass.evaluation.slice_labels import evaluate_series

    result = evaluate_series(scan, labels, system, device)
    results.mkdir(parents=True, exist_ok=True)
    file = results / f"series-{result.system}-{result.series}.json"
    file.write_text(result.model_dump_json(indent=2) + "\n", encoding="utf-8")
    typer.echo(result.model_dump_json(indent=2))


@commands.command()
def bench(
    system: SystemOrRun = "baseline_unet",
    results: Results = Path("benchmarks"),
) -> None:
    """Time every stage on a scan of a usual size, and measure its memory."""
    from groundglass.evaluation.speed import measure_speed

    speed = measure_speed(system)
    results.mkdir(parents=True, exist_ok=True)
    (results / f"speed-{Path(system).name}.json").write_text(
        speed.model_dump_json(indent=2) + "\n", encoding="utf-8"
    )
    typer.echo(speed.model_dump_json(indent=2))


@commands.command()
def benchmarks(
    results: Results = Path("benchmarks"),
    page: Annotated[Path, typer.Option(help="Page to write.")] = Path("BENCHMARKS.md"),
) -> None:
    """Write the benchmarks page from stored results."""
    from groundglass.evaluation.benchmarks import write_benchmarks

    write_benchmarks(results, page)
    typer.echo(page)

"""Measure systems and compare them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundglass.cli.console import progress_bar, say
from groundglass.cli.options import Device

if TYPE_CHECKING:
    from pydantic import BaseModel

commands = typer.Typer()

Tables = Annotated[
    list[Path], typer.Option("--data", help="Cohort table. May be repeated.", metavar="CSV")
]
SystemOrRun = Annotated[str, typer.Argument(help="Name of a system, or the folder of a run.")]
Results = Annotated[Path, typer.Option(help="Folder where results are kept.")]


@commands.command()
def evaluate(
    system: SystemOrRun,
    tables: Tables,
    name: Annotated[str, typer.Option(help="Name of the cohort in the table.")],
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    protocol: Annotated[
        str,
        typer.Option(
            help="as-used: lungs found, lesions inside. inf-net: lesion probability on whole "
            "slices, cut at 256 thresholds."
        ),
    ] = "as-used",
    results: Results = Path("benchmarks"),
    cases: Annotated[
        Path | None, typer.Option(help="CSV to write, a row for each slice and structure.")
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Folder for curves and worst slices as PNG.")
    ] = None,
    device: Device = "cpu",
) -> None:
    """Measure a system on a split of a cohort."""
    from groundglass.data.cohort import Cohort, split_name
    from groundglass.evaluation.evaluate import evaluate, write_cases

    cohort = Cohort.read(tables)
    with progress_bar() as progress:
        evaluated = evaluate(
            system,
            cohort,
            split_name(split),
            name=name,
            protocol=protocol,
            device=device,
            progress=lambda done, of: progress("slices", done / of),
        )
    if cases is not None:
        write_cases(evaluated.rows, cases)
    if pictures is not None:
        from groundglass.evaluation.pictures import draw_pictures

        draw_pictures(evaluated, cohort.split(split_name(split)), pictures, Path(system))
    kind = "evaluation" if protocol == "as-used" else protocol
    _store(evaluated.evaluation, results / f"{kind}-{Path(system).name}-{name}-{split}.json")


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
    _store(result, results / f"series-{result.system}-{result.series}.json")


@commands.command()
def bench(
    system: SystemOrRun = "baseline_unet",
    results: Results = Path("benchmarks"),
) -> None:
    """Time every stage on a scan of a usual size, and measure its memory."""
    from groundglass.evaluation.speed import measure_speed

    _store(measure_speed(system), results / f"speed-{Path(system).name}.json")


@commands.command()
def experiment(
    plan: Annotated[Path, typer.Argument(help="YAML file of the plan.")],
    tables: Annotated[
        list[str],
        typer.Option(
            "--data", help="Table of a cohort that the plan names. Repeat.", metavar="NAME=CSV"
        ),
    ],
    runs: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs"),
    only: Annotated[
        list[str] | None, typer.Option(help="Row to fill; all if not given. May be repeated.")
    ] = None,
    on: Annotated[
        list[str] | None, typer.Option(help="Data to fill; all if not given. May be repeated.")
    ] = None,
    seed: Annotated[
        list[int] | None, typer.Option(help="Seed to fill; all if not given. May be repeated.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Setting of this machine, key=value, for every run."),
    ] = None,
    results: Results = Path("benchmarks"),
    device: Device = "cpu",
) -> None:
    """Fill the table of a plan: train what is missing, measure it, store the results."""
    from groundglass.extras import need

    need("train")
    from groundglass.evaluation.experiment import Experiment
    from groundglass.evaluation.plan import read_plan
    from groundglass.evaluation.trial import list_trials

    trials = list_trials(read_plan(plan), rows=only or (), data=on or (), seeds=seed or ())
    with progress_bar() as progress:
        made = Experiment(
            _named_tables(tables), runs, results, device, tuple(settings or ())
        ).carry_out(trials, tell=say, progress=lambda done, of: progress("slices", done / of))
        for result in made:
            typer.echo(result.model_dump_json())


@commands.command()
def benchmarks(
    results: Results = Path("benchmarks"),
    page: Annotated[Path, typer.Option(help="Page to write.")] = Path("BENCHMARKS.md"),
) -> None:
    """Write the benchmarks page from stored results."""
    from groundglass.evaluation.benchmarks import write_benchmarks

    write_benchmarks(results, page)
    typer.echo(page)


def _named_tables(pairs: list[str]) -> dict[str, Path]:
    tables = {}
    for pair in pairs:
        name, equals, table = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"found '{pair}', expected NAME=CSV", param_hint="--data")
        tables[name] = Path(table)
    return tables


def _store(result: "BaseModel", file: Path) -> None:
    """Keep a result in its folder and print it for programs."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(result.model_dump_json(indent=2) + "\n", encoding="utf-8")
    typer.echo(result.model_dump_json(indent=2))

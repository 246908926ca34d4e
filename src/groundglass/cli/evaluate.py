"""Measure systems and compare them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundglass.cli.console import progress_bar, say
from groundglass.cli.kept_results import refuse_other_system, refuse_other_weights, weights_of
from groundglass.cli.options import Device

if TYPE_CHECKING:
    from pydantic import BaseModel

commands = typer.Typer()

Tables = Annotated[
    list[Path], typer.Option("--data", help="Cohort table. May be repeated.", metavar="CSV")
]
SystemOrRun = Annotated[str, typer.Argument(help="Name of a system, or the folder of a run.")]
CohortName = Annotated[str, typer.Option(help="Name of the cohort in the table.")]
SplitName = Annotated[str, typer.Option(help="train, val or test.")]
Results = Annotated[Path, typer.Option(help="Folder where results are kept.")]

_KIND = {
    "as-used": "evaluation",
    "instances": "instances",
    "tiny-lesions": "tiny-lesions",
    "inf-net": "inf-net",
    "volumes": "volumes",
    "classes": "classes",
}
"""First word of the file in which a protocol's result is kept."""


SeriesFolder = Annotated[Path, typer.Argument(help="Folder of the series.")]
SliceLabels = Annotated[Path, typer.Option(help="CSV with a label for each slice.")]


@commands.command()
def evaluate(
    system: SystemOrRun,
    tables: Tables,
    name: CohortName,
    split: SplitName = "test",
    protocol: Annotated[
        str,
        typer.Option(
            help="as-used: lungs found, lesions inside. inf-net: lesion probability on whole "
            "slices, cut at 256 thresholds. instances: average precision of boxes and masks. "
            "tiny-lesions: each lesion by itself. volumes: the class of whole series. "
            "classes: that of pictures."
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
    from groundglass.evaluation.evaluate import evaluate, lesion_finder, write_cases

    file = results / f"{_KIND.get(protocol, protocol)}-{Path(system).name}-{name}-{split}.json"
    refuse_other_weights(file, weights_of(system))
    find = None if pictures is None else lesion_finder(system, protocol, device)
    cohort = Cohort.read(tables)
    with progress_bar() as progress:
        measured = evaluate(
            system,
            cohort,
            split_name(split),
            name=name,
            protocol=protocol,
            device=device,
            tell=say,
            progress=lambda done, of: progress("slices", done / of),
        )
    _store(measured.evaluation, file)
    if cases is not None:
        write_cases(measured.rows, cases)
    if pictures is not None and find is not None:
        from groundglass.evaluation.pictures import draw_pictures

        draw_pictures(measured, cohort.split(split_name(split)), find, pictures, Path(system))


@commands.command()
def choose_threshold(
    system: SystemOrRun,
    tables: Tables,
    thresholds: Annotated[
        list[float] | None,
        typer.Option("--threshold", help="Probability to try; 0.3 to 0.8 if not given. Repeat."),
    ] = None,
    device: Device = "cpu",
) -> None:
    """Try thresholds of lesion on the validation split; the best is to be set by hand."""
    from groundglass.data.cohort import Cohort
    from groundglass.evaluation.thresholds import THRESHOLDS, try_thresholds

    with progress_bar() as progress:
        tried = try_thresholds(
            system,
            Cohort.read(tables).split("val"),
            tuple(thresholds or THRESHOLDS),
            device=device,
            progress=lambda done, of: progress("slices", done / of),
        )
    best = max(tried, key=lambda one: one.patient_dice)
    for one in tried:
        figures = {name: round(estimate.value, 4) for name, estimate in sorted(one.summary.items())}
        typer.echo(json.dumps({"threshold": one.threshold, **figures}))
    say(f"largest Dice by patient: --set lesion_threshold={best.threshold}")


@commands.command()
def evaluate_lungs(
    system: Annotated[str, typer.Argument(help="unet, or the folder of a run of lung_unet.")],
    tables: Tables,
    name: CohortName,
    split: SplitName = "test",
    results: Results = Path("benchmarks"),
    device: Device = "cpu",
) -> None:
    """Measure a lung network on slices whose lungs are known."""
    from groundglass.data.cohort import Cohort, split_name
    from groundglass.evaluation.lungs import evaluate_lungs
    from groundglass.systems.system import LUNG_NETWORK

    file = results / f"lungs-{Path(system).name}-{name}-{split}.json"
    refuse_other_weights(file, weights_of(LUNG_NETWORK if system == "unet" else system))
    with progress_bar() as progress:
        result = evaluate_lungs(
            system,
            Cohort.read(tables),
            split_name(split),
            name=name,
            device=device,
            tell=say,
            progress=lambda done, of: progress("series", done / of),
        )
    _store(result, file)


@commands.command()
def evaluate_series(
    system: SystemOrRun,
    scan: SeriesFolder,
    labels: SliceLabels,
    results: Results = Path("benchmarks"),
    device: Device = "cpu",
) -> None:
    """Measure a whole scan against a reader's label of each slice."""
    from groundglass.evaluation.slice_labels import evaluate_series
    from groundglass.systems.system import find_card

    file = results / f"series-{find_card(system)[0].name}-{scan.name}.json"
    refuse_other_weights(file, weights_of(system))
    _refuse_wrong_labels(labels, scan.name)
    _store(evaluate_series(scan, labels, system, device), file)


@commands.command()
def evaluate_relevance(
    system: SystemOrRun,
    scan: SeriesFolder,
    labels: SliceLabels,
    results: Results = Path("benchmarks"),
    device: Device = "cpu",
) -> None:
    """Measure what carried the class of a whole scan against a reader's label of each slice."""
    from groundglass.evaluation.relevance import evaluate_relevance

    file = results / f"relevance-{Path(system).name}-{scan.name}.json"
    refuse_other_weights(file, weights_of(system))
    _refuse_wrong_labels(labels, scan.name)
    _store(evaluate_relevance(scan, labels, system, device), file)


@commands.command()
def evaluate_pretraining(
    run: Annotated[Path, typer.Argument(help="Folder of a finished pretraining.")],
    tables: Tables,
    name: CohortName,
    split: SplitName = "test",
    picture: Annotated[
        Path | None, typer.Option(help="PNG to write: slices under both masks, and painted.")
    ] = None,
    results: Results = Path("benchmarks"),
) -> None:
    """Measure whether a pretraining's coach makes painting harder than random masks do."""
    from groundglass.extras import need

    need("train")
    from groundglass.data.cohort import Cohort, split_name
    from groundglass.evaluation.pretraining import evaluate_pretraining
    from groundglass.pretraining.pretrain import read_facts
    from groundglass.training.run import Run

    file = results / f"pretraining-{run.resolve().name}-{name}-{split}.json"
    refuse_other_weights(file, read_facts(Run(run))["weights"]["sha256"])
    measured = evaluate_pretraining(
        run, Cohort.read(tables), split_name(split), name=name, picture=picture
    )
    _store(measured, file)


@commands.command()
def bench(
    system: SystemOrRun = "baseline_unet",
    slices: Annotated[int, typer.Option(min=200, help="Slices of the scan.")] = 300,
    results: Results = Path("benchmarks"),
) -> None:
    """Time every stage on a scan of a usual size, and measure its memory."""
    from groundglass.evaluation.speed import measure_speed

    _store(measure_speed(system, slices), results / f"speed-{Path(system).name}.json")


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
def cross_validate(
    system: Annotated[str, typer.Argument(help="Name of the system.")],
    tables: Tables,
    out: Annotated[Path, typer.Option(help="Folder of the folds and their runs.")],
    name: Annotated[str, typer.Option(help="Name of the cohort in the table.")],
    folds: Annotated[int, typer.Option(help="Number of folds, at least 3.")] = 5,
    recipe: Annotated[str, typer.Option(help="Recipe of the system.")] = "recipe.yaml",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting that differs, key=value. May be repeated."),
    ] = None,
    protocol: Annotated[str, typer.Option(help="as-used or inf-net.")] = "as-used",
    results: Results = Path("benchmarks"),
    device: Device = "cpu",
) -> None:
    """Train and measure a system by cross-validation over patients."""
    from groundglass.extras import need

    need("train")
    from groundglass.evaluation.cross_validation import cross_validate

    file = (
        results / f"{_KIND.get(protocol, protocol)}-{out.resolve().name}-{name}-{folds}-fold.json"
    )
    with progress_bar() as progress:
        measured = cross_validate(
            system,
            tables,
            out,
            name=name,
            folds=folds,
            recipe=recipe,
            settings=_parse_settings(settings or []),
            protocol=protocol,
            device=device,
            tell=say,
            progress=lambda done, of: progress("slices", done / of),
        )
    refuse_other_system(file, measured.evaluation)
    _store(measured.evaluation, file)


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


def _parse_settings(pairs: list[str]) -> dict[str, object]:
    from groundglass.settings import split_override

    return dict(split_override(pair) for pair in pairs)


def _refuse_wrong_labels(labels: Path, series: str) -> None:
    """Make sure, before anything is analyzed, that a reader has labeled the slices of a series.

    Raises:
        CohortError: If there is no such table, a column is missing, or the series is not in it.
    """
    from groundglass.errors import CohortError
    from groundglass.evaluation.slice_labels import read_labels

    rows = read_labels(labels, series)
    if not rows or "diagnosis" not in rows[0]:
        lacking = "column 'diagnosis'" if rows else f"row of volume '{series}'"
        raise CohortError(
            f"found no {lacking} in '{labels.name}', expected the columns volume, diagnosis, "
            "slice_location and infected, and a row for each slice of the folder; add it, or name "
            "another file"
        )


def _store(result: "BaseModel", file: Path) -> None:
    """Keep a result in its folder and print it for programs."""
    from groundglass.training.run import replace_text

    file.parent.mkdir(parents=True, exist_ok=True)
    replace_text(file, result.model_dump_json(indent=2) + "\n")
    typer.echo(result.model_dump_json(indent=2))

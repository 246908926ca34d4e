"""Data to work on: the phantom, and tables of public data sets."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundglass.cli.console import quiet_native_libraries, say

if TYPE_CHECKING:
    from groundglass.data.cohort import Case

commands = typer.Typer()
data = typer.Typer(help="Tables of cases for training and evaluation.", no_args_is_help=True)
commands.add_typer(data, name="data")


def possible_size(size: tuple[int, int, int]) -> tuple[int, int, int]:
    """The given size; wrong usage if there is no thorax of so few voxels."""
    if min(size) < 1:
        raise typer.BadParameter(f"{size} is not three positive numbers.")
    return size


@commands.command()
def phantom(
    out: Annotated[
        Path, typer.Argument(help="Empty or new folder.", metavar="OUT", show_default=False)
    ],
    format: Annotated[
        str,
        typer.Option(
            "--format", help="Format of the scan.", metavar="[dicom|nifti|mha|nrrd|pictures]"
        ),
    ] = "dicom",
    seed: Annotated[int, typer.Option(min=0, help="One seed is one patient.")] = 0,
    healthy: Annotated[bool, typer.Option("--healthy", help="Lungs without lesions.")] = False,
    size: Annotated[
        tuple[int, int, int], typer.Option(help="Slices, rows and columns.", callback=possible_size)
    ] = (
        120,
        256,
        256,
    ),
) -> None:
    """Make a synthetic chest CT.

    Writes the scan, and the truth about its lungs and lesions beside it.
    """
    from groundglass.data.phantom import make_phantom
    from groundglass.data.phantom_files import write_phantom
    from groundglass.write import check_folder

    check_folder(out)
    quiet_native_libraries()
    made = make_phantom(seed, shape=size, lesions=() if healthy else None)
    say(str(write_phantom(made, out, format)), "green")


@data.command("import")
def import_data(
    name: Annotated[str, typer.Argument(help="Layout of the data set, such as covid-ct-seg.")],
    folder: Annotated[Path, typer.Argument(help="Folder of the data set; it stays as it is.")],
    out: Annotated[Path, typer.Option("--out", help="Table to write.", metavar="CSV")],
    tolerate: Annotated[
        list[str] | None,
        typer.Option(
            help="Oddity of a volume to accept (see 'groundglass formats'). May be repeated.",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Turn a known public data set into a table of cases.

    Pictures stay where they are. The slices of volumes go into a folder beside the table, with
    its name and '-slices'.
    """
    from groundglass.data.cohort import cohort_text, write_cohort
    from groundglass.data.importers import REMARKS, VOLUME_REMARKS, has_volumes, import_cases
    from groundglass.write import check_folder

    check_folder(out.parent)
    quiet_native_libraries()
    cases = import_cases(name, folder, out.with_name(f"{out.stem}-slices"), tolerate or ())
    if not out.is_file() or out.read_bytes() != cohort_text(cases).encode():
        _refuse_table(out)
        write_cohort(cases, out)
    say(f"{len(cases)} cases in {out}", "green")
    remark = (VOLUME_REMARKS if has_volumes(name, folder) else REMARKS).get(name)
    if remark:
        say(remark)


def _refuse_table(table: Path) -> None:
    """Make sure that no table is lost, which may have been edited by hand.

    Raises:
        OutputError: If there is one of that name.
    """
    from groundglass.errors import OutputError

    if table.exists():
        raise OutputError(
            f"found '{table}', expected no table of that name; name another, or move it away"
        )


@data.command("check")
def check_data(
    tables: Annotated[list[Path], typer.Argument(help="Tables of cases.", metavar="CSV...")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="File of the result; CSV.check.json if not given.", metavar="JSON"
        ),
    ] = None,
) -> None:
    """Look into every file of a cohort, and for near-duplicates across its splits."""
    from groundglass.data.cohort import Cohort, read_table
    from groundglass.data.leaks import check_cohort

    cohort = Cohort([case for table in tables for case in read_table(table)])
    check = check_cohort(cohort.cases)
    out = out or tables[0].with_suffix(".check.json")
    out.write_text(check.model_dump_json(indent=2) + "\n", encoding="utf-8")
    for fault in check.faults:
        say(fault, "red")
    for warning in check.warnings():
        say(warning, "yellow")
    counts = ", ".join(f"{number} {split}" for split, number in check.cases.items())
    say(f"{counts}: {len(check.faults)} faults; details in {out}")
    if check.faults:
        raise typer.Exit(1)


@data.command("gray")
def training_gray(
    tables: Annotated[list[Path], typer.Argument(help="Tables of cases.", metavar="CSV...")],
    out: Annotated[Path, typer.Option("--out", help="File to write.", metavar="JSON")],
) -> None:
    """Describe the gray of training slices, for the check of what is unlike them."""
    from groundglass.quality.reference import make_training_gray
    from groundglass.systems.system import lung_finder
    from groundglass.write import check_folder

    check_folder(out.parent)
    made = make_training_gray(tables, lung_finder(None, "cpu").find_lungs)
    out.write_text(made.model_dump_json(indent=2) + "\n", encoding="utf-8")
    say(f"{made.slices} slices of {made.patients} patients in {out}", "green")


@data.command("reformat")
def reformat_data(
    view: Annotated[str, typer.Argument(help="coronal or sagittal.", metavar="VIEW")],
    tables: Annotated[
        list[Path], typer.Argument(help="Tables with series and numbers.", metavar="CSV...")
    ],
    out: Annotated[
        Path,
        typer.Option("--out", help="Folder of the pictures and their table.", metavar="FOLDER"),
    ],
    split: Annotated[
        str | None, typer.Option(help="Split to take; all if not given.", show_default=False)
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Pixels from one view to the next.")] = 4,
) -> None:
    """Make views of series across their slices, as pictures with a table."""
    from groundglass.data.derived import reformat, view_name
    from groundglass.write import check_folder

    wanted = view_name(view)
    check_folder(out)
    _refuse_table(out / "cohort.csv")
    made = reformat(_chosen_cases(tables, split), wanted, out, every)
    say(f"{len(made)} {view} views in {out / 'cohort.csv'}", "green")


@data.command("paste")
def paste_data(
    tables: Annotated[list[Path], typer.Argument(help="Tables of cases.", metavar="CSV...")],
    out: Annotated[
        Path,
        typer.Option("--out", help="Folder of the pictures and their table.", metavar="FOLDER"),
    ],
    split: Annotated[
        str | None, typer.Option(help="Split to take; all if not given.", show_default=False)
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Number of pictures.")] = 300,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the choice.")] = 0,
) -> None:
    """Squeeze three slices side by side into one picture, many times."""
    from groundglass.data.derived import paste
    from groundglass.write import check_folder

    check_folder(out)
    _refuse_table(out / "cohort.csv")
    made = paste(_chosen_cases(tables, split), out, count, seed)
    say(f"{len(made)} pictures in {out / 'cohort.csv'}", "green")


@data.command("gather")
def gather_data(
    tables: Annotated[
        list[Path], typer.Argument(help="Tables of labeled pictures.", metavar="CSV...")
    ],
    out: Annotated[
        Path,
        typer.Option("--out", help="Folder of the series and their table.", metavar="FOLDER"),
    ],
) -> None:
    """Put the pictures of each patient into a folder of their own, as a series.

    Series that cannot be read as CT, or that show no lung, are left out and named.
    """
    from groundglass.data.gathered import gather
    from groundglass.write import check_folder

    check_folder(out)
    _refuse_table(out / "cohort.csv")
    quiet_native_libraries()
    made, left_out = gather(_chosen_cases(tables, None), out, _refuse_without_lungs)
    for name, reason in left_out.items():
        say(f"left out {name}: {reason}", "yellow")
    say(f"{len(made)} series in {out / 'cohort.csv'}", "green")


@data.command("lesion-sizes")
def lesion_sizes(
    tables: Annotated[list[Path], typer.Argument(help="Tables of cases.", metavar="CSV...")],
) -> None:
    """Print how large the lesions of a cohort are, and how many are tiny, as CSV."""
    from groundglass.data.cohort import Cohort
    from groundglass.data.lesion_sizes import LesionSizes, measure_lesion_sizes

    typer.echo(",".join(LesionSizes.model_fields))
    for sizes in measure_lesion_sizes(Cohort.read(tables).cases):
        typer.echo(",".join(str(value) for value in sizes.model_dump().values()))


def _refuse_without_lungs(series: Path) -> None:
    from groundglass.analyze import find_lungs_in
    from groundglass.errors import EmptyMaskError

    _, lungs, _ = find_lungs_in(series)
    if not any(pixels.any() for pixels in lungs.slices):
        raise EmptyMaskError("no lung was found")


def _chosen_cases(tables: list[Path], split: str | None) -> "Sequence[Case]":
    from groundglass.data.cohort import Cohort, split_name

    cohort = Cohort.read(tables)
    return cohort.cases if split is None else cohort.split(split_name(split))

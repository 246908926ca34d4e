"""Analyze a scan, or do one part of it: lungs or lesions alone."""

from functools import partial
from typing import Annotated

import typer

from groundglass.cli.console import progress_bar, quiet_native_libraries, say_json
from groundglass.cli.deidentify import Dates, Deidentify, KeyFile, deidentification
from groundglass.cli.options import (
    DEFAULT_LUNGS,
    DEFAULT_SYSTEM,
    Device,
    Json,
    Lobes,
    Lungs,
    OutFolder,
    ScanPath,
    Series,
    System,
    Tolerate,
)
from groundglass.write import DEFAULT_FORMATS, FORMATS

commands = typer.Typer()


def known_formats(names: list[str]) -> list[str]:
    """The given formats; wrong usage if there is no such format."""
    unknown = [name for name in names if name not in FORMATS]
    if unknown:
        raise typer.BadParameter(f"'{unknown[0]}' is not one of {', '.join(FORMATS)}.")
    return names


@commands.command()
def analyze(
    scan: ScanPath,
    out: OutFolder,
    system: System = DEFAULT_SYSTEM,
    formats: Annotated[
        list[str],
        typer.Option(
            "--format",
            help="What to write. May be repeated.",
            metavar=f"[{'|'.join(FORMATS)}]",
            callback=known_formats,
        ),
    ] = list(DEFAULT_FORMATS),  # noqa: B006 - typer reads the default and never hands it out
    series: Series = None,
    tolerate: Tolerate = None,
    device: Device = "cpu",
    lungs: Lungs = DEFAULT_LUNGS,
    lobes: Lobes = None,
    radiomics: Annotated[
        bool,
        typer.Option(
            "--radiomics", help="Write shape and density of each lesion as well: lesions.csv."
        ),
    ] = False,
    uncertainty: Annotated[
        bool,
        typer.Option(
            "--uncertainty",
            help="Widen intervals by what the system finds on variants of the scan; slow.",
        ),
    ] = False,
    classifier: Annotated[
        str | None,
        typer.Option(
            "--classify",
            help="System that says what the scan most likely shows, or folder of a run.",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
    deidentify: Deidentify = False,
    dates: Dates = None,
    key_file: KeyFile = None,
) -> None:
    """Analyze a chest CT and write a report.

    Finds the lungs and the pneumonia in them, and scores the severity. Where quality control finds
    the scan unfit to be measured, there are no scores, and the exit code is 3.
    """
    from groundglass.analyze import analyze
    from groundglass.cli.summary import refuse_withheld, say_report
    from groundglass.write import check_folder, check_formats, write
    from groundglass.write.record import record_of

    formats = [*formats, "radiomics"] if radiomics and "radiomics" not in formats else formats
    check_folder(out)
    without_identity = deidentification(deidentify, dates, key_file, out)
    quiet_native_libraries()
    with progress_bar() as progress:
        report = analyze(
            scan,
            system=system,
            series=series,
            tolerate=tolerate or (),
            device=device,
            lungs=lungs,
            lobes=lobes,
            uncertainty=uncertainty,
            classifier=classifier,
            progress=progress,
            check=partial(check_formats, formats),
        )
        report = without_identity(report)
        files = write(report, out, formats)
    say_report(report, files)
    if as_json:
        say_json(record_of(report).model_dump_json(indent=2))
    refuse_withheld(report)


@commands.command()
def segment(
    scan: ScanPath,
    out: OutFolder,
    system: System = DEFAULT_SYSTEM,
    series: Series = None,
    tolerate: Tolerate = None,
    device: Device = "cpu",
) -> None:
    """Write the masks of lungs and lesions alone."""
    from groundglass.analyze import segment
    from groundglass.cli.summary import say_files, say_notes
    from groundglass.write import check_folder, write_masks

    check_folder(out)
    quiet_native_libraries()
    with progress_bar() as progress:
        findings, notes = segment(
            scan,
            system=system,
            series=series,
            tolerate=tolerate or (),
            device=device,
            progress=progress,
        )
        files = write_masks(findings, out)
    say_notes(notes)
    say_files(files)


@commands.command()
def lungs(
    scan: ScanPath,
    out: OutFolder,
    series: Series = None,
    tolerate: Tolerate = None,
    device: Device = "cpu",
    method: Lungs = DEFAULT_LUNGS,
) -> None:
    """Write the mask of the lungs alone."""
    from groundglass.analyze import find_lungs_in
    from groundglass.cli.summary import say_files, say_notes
    from groundglass.write import check_folder, write_lungs

    check_folder(out)
    quiet_native_libraries()
    with progress_bar() as progress:
        read, mask, notes = find_lungs_in(
            scan,
            series=series,
            tolerate=tolerate or (),
            device=device,
            lungs=method,
            progress=progress,
        )
        files = write_lungs(read, mask, out)
    say_notes(notes)
    say_files(files)

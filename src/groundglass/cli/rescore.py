"""Score a result again from lesions that a reader corrected."""

from pathlib import Path
from typing import Annotated

import typer

from groundglass.cli.analyze import known_formats
from groundglass.cli.console import quiet_native_libraries, say_json
from groundglass.cli.options import Json, Series
from groundglass.write import DEFAULT_FORMATS, FORMATS

commands = typer.Typer()

ResultFolder = Annotated[
    Path,
    typer.Argument(
        help="Folder of results of 'groundglass analyze'.", metavar="FOLDER", show_default=False
    ),
]


@commands.command()
def rescore(
    folder: ResultFolder,
    lesions: Annotated[
        Path,
        typer.Option(
            "--lesions",
            help="Corrected lesions: NIfTI, NRRD, MetaImage or DICOM Segmentation.",
            metavar="MASK",
            show_default=False,
        ),
    ],
    scan: Annotated[
        Path | None,
        typer.Option(
            "--scan",
            help="The scan that was analyzed; without it, scores that need HU are left out.",
            metavar="SCAN",
            show_default=False,
        ),
    ] = None,
    series: Series = None,
    by: Annotated[
        str, typer.Option("--by", help="Who corrected the lesions.", metavar="NAME")
    ] = "",
    labels: Annotated[
        str,
        typer.Option(
            "--labels",
            help="Meaning of labels that are not ours, such as '5=ground-glass 6=none'.",
            metavar="NAME=KIND ...",
        ),
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder for the new results; else FOLDER, which keeps the earlier ones.",
            metavar="FOLDER",
            show_default=False,
        ),
    ] = None,
    formats: Annotated[
        list[str],
        typer.Option(
            "--format",
            help="What to write. May be repeated.",
            metavar=f"[{'|'.join(FORMATS)}]",
            callback=known_formats,
        ),
    ] = list(DEFAULT_FORMATS),  # noqa: B006 - typer reads the default and never hands it out
    as_json: Json = False,
) -> None:
    """Score a result again from corrected lesions.

    Keeps the results before the correction, and says who corrected and how much changed.
    """
    from groundglass.cli.summary import refuse_withheld, say_report
    from groundglass.followup.corrected_lesions import known_labels
    from groundglass.followup.rescore import rescore, write_rescored
    from groundglass.write import check_folder
    from groundglass.write.record import record_of

    if series is not None and scan is None:
        raise typer.BadParameter("--series needs --scan.")
    target = out or folder
    check_folder(target)
    quiet_native_libraries()
    report = rescore(folder, lesions, scan=scan, series=series, by=by, labels=known_labels(labels))
    files = write_rescored(report, target, of=folder, spare=lesions, formats=formats)
    say_report(report, files)
    if as_json:
        say_json(record_of(report).model_dump_json(indent=2))
    refuse_withheld(report)

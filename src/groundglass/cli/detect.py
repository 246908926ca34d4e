"""Find lesions as boxes."""

from typing import Annotated

import typer

from groundglass.cli.console import progress_bar, quiet_native_libraries, say_json
from groundglass.cli.options import Device, Json, OutFolder, ScanPath, Series, Tolerate

commands = typer.Typer()

NamedSystem = Annotated[
    str,
    typer.Option(
        "--system",
        help="System that is asked (see 'groundglass systems'), or folder of a run.",
        metavar="NAME",
        show_default=False,
    ),
]


@commands.command()
def detect(
    scan: ScanPath,
    system: NamedSystem,
    out: OutFolder,
    series: Series = None,
    tolerate: Tolerate = None,
    device: Device = "cpu",
    as_json: Json = False,
) -> None:
    """Find lesions as boxes with scores, linked through the slices.

    Writes a page with the boxes, JSON, and tables of boxes and of lesions.
    """
    from groundglass.analyze import detect
    from groundglass.cli.summary import say_detections, say_files, say_notes
    from groundglass.write import check_folder
    from groundglass.write.answer import answer_record, write_answer

    check_folder(out)
    quiet_native_libraries()
    with progress_bar() as progress:
        answer = detect(
            scan,
            system=system,
            series=series,
            tolerate=tolerate or (),
            device=device,
            progress=progress,
        )
        files = write_answer(answer, out)
    record = answer_record(answer)
    say_detections(record)
    say_notes(answer.notes)
    say_files(files)
    if as_json:
        say_json(record.model_dump_json(indent=2))

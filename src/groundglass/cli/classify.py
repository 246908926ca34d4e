"""Say what a scan most likely shows."""

from pathlib import Path
from typing import Annotated

import typer

from groundglass.cli.console import progress_bar, quiet_native_libraries, say_json
from groundglass.cli.detect import NamedSystem
from groundglass.cli.options import Device, Json, ScanPath, Series, Tolerate
from groundglass.errors import UnreadableScanError

commands = typer.Typer()


@commands.command()
def classify(
    scan: ScanPath,
    system: NamedSystem,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder for a page and JSON; without it the answer is printed alone.",
            metavar="FOLDER",
            show_default=False,
        ),
    ] = None,
    series: Series = None,
    tolerate: Tolerate = None,
    device: Device = "cpu",
    as_json: Json = False,
) -> None:
    """Say what a scan or radiograph most likely shows, and what carried the answer."""
    from groundglass.analyze import classify
    from groundglass.cli.summary import say_classification, say_files, say_notes
    from groundglass.radiographs import wants_radiograph
    from groundglass.write import check_folder
    from groundglass.write.answer import answer_record, write_answer

    if out is not None:
        check_folder(out)
    quiet_native_libraries()
    if wants_radiograph(scan, system):
        if series is not None:
            raise UnreadableScanError(
                f"found the series '{series}' asked of a radiograph, which has none, expected a "
                "folder of CT series; leave --series out"
            )
        _classify_radiograph(scan, system, out, tolerate or [], device, as_json=as_json)
        return
    with progress_bar() as progress:
        answer = classify(
            scan,
            system=system,
            series=series,
            tolerate=tolerate or (),
            device=device,
            progress=progress,
        )
        files = [] if out is None else write_answer(answer, out)
    record = answer_record(answer)
    say_classification(record)
    say_notes(answer.notes)
    say_files(files)
    if as_json:
        say_json(record.model_dump_json(indent=2))


def _classify_radiograph(
    path: Path, system: str, out: Path | None, tolerate: list[str], device: str, *, as_json: bool
) -> None:
    from groundglass.cli.summary import say_classification, say_files, say_notes
    from groundglass.radiographs import classify_radiograph
    from groundglass.write.radiograph import radiograph_record, write_radiograph

    answer = classify_radiograph(path, system=system, tolerate=tolerate, device=device)
    radiograph = answer.radiograph
    record = radiograph_record(
        radiograph.source, answer.classification, answer.provenance, answer.notes
    )
    files = []
    if out is not None:
        found = answer.classification.class_map
        spoke = None if found is None else found.spoke
        files = write_radiograph(record, radiograph.pixels, spoke, out)
    say_classification(record)
    say_notes(answer.notes)
    say_files(files)
    if as_json:
        say_json(record.model_dump_json(indent=2))

"""The methods paragraph of a result, for a paper."""

import typer

from groundglass.cli.console import say_json
from groundglass.cli.options import Json
from groundglass.cli.rescore import ResultFolder

commands = typer.Typer()


@commands.command()
def methods(folder: ResultFolder, as_json: Json = False) -> None:
    """Print the methods paragraph of a result, with its references."""
    import json
    from dataclasses import asdict

    from groundglass.write.methods import methods
    from groundglass.write.record import read_record
    from groundglass.write.wording import printable

    record = read_record(folder / "report.json")
    told = methods(record.provenance, record.scores)
    text = json.dumps(asdict(told), indent=2) if as_json else str(told)
    say_json("\n".join(printable(line) for line in text.splitlines()))

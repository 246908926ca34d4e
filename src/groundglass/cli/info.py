"""What there is: systems, scores, formats, and whether this machine is ready."""

import json
from collections.abc import Iterable, Sequence

import typer

from groundglass.cli.console import say, say_json, stderr
from groundglass.cli.options import Json

commands = typer.Typer()


@commands.command()
def systems(as_json: Json = False) -> None:
    """List the systems that find lesions."""
    from groundglass.systems import list_systems

    cards = list_systems()
    if as_json:
        say_json(json.dumps([card.model_dump(mode="json") for card in cards], indent=2))
        return
    say_table(
        ("system", "what it is", "finds", "license of the weights"),
        (
            (c.name, c.title, ", ".join(c.labels), c.weights.license if c.weights else "no weights")
            for c in cards
        ),
    )


@commands.command()
def scores(as_json: Json = False) -> None:
    """List the severity scores with their definitions."""
    from groundglass.severity.catalog import list_scores

    known = list_scores()
    if as_json:
        fields = {"name", "title", "unit", "minimum", "maximum", "definition", "reference"}
        say_json(json.dumps([score.model_dump(include=fields) for score in known], indent=2))
        return
    say_table(
        ("score", "unit", "definition"),
        ((s.name, s.unit, f"{s.definition}\n{s.reference or ''}".rstrip()) for s in known),
    )


@commands.command()
def formats(as_json: Json = False) -> None:
    """List what is read, tolerated and written."""
    from groundglass.read import READERS, TOLERABLE
    from groundglass.write import FORMATS

    known = {
        "read": dict(READERS),
        "tolerate": dict(TOLERABLE),
        "write": {name: format.meaning for name, format in FORMATS.items()},
    }
    if as_json:
        say_json(json.dumps(known, indent=2))
        return
    for use, meanings in known.items():
        say_table((use, "meaning"), meanings.items())


@commands.command()
def doctor(as_json: Json = False) -> None:
    """Check that this machine is ready.

    Exits with 1 if something is missing.
    """
    from groundglass.cli.doctor import examine

    found = examine()
    if as_json:
        say_json(json.dumps([check._asdict() for check in found], indent=2))
    else:
        for check in found:
            mark, style = ("ok     ", "green") if check.ok else ("missing", "red")
            say(f"{mark}  {check.name}: {check.found}", style)
    if not all(check.ok for check in found):
        raise typer.Exit(1)


def say_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table for people."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE)
    for index, heading in enumerate(headings):
        table.add_column(heading, no_wrap=index == 0)
    for row in rows:
        table.add_row(*row)
    stderr().print(table)

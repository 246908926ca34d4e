"""What the user asked to be read, on its way to a reader."""

import os
from dataclasses import dataclass
from pathlib import Path

from groundglass.read.oddities import Oddities


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for, without the files.

    Attributes:
        name: Name of the file or folder as the user gave it.
        series: Series to read, as the user named it; ``None`` for the usual rule.
        oddities: Collects notes; knows what the user tolerates.
        single_file: Whether one file was named, rather than a folder or an archive.
    """

    name: str
    series: str | None
    oddities: Oddities
    single_file: bool


def given_name(path: Path) -> str:
    """Name of a file or folder as the user gave it: that of a link, not of what it leads to."""
    return Path(os.path.abspath(path)).name  # noqa: PTH100 - Path.resolve follows links

"""What the user asked to be read, on its way to a reader."""

from dataclasses import dataclass

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

"""Numbers and names as people read them, and names that every file system takes."""

import re
import unicodedata
from collections.abc import Iterable

NARROW_SPACE = "\u202f"
"""Between thousands, and between a number and its unit: never a line break."""

TIMES = "\N{MULTIPLICATION SIGN}"

_DECIMALS = {"%": 1}
_FORBIDDEN_IN_FILE_NAMES = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_RESERVED_BY_WINDOWS = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def quantity(value: float, unit: str) -> str:
    """A number with its unit: per cent with one decimal, all else whole.

    A positive number too small to show is ``< 0.1 %``, never ``0.0 %``: nothing and little differ.
    """
    decimals = _DECIMALS.get(unit, 0)
    least = 10.0**-decimals
    number = (
        f"<{NARROW_SPACE}{least:.{decimals}f}"
        if value > 0 and float(f"{value:.{decimals}f}") == 0
        else f"{value:,.{decimals}f}".replace(",", NARROW_SPACE).replace("-", "\N{MINUS SIGN}")
    )
    return number if unit == "grade" else f"{number}{NARROW_SPACE}{unit}"


def printable(text: str) -> str:
    """Text that every encoder takes: what is no character becomes a question mark.

    File names on Linux may hold bytes that are no text, which Python carries as lone surrogates.
    """
    shown = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(" " if unicodedata.category(c) == "Cc" else c for c in shown)


def table_text(text: str) -> str:
    """Printable text for a cell of a table, which a spreadsheet does not run as a formula."""
    shown = printable(text)
    return f"'{shown}" if shown.startswith(("=", "+", "-", "@")) else shown


def file_names(names: Iterable[str]) -> list[str]:
    """For each name one that Windows, macOS and Linux take as a file name, all different.

    Most names come back as they are. A forbidden character becomes ``_``; names that some file
    system takes for the same one (``A`` and ``a``) are numbered.
    """
    given: set[str] = set()
    safe: list[str] = []
    for name in names:
        plain = _FORBIDDEN_IN_FILE_NAMES.sub("_", printable(name)).rstrip(". ") or "_"
        if _RESERVED_BY_WINDOWS.fullmatch(plain):
            plain = f"_{plain}"
        free, number = plain, 1
        while unicodedata.normalize("NFC", free).casefold() in given:
            number += 1
            free = f"{plain}_{number}"
        given.add(unicodedata.normalize("NFC", free).casefold())
        safe.append(free)
    return safe

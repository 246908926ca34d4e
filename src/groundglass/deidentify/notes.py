"""Notes that no longer name anybody."""

import re
from collections.abc import Collection

_QUOTED = re.compile(r"(?<!\w)'(?:[^']|(?<=\w)'(?=\w))*'(?!\w)")
"""Names of files, folders and pictures stand in quotes in notes; an apostrophe within a word is
part of the name."""

_COUNT = re.compile(r"\d{1,3}|.")
"""A name as short as this names nobody, and stands in notes for a number or a letter."""


def without_names(message: str, names: Collection[str] = ()) -> str:
    """A note of which quoted names, and those that are given, became three dots.

    Args:
        message: What was noticed.
        names: Names of the scan and its pictures, which go where they are not quoted as well.
    """
    longest_first = sorted(names, key=len, reverse=True)
    for name in longest_first:
        message = message.replace(f"'{name}'", "'...'")
    message = _QUOTED.sub("'...'", message)
    for name in longest_first:
        if not _COUNT.fullmatch(name):
            message = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "...", message)
    return message

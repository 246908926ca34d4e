"""Reports without anything that names the patient, the study or the hospital.

The headers of the scan go through the Basic Application Level Confidentiality Profile of DICOM
(PS3.15 annex E) before any writer takes something from them; names of files go as well.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from groundglass.errors import ConfigError, OutputError, UnknownNameError
from groundglass.extras import need
from groundglass.write import VERSIONS

if TYPE_CHECKING:  # the list of choices is asked for by `--help`, which must not wait for numpy
    from groundglass.report import Report

__all__ = [
    "DATES",
    "LEAST_KEY_BYTES",
    "SETTING",
    "check",
    "deidentify",
    "read_key",
    "refuse_versions",
]

SETTING = "deidentify"
"""Stands among the settings of a report that was de-identified."""

DATES: Mapping[str, str] = MappingProxyType(
    {
        "remove": "no date and no time of the patient stays",
        "shift": "all dates move by the same number of days, times stay",
        "keep": "dates and times stay, the birth date goes",
    }
)
"""What may become of dates and times; the first is the profile without an option."""

LEAST_KEY_BYTES = 16
"""A shorter key could be found by trying."""


def check(dates: str = "remove", key: bytes | None = None) -> None:
    """Make sure that a report can be de-identified, before the work that leads to it.

    Args:
        dates: A name in ``DATES``.
        key: As for :func:`deidentify`.

    Raises:
        UnknownNameError: If there is no such choice of dates.
        ConfigError: If the key is too short.
        MissingExtraError: If the extra ``deidentify`` is not installed.
    """
    if dates not in DATES:
        raise UnknownNameError.of("choice of dates", dates, DATES)
    if key is not None and len(key) < LEAST_KEY_BYTES:
        raise ConfigError(
            f"found a key of {len(key)} bytes, expected at least {LEAST_KEY_BYTES}; "
            "make one at random, for example with: openssl rand -out key.bin 32"
        )
    need("deidentify")


def deidentify(report: "Report", dates: str = "remove", key: bytes | None = None) -> "Report":
    """The same report of a patient who is not named; the given one stays as it is.

    Headers, identifiers, names of files and pictures, notes and provenance are replaced; masks,
    scores and pixels are the same. A note says what was done.

    Args:
        report: What was found.
        dates: A name in ``DATES``.
        key: Secret from which identifiers, pseudonyms and the shift of dates are computed: the
            same key gives the same ones. By default one is made for this call and thrown away.

    Raises:
        UnknownNameError: If there is no such choice of dates.
        ConfigError: If the key is too short.
        MissingExtraError: If the extra ``deidentify`` is not installed.
    """
    check(dates, key)
    from groundglass.deidentify.report import without_identity

    return without_identity(report, dates, key)


def refuse_versions(folder: Path) -> None:
    """Make sure that a de-identified result will not lie beside earlier ones that name the patient.

    Args:
        folder: Where the result is to go; need not exist.

    Raises:
        OutputError: If the folder holds results from before a correction.
    """
    if (folder / VERSIONS).exists():
        raise OutputError(
            f"found results from before a correction in '{folder / VERSIONS}', which may name the "
            "patient, expected none beside a de-identified result; move them away or name another "
            "folder"
        )


def read_key(file: Path) -> bytes:
    """The key that a file holds, all of its bytes.

    Raises:
        ConfigError: If the file cannot be read, or is too short for a key.
    """
    try:
        key = file.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"cannot read '{file}' ({error.strerror}), expected a file that holds a key; "
            "check the path"
        ) from error
    check(key=key)
    return key

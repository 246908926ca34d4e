"""Numbers in sentences."""

from collections.abc import Iterable
from contextlib import suppress
from numbers import Integral


def counted(number: int, noun: str) -> str:
    """Number and noun, such as ``1 slice`` or ``12 slices``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def quoted(name: str) -> str:
    """A name in quotes for a note; an apostrophe in it is written so that it ends no quotes."""
    return "'" + name.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}") + "'"


def times(numbers: Iterable[float]) -> str:
    """Lengths or sizes along axes, such as ``2 x 0.75 x 0.75``."""
    return " x ".join(_written(number) for number in numbers)


def plain(text: str) -> str:
    """Text of a header fit for a line: short, printable, a number without needless zeros.

    A whole number stays as it is: it may be the name of a series.
    """
    with suppress(ValueError):
        if not text.lstrip("+-").isdecimal():
            return f"{float(text):g}"
    return "".join(c for c in text if c.isprintable())[:64]


def _written(number: float) -> str:
    if isinstance(number, Integral):
        return str(number)
    return f"{number:.0f}" if abs(number) >= 1000 else f"{number:.4g}"

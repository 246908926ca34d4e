"""Limits of a measured value, and the finding that follows from them."""

from dataclasses import dataclass
from math import inf, isfinite

from groundglass.report import Outcome, QualityCheck


@dataclass(frozen=True, slots=True)
class Limits:
    """The range in which a value passes, and the wider one outside which scores are withheld.

    Attributes:
        low: Smallest value that passes.
        high: Largest value that passes.
        lowest: Below it, scores are withheld.
        highest: Above it, scores are withheld.
        source: Where the limits come from.
    """

    low: float = -inf
    high: float = inf
    lowest: float = -inf
    highest: float = inf
    source: str = ""

    def outcome(self, value: float) -> Outcome:
        """What follows from a value."""
        if not self.lowest <= value <= self.highest:
            return Outcome.WITHHELD
        return Outcome.PASS if self.low <= value <= self.high else Outcome.WARNING

    def text(self, unit: str) -> str:
        """The limits in words, such as ``warning above 3 %, withheld above 50 %``."""
        return "; ".join(
            f"{outcome} {' or '.join(sides)}"
            for outcome, low, high in (
                ("warning", self.low, self.high),
                ("withheld", self.lowest, self.highest),
            )
            if (sides := [*_side("below", low, unit), *_side("above", high, unit)])
        )


def judged(
    name: str, title: str, value: float, unit: str, limits: Limits, message: str
) -> QualityCheck:
    """The finding of a check that measures one number.

    Args:
        name: Short fixed name.
        title: What was measured, for people.
        value: What came out.
        unit: Its unit, empty for a pure number.
        limits: Limits with their source.
        message: What it means where the value does not pass, in one sentence.
    """
    outcome = limits.outcome(value)
    return QualityCheck(
        name=name,
        title=title,
        outcome=outcome,
        measured=_quantity(value, unit),
        value=value,
        unit=unit,
        limit=limits.text(unit),
        source=limits.source,
        message="" if outcome is Outcome.PASS else message,
    )


def _side(word: str, limit: float, unit: str) -> list[str]:
    return [f"{word} {_quantity(limit, unit)}"] if isfinite(limit) else []


def _quantity(value: float, unit: str) -> str:
    number = f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{number} {unit}".strip()

"""One number that says something about the disease, with its parts and where it is defined."""

from pydantic import BaseModel, ConfigDict


class Score(BaseModel):
    """A severity score or a measurement.

    Attributes:
        name: Name in ``groundglass.severity.SCORES``.
        title: Name for people.
        value: The whole patient's value.
        unit: ``%``, ``ml``, ``HU`` or ``grade``.
        parts: The value of each part, such as ``{"right lung": 3.1, "left lung": 7.9}``.
        minimum: Smallest value the definition allows.
        maximum: Largest value the definition allows; ``None`` where there is none.
        meaning: What the value says in words, for graded scores.
        definition: The definition in one sentence, with its thresholds.
        reference: Publication that defines it.
        interval: Smallest and largest value when the boundary of the lesions is moved by one
            voxel, and of the variants of the system where there are any; ``None`` for what does
            not depend on lesions, and where it was not measured.
        caution: In words, that the interval crosses a published cut-off, or that parts of the lungs
            are missing from a sum of grades; ``None`` if not.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    title: str
    value: float
    unit: str
    parts: dict[str, float] = {}
    minimum: float = 0.0
    maximum: float | None = None
    meaning: str | None = None
    definition: str
    reference: str | None = None
    interval: tuple[float, float] | None = None
    caution: str | None = None

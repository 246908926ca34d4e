"""Label numbers, names and colours of lungs and lesions: the only place they are defined."""

from enum import IntEnum
from typing import Self


class Label(IntEnum):
    """A number in a mask with the words and the colour that go with it.

    Attributes:
        title: Name for people, in lower case.
        color: Display colour, ``#rrggbb``, told apart by colour-blind readers as well.
    """

    title: str  # type: ignore[misc,assignment]
    color: str

    def __new__(cls, number: int, title: str, color: str) -> Self:
        """Build a member whose integer value is the number in the mask."""
        member = int.__new__(cls, number)
        member._value_ = number
        member.title = title
        member.color = color
        return member


class Lung(Label):
    """The two lungs, named from the patient's side."""

    RIGHT = 1, "right lung", "#4c9be8"
    LEFT = 2, "left lung", "#35c4a5"


class Lobe(Label):
    """The five lobes, named from the patient's side."""

    RIGHT_UPPER = 1, "right upper lobe", "#4c9be8"
    RIGHT_MIDDLE = 2, "right middle lobe", "#f2b134"
    RIGHT_LOWER = 3, "right lower lobe", "#2f6db3"
    LEFT_UPPER = 4, "left upper lobe", "#35c4a5"
    LEFT_LOWER = 5, "left lower lobe", "#1f7f6b"


class Lesion(Label):
    """Lesions of pneumonia.

    ``UNSPECIFIED`` is a lesion whose kind the system that found it does not tell.
    """

    GROUND_GLASS = 1, "ground-glass opacity", "#ffd23f"
    CONSOLIDATION = 2, "consolidation", "#f0544f"
    UNSPECIFIED = 3, "lesion of unknown kind", "#ff9f1c"
    PLEURAL_EFFUSION = 4, "pleural effusion", "#8f6bd8"


OPACITIES = (Lesion.GROUND_GLASS, Lesion.CONSOLIDATION, Lesion.UNSPECIFIED)
"""The lesions that count as opacified lung; an effusion lies outside the lung."""

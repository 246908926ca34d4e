"""Label numbers, names and colors of lungs and lesions: the only place they are defined."""

from enum import IntEnum
from typing import Any, Self


class Label(IntEnum):
    """A number in a mask with the words and the color that go with it.

    Attributes:
        title: Name for people, in lower case.
        color: Display color, ``#rrggbb``, told apart by color-blind readers as well.
        code: What it is in a public terminology: code value, DICOM coding scheme designator
            (``SCT`` for SNOMED CT, ``DCM`` for DICOM's own) and code meaning; ``None`` where
            there is no right one.
    """

    title: str
    color: str
    code: tuple[str, str, str] | None

    def __new__(
        cls, number: int, title: str, color: str, code: tuple[str, str, str] | None = None
    ) -> Self:
        """Build a member whose integer value is the number in the mask."""
        member = int.__new__(cls, number)
        member._value_ = number
        member.title = title
        member.color = color
        member.code = code
        return member


class Lung(Label):
    """The two lungs, named from the patient's side."""

    RIGHT = 1, "right lung", "#4c9be8", ("3341006", "SCT", "Right lung")
    LEFT = 2, "left lung", "#35c4a5", ("44029006", "SCT", "Left lung")


class Lobe(Label):
    """The five lobes, named from the patient's side."""

    RIGHT_UPPER = 1, "right upper lobe", "#4c9be8", ("42400003", "SCT", "Upper lobe of right lung")
    RIGHT_MIDDLE = (
        2,
        "right middle lobe",
        "#f2b134",
        ("72481006", "SCT", "Middle lobe of right lung"),
    )
    RIGHT_LOWER = 3, "right lower lobe", "#2f6db3", ("266005", "SCT", "Lower lobe of right lung")
    LEFT_UPPER = 4, "left upper lobe", "#35c4a5", ("44714003", "SCT", "Upper lobe of left lung")
    LEFT_LOWER = 5, "left lower lobe", "#1f7f6b", ("41224006", "SCT", "Lower lobe of left lung")


class Lesion(Label):
    """Lesions of pneumonia.

    ``UNSPECIFIED`` is a lesion whose kind the system that found it does not tell.
    """

    GROUND_GLASS = 1, "ground-glass opacity", "#ffd23f", ("112120", "DCM", "Ground glass opacity")
    CONSOLIDATION = 2, "consolidation", "#f0544f", ("95436008", "SCT", "Lung consolidation")
    UNSPECIFIED = 3, "lesion of unknown kind", "#ff9f1c", ("52988006", "SCT", "Lesion")
    PLEURAL_EFFUSION = 4, "pleural effusion", "#8f6bd8", ("60046008", "SCT", "Pleural effusion")


OPACITIES = (Lesion.GROUND_GLASS, Lesion.CONSOLIDATION, Lesion.UNSPECIFIED)
"""The lesions that count as opacified lung; an effusion lies outside the lung."""


def is_opacity(lesions: Any) -> Any:
    """Where a mask of ``Lesion`` numbers shows opacified lung, of whatever kind.

    Args:
        lesions: Array or tensor of any shape; numbers that are none of ``Lesion``, such as that for
            unknown, are no opacity.

    Returns:
        Boolean, of the same kind and shape.
    """
    return (lesions > 0) & (lesions <= max(OPACITIES))


class Region(Label):
    """The 20 regions of CT-SS: the segments of the lungs, named from the patient's side.

    The left apicoposterior segment counts as two regions, and so does the left anteromedial basal
    segment (Yang et al. 2020). Numbers 1 to 10 are S1 to S10 of the right lung, 11 to 20 those of
    the left.
    """

    RIGHT_APICAL = 1, "right apical segment", "#9cc9f5"
    RIGHT_POSTERIOR = 2, "right posterior segment", "#4c9be8"
    RIGHT_ANTERIOR = 3, "right anterior segment", "#74b3f0"
    RIGHT_LATERAL = 4, "right lateral segment", "#f2b134"
    RIGHT_MEDIAL = 5, "right medial segment", "#f8d286"
    RIGHT_SUPERIOR = 6, "right superior segment", "#5f8fca"
    RIGHT_MEDIAL_BASAL = 7, "right medial basal segment", "#93b4dc"
    RIGHT_ANTERIOR_BASAL = 8, "right anterior basal segment", "#3f78bd"
    RIGHT_LATERAL_BASAL = 9, "right lateral basal segment", "#27588f"
    RIGHT_POSTERIOR_BASAL = 10, "right posterior basal segment", "#173f6b"
    LEFT_APICAL = 11, "left apical segment", "#a3e4d8"
    LEFT_POSTERIOR = 12, "left posterior segment", "#2ca991"
    LEFT_ANTERIOR = 13, "left anterior segment", "#5fd0bb"
    LEFT_SUPERIOR_LINGULAR = 14, "left superior lingular segment", "#c9e265"
    LEFT_INFERIOR_LINGULAR = 15, "left inferior lingular segment", "#98b53a"
    LEFT_SUPERIOR = 16, "left superior segment", "#4f9f8d"
    LEFT_MEDIAL_BASAL = 17, "left medial basal segment", "#86bfb2"
    LEFT_ANTERIOR_BASAL = 18, "left anterior basal segment", "#2d8471"
    LEFT_LATERAL_BASAL = 19, "left lateral basal segment", "#1a6455"
    LEFT_POSTERIOR_BASAL = 20, "left posterior basal segment", "#0f4338"

    @property
    def lobe(self) -> Lobe:
        """The lobe that the region is part of."""
        return _LOBES[int(self) - 1]


_LOBES = (
    *[Lobe.RIGHT_UPPER] * 3,
    *[Lobe.RIGHT_MIDDLE] * 2,
    *[Lobe.RIGHT_LOWER] * 5,
    *[Lobe.LEFT_UPPER] * 5,
    *[Lobe.LEFT_LOWER] * 5,
)

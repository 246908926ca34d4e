"""A case: one picture or series, with what is known about it."""

from pathlib import Path
from typing import Literal, Self, cast, get_args

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from groundglass.data.sides import tell_sides
from groundglass.errors import CohortError, OutputError
from groundglass.labels import Lesion, Lung

Split = Literal["train", "val", "test"]


def split_name(text: str) -> Split:
    """A split by its name.

    Raises:
        CohortError: If there is no such split.
    """
    for split in get_args(Split):
        if text == split:
            return cast("Split", split)
    raise CohortError(f"found split '{text}', expected train, val or test; correct it")


UNKNOWN = 255
"""Number in a training mask where the truth is not known; losses and metrics leave it out."""


_LUNG_MEANINGS = {"both", "right", "left"}
_BOTH = 255
_LESION_MEANINGS = {"0", *(str(int(lesion)) for lesion in Lesion)}


class Case(BaseModel):
    """One row of a cohort table: a picture, or a whole series, with what is known about it.

    Attributes:
        case: Name, unique in the table.
        patient: Patient, or the closest thing known; never crosses a split.
        series: Series the slice comes from; empty where it stands alone.
        number: Number of the slice in its series; neighbors have consecutive numbers. Empty where
            not known.
        split: ``train``, ``val`` or ``test``.
        image: Gray 8-bit picture; or the folder of a series, for tables of whole scans.
        lungs: Mask of the lungs; empty where not known.
        lungs_values: Values in the lungs file and the label each means, ``255:both`` or
            ``1:right 2:left``.
        lesions: Mask of the lesions; empty where not known. ``none`` says that there are none.
        lesions_values: Values in the lesions file and the ``Lesion`` number each means, ``255:3``;
            0 for none.
        label: Class of the picture or series; empty where not known.
        stage: Stage of the disease, 0 (none) to 3 (severe); empty where not known.
        modality: ``ct`` or ``radiograph``.
        group: What cases may share beyond the patient, such as looks; shared across splits it is
            reported, not refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    case: str = Field(min_length=1)
    patient: str = Field(min_length=1)
    series: str = ""
    number: int | None = None
    split: Split
    image: Path
    lungs: Path | None = None
    lungs_values: str = ""
    lesions: Path | Literal["none"] | None = None
    lesions_values: str = ""
    label: str = ""
    stage: int | None = Field(default=None, ge=0, le=3)
    modality: Literal["ct", "radiograph"] = "ct"
    group: str = ""

    @field_validator("lungs_values", "lesions_values")
    @classmethod
    def _values_have_meanings(cls, text: str, info: ValidationInfo) -> str:
        known = _LUNG_MEANINGS if info.field_name == "lungs_values" else _LESION_MEANINGS
        for item in text.split():
            value, _, meaning = item.partition(":")
            if not value.isdecimal() or int(value) > 255 or meaning not in known:
                raise ValueError(f"'{item}' is not VALUE:MEANING with a meaning of {sorted(known)}")
        return text

    @model_validator(mode="after")
    def _values_go_with_files(self) -> Self:
        for kind, path, values in (
            ("lungs", self.lungs, self.lungs_values),
            ("lesions", self.lesions, self.lesions_values),
        ):
            if isinstance(path, Path) != bool(values):
                raise ValueError(f"{kind} and {kind}_values must be given together")
        return self

    @property
    def files(self) -> dict[str, Path]:
        """Files of the case by column."""
        columns = {"image": self.image, "lungs": self.lungs, "lesions": self.lesions}
        return {column: path for column, path in columns.items() if isinstance(path, Path)}

    @property
    def is_series(self) -> bool:
        """Whether the case is the folder of a series and not a picture."""
        return self.image.is_dir()

    @property
    def is_slice(self) -> bool:
        """Whether the case is the picture of a CT slice: no radiograph, and no series."""
        return self.modality == "ct" and not self.is_series

    def values(self, column: str) -> set[int]:
        """Values that a mask of the case may hold, background among them."""
        text = self.lungs_values if column == "lungs" else self.lesions_values
        return {0, *_parse_values(text)}

    def read_image(self) -> NDArray[np.uint8]:
        """Gray picture, (row, column)."""
        return read_gray(self.image)

    def read_lungs(self) -> NDArray[np.uint8] | None:
        """Lungs, (row, column), 1 inside; ``None`` where not known."""
        if self.lungs is None:
            return None
        pixels = read_gray(self.lungs)
        return np.isin(pixels, list(_parse_values(self.lungs_values))).astype(np.uint8)

    def read_sides(self) -> NDArray[np.uint8] | None:
        """Lungs, (row, column), numbers of ``Lung``; ``None`` where the sides cannot be told.

        Sides are those that the values name; of values that mean both lungs, see ``tell_sides``.
        """
        if self.lungs is None:
            return None
        table = np.zeros(256, np.uint8)
        for value, meaning in _parse_values(self.lungs_values).items():
            table[value] = _BOTH if meaning == "both" else Lung[meaning.upper()]
        named = table[read_gray(self.lungs)]
        if not (named == _BOTH).any():
            return named
        told = tell_sides((named > 0).astype(np.uint8))
        return None if told is None else np.where(named == _BOTH, told, named)

    def read_lesions(self) -> NDArray[np.uint8] | None:
        """Lesions, (row, column), numbers of ``Lesion``; ``None`` where not known."""
        if self.lesions is None:
            return None
        if self.lesions == "none":
            return np.zeros_like(self.read_image())
        assert isinstance(self.lesions, Path)
        table = np.zeros(256, np.uint8)
        for value, number in _parse_values(self.lesions_values).items():
            table[value] = int(number)
        return table[read_gray(self.lesions)]


def _parse_values(text: str) -> dict[int, str]:
    pairs = (item.partition(":") for item in text.split())
    return {int(value): meaning for value, _, meaning in pairs}


def read_gray(path: Path) -> NDArray[np.uint8]:
    """Gray picture, (row, column).

    Raises:
        CohortError: If the file is no picture, or has more than 8 bits a value.
    """
    pixels = cv2.imread(str(path), cv2.IMREAD_ANYDEPTH)  # gray; else values lose their lower bits
    if pixels is None:
        raise CohortError(f"found '{path}' unreadable, expected a gray picture; replace the file")
    if pixels.dtype != np.uint8:
        raise CohortError(
            f"found '{path}' with {8 * pixels.itemsize} bits a value, expected 8; write a mask "
            "with the same values in 8 bits, and a picture as seen in its window"
        )
    return np.asarray(pixels)


def write_gray(path: Path, pixels: NDArray[np.uint8]) -> Path:
    """Write a gray picture, (row, column), as PNG; its folder is made.

    Raises:
        OutputError: If it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), pixels):
        raise OutputError(f"cannot write '{path}'; check the disk and the permissions")
    return path

"""What a comparison found: plain data, the shape of ``comparison.json``."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from groundglass.report import NOT_A_MEDICAL_DEVICE
from groundglass.scan import Note

Status = Literal["new", "resolved", "grown", "shrunk", "unchanged"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Measure(_Part):
    """How much of a lung, lobe or region is opacified.

    Attributes:
        volume_ml: Its volume.
        opacity_ml: Opacified volume.
        opacity_percent: Opacified share, 0 to 100.
    """

    volume_ml: float
    opacity_ml: float
    opacity_percent: float


class Scan(_Part):
    """One scan of the series.

    Attributes:
        name: Name of the scan.
        day: Days since the first scan; ``None`` where no date is known.
        system: System that found the lesions, with the beginning of its weights' checksum.
        corrected: Whether a reader corrected the lesions.
        parts: Measures of both lungs, and of each lung, lobe and region by its title.
        kinds_ml: Volume of each kind of opacity in the lungs by its title.
    """

    name: str
    day: int | None
    system: str
    corrected: bool
    parts: dict[str, Measure]
    kinds_ml: dict[str, float]


class Change(_Part):
    """Change of a lung, lobe or region from one scan to the next.

    Attributes:
        volume_ml: Change of its volume: inspiration, for the most part.
        opacity_ml: Change of the opacified volume.
        opacity_points: Change of the opacified share in percentage points.
        opacity_percent: Change of the opacified volume in per cent of what it was; ``None`` where
            it was none.
    """

    volume_ml: float
    opacity_ml: float
    opacity_points: float
    opacity_percent: float | None


class LesionChange(_Part):
    """A lesion followed from one scan to the next; pieces that part or join are one lesion.

    Attributes:
        status: What became of it.
        place: Lobe, or lung, that holds most of it.
        earlier_ml: Its volume on the earlier scan; 0 for a new one.
        later_ml: Its volume on the later scan; 0 for a resolved one.
        earlier_pieces: Of how many separate pieces it was.
        later_pieces: Of how many it is.
    """

    status: Status
    place: str
    earlier_ml: float
    later_ml: float
    earlier_pieces: int
    later_pieces: int


class Interval(_Part):
    """From one scan to the next.

    Attributes:
        registration: How the later scan was laid on the earlier one.
        surface_mm: Mean distance between the surfaces of the lungs as scanned and after each step
            of the registration; the last one is its error.
        folded_percent: Share of the lungs in which the registration folds space.
        changes: Change of both lungs, each lung, lobe and region by its title.
        lesions: Every lesion of ``LEAST_ML`` or more on one of both scans, the largest change
            first.
    """

    registration: str
    surface_mm: dict[str, float]
    folded_percent: float
    changes: dict[str, Change]
    lesions: tuple[LesionChange, ...]

    @property
    def error_mm(self) -> float:
        """Mean distance between the surfaces of the lungs after registration."""
        return list(self.surface_mm.values())[-1]

    def count(self, status: str) -> int:
        """How many lesions have a status."""
        return sum(lesion.status == status for lesion in self.lesions)


class Comparison(_Part):
    """Scans of one patient over time.

    Attributes:
        written_by: Program and version.
        not_a_medical_device: What the numbers must not be used for.
        rules: How lesions are followed, with the thresholds.
        scans: In time order.
        intervals: From each scan to the next.
        notes: What was noticed.
    """

    written_by: str
    not_a_medical_device: str = NOT_A_MEDICAL_DEVICE
    rules: str
    scans: tuple[Scan, ...]
    intervals: tuple[Interval, ...]
    notes: tuple[Note, ...] = ()

"""Lesions as boxes with scores, slice by slice."""

from dataclasses import dataclass

from groundglass.errors import GeometryError
from groundglass.labels import Lesion
from groundglass.scan import Note, Scan


@dataclass(frozen=True, slots=True)
class Detection:
    """One lesion on one slice.

    Attributes:
        slice_index: Slice, 0 the first.
        box: (top, left, bottom, right) in pixels of the slice, bottom and right one past the last.
        score: How sure the system is, 0 to 1.
        kind: What it is.
        area_px: Pixels of the lesion within its own outline; ``None`` where the system gives boxes
            alone.
    """

    slice_index: int
    box: tuple[float, float, float, float]
    score: float
    kind: Lesion
    area_px: float | None = None

    @property
    def box_area_px(self) -> float:
        """Pixels of the box."""
        top, left, bottom, right = self.box
        return (bottom - top) * (right - left)


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Every lesion that a system detected on a scan.

    Attributes:
        system: Name of the system.
        weights_sha256: Checksum of its weights.
        scan: The scan.
        items: Detections in the order of slices, within a slice the surest first.
        notes: What the system noticed on the way.

    Raises:
        GeometryError: If a detection lies on no slice of the scan.
    """

    system: str
    weights_sha256: str
    scan: Scan
    items: tuple[Detection, ...]
    notes: tuple[Note, ...] = ()

    def __post_init__(self) -> None:
        """Refuse boxes on slices that are not there."""
        count = len(self.scan.slices)
        strange = [d.slice_index for d in self.items if not 0 <= d.slice_index < count]
        if strange:
            raise GeometryError(
                f"found a detection on slice {strange[0]}, expected 0 to {count - 1}; "
                "number the slices as the scan does"
            )

"""Boxes and class probabilities as data: the part of the record that they share."""

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from groundglass.classification import Classification
from groundglass.detections import Detection, Detections
from groundglass.linking import LinkedLesion
from groundglass.scan import CTScan
from groundglass.write.wording import printable

_CONFIG = ConfigDict(
    frozen=True, extra="ignore", use_attribute_docstrings=True, allow_inf_nan=False
)


class BoxRecord(BaseModel):
    """One lesion on one slice."""

    model_config = _CONFIG

    slice: int
    """Number of the slice, 0 at the apex and rising to the feet; of the picture, in order."""

    name: str | None = None
    """Name of the picture; null for the slices of a volume."""

    top: float
    """First row, in pixels; row 0 is in front."""

    left: float
    """First column, in pixels; column 0 is at the patient's right."""

    bottom: float
    """One past the last row."""

    right: float
    """One past the last column."""

    score: float
    """How sure the system is, 0 to 1."""

    kind: str
    """What it is."""

    area_px: float | None = None
    """Pixels within the lesion's own outline; null where the system gives boxes alone."""

    lesion: int | None = None
    """Number of the lesion it is part of, 1 the first; null for boxes behind a class."""


class LinkedLesionRecord(BaseModel):
    """One lesion of the volume, its boxes linked through the slices; on pictures, one box."""

    model_config = _CONFIG

    number: int
    """1 the first: the largest, on pictures the surest."""

    kind: str
    """What it is."""

    score: float
    """Score of its surest box, 0 to 1."""

    first_slice: int
    """First slice, towards the head."""

    last_slice: int
    """Last slice, towards the feet."""

    lung: str | None = None
    """The lung that holds most of it; null where none does."""

    center_mm: tuple[float, float, float] | None = None
    """Middle in mm: towards the patient's left, back and head, as in DICOM; null for pictures."""

    size_mm: tuple[float, float, float] | None = None
    """Length along head-foot, front-back and right-left, in mm; null for pictures."""

    volume_ml: float | None = None
    """Its areas on the slices times their distance, in ml; null for pictures."""

    outlined: bool = False
    """Whether the areas are those of outlines; if not, of boxes: an upper bound."""


class DetectionsRecord(BaseModel):
    """Lesions as boxes, and linked through the slices."""

    model_config = _CONFIG

    system: str
    """System that found them."""

    weights_sha256: str
    """Checksum of its weights."""

    lesions: list[LinkedLesionRecord]
    """Lesions, the largest first."""

    boxes: list[BoxRecord]
    """Boxes in the order of slices."""


class ManifestationRecord(BaseModel):
    """A sign that the scan shows or not."""

    model_config = _CONFIG

    name: str
    """What it is."""

    probability: float
    """Probability that the scan shows it, 0 to 1."""

    threshold: float
    """Probability from which the system says that it does."""

    shown: bool
    """Whether the system says that it does."""


class ClassificationRecord(BaseModel):
    """What the scan most likely shows."""

    model_config = _CONFIG

    system: str
    """System that says so."""

    weights_sha256: str
    """Checksum of its weights."""

    probabilities: dict[str, float]
    """Probability of each class, 0 to 1."""

    exclusive: bool
    """Whether exactly one class applies."""

    most_likely: str
    """The class of the highest probability."""

    by_slice: list[list[float] | None] | None = None
    """For each slice the probabilities in the order of `probabilities`, null for one that was not
    looked at; null where the system judges the scan only as a whole."""

    relevance: list[float] | None = None
    """How much each slice weighed in the answer, adding up to 1; null where it is not told."""

    evidence: list[BoxRecord] = []
    """Boxes that carried the answer, the one that weighed most first."""

    manifestations: list[ManifestationRecord] = []
    """Signs that the system looked for beside the class, each by itself."""

    calibrated: bool = False
    """Whether the probabilities were brought to agree with how often they are right, on scans that
    were not learned from."""

    trained_on: str = ""
    """What the weights learned from, in words; empty where it is not said."""


def detections_record(
    detections: Detections, lesions: list[LinkedLesion], names: tuple[str, ...] | None
) -> DetectionsRecord:
    """The record of boxes.

    Args:
        detections: The boxes.
        lesions: The same, linked.
        names: Names of the pictures; ``None`` for volumes.
    """
    numbers = {id(item): n for n, lesion in enumerate(lesions, 1) for item in lesion.items}
    return DetectionsRecord(
        system=detections.system,
        weights_sha256=detections.weights_sha256,
        lesions=[_lesion(number, lesion) for number, lesion in enumerate(lesions, 1)],
        boxes=[box_record(item, names, numbers[id(item)]) for item in detections.items],
    )


def classification_record(
    found: Classification, names: tuple[str, ...] | None
) -> ClassificationRecord:
    """The record of class probabilities; names as for :func:`detections_record`."""
    return ClassificationRecord(
        system=found.system,
        weights_sha256=found.weights_sha256,
        probabilities={name: round(float(p), 4) for name, p in found.probabilities.items()},
        exclusive=found.exclusive,
        most_likely=found.most_likely,
        by_slice=None if found.by_slice is None else _by_slice(found.by_slice),
        relevance=None if found.relevance is None else _rounded([found.relevance.tolist()])[0],
        evidence=[box_record(item, names) for item in found.evidence],
        manifestations=[
            ManifestationRecord(
                name=one.name,
                probability=round(one.probability, 4),
                threshold=one.threshold,
                shown=one.shown,
            )
            for one in found.manifestations
        ],
        calibrated=found.calibrated,
        trained_on=found.trained_on,
    )


def picture_names(scan: object) -> tuple[str, ...] | None:
    """Names of pictures; ``None`` for a volume, whose slices have none."""
    return None if isinstance(scan, CTScan) else getattr(scan, "names", None)


def box_record(
    item: Detection, names: tuple[str, ...] | None, lesion: int | None = None
) -> BoxRecord:
    """The record of one box."""
    top, left, bottom, right = (round(float(edge), 2) for edge in item.box)
    return BoxRecord(
        slice=item.slice_index,
        name=None if names is None else printable(names[item.slice_index]),
        top=top,
        left=left,
        bottom=bottom,
        right=right,
        score=round(float(item.score), 4),
        kind=item.kind.title,
        area_px=item.area_px,
        lesion=lesion,
    )


def _lesion(number: int, lesion: LinkedLesion) -> LinkedLesionRecord:
    first, last = lesion.slices
    return LinkedLesionRecord(
        number=number,
        kind=lesion.kind.title,
        score=round(float(lesion.score), 4),
        first_slice=first,
        last_slice=last,
        lung=lesion.lung.title if lesion.lung else None,
        center_mm=_rounded_mm(lesion.center_mm),
        size_mm=_rounded_mm(lesion.size_mm),
        volume_ml=None if lesion.volume_ml is None else round(lesion.volume_ml, 4),
        outlined=lesion.outlined,
    )


def _rounded_mm(lengths: tuple[float, float, float] | None) -> tuple[float, float, float] | None:
    if lengths is None:
        return None
    first, second, third = (round(float(mm), 2) for mm in lengths)
    return first, second, third


def _rounded(rows: list[list[float]]) -> list[list[float]]:
    return [[round(float(value), 4) for value in row] for row in rows]


def _by_slice(rows: NDArray[np.float32]) -> list[list[float] | None]:
    """Rows of a table, ``None`` for one of NaN."""
    return [_rounded([row.tolist()])[0] if np.isfinite(row).all() else None for row in rows]

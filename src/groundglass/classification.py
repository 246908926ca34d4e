"""What a scan most likely shows: class probabilities, and which slices carried them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from groundglass.detections import Detection
from groundglass.scan import Note


@dataclass(frozen=True, slots=True)
class Manifestation:
    """A sign that a scan shows or not, such as consolidation, as a system has it.

    Attributes:
        name: What it is.
        probability: That the scan shows it.
        threshold: Probability from which the system says that it does.
    """

    name: str
    probability: float
    threshold: float

    @property
    def shown(self) -> bool:
        """Whether the system says that the scan shows it."""
        return self.probability >= self.threshold


NO_CLASS_MAP = Note(
    "class-map",
    "What spoke for the class is not shown: that needs the extra 'explain' "
    "(pip install 'groundglass[explain]').",
)


@dataclass(frozen=True, slots=True, eq=False)
class ClassMap:
    """Where the likeliest class was read off: where a system looked, not where disease is.

    Attributes:
        slice_index: The slice that is surest of the class; 0 for a radiograph.
        spoke: How much each place of it spoke for the class, (row, column), 0 to 1, the most
            telling place at 1; all 0 where nothing spoke for it.
    """

    slice_index: int
    spoke: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Classification:
    """A system's answer to what a scan or picture shows.

    Attributes:
        system: Name of the system that answered.
        weights_sha256: Checksum of its weights.
        probabilities: Probability of each class by its name, such as ``COVID-19``, for the whole
            scan.
        exclusive: Whether exactly one class applies, so that the probabilities add up to 1; if not,
            each class, such as a manifestation, may be there or not.
        by_slice: (slice, class) probabilities in the order of ``probabilities``, NaN for a slice
            that was not looked at; ``None`` where the system judges the scan only as a whole.
        relevance: (slice,) how much each slice weighed in the answer, adding up to 1; ``None``
            where the system does not say.
        evidence: Boxes that carried the answer, the one that weighed most first.
        notes: What the system noticed on the way.
        manifestations: Signs that the system looked for beside the class, each by itself.
        class_map: What spoke for the likeliest class, on its surest slice; ``None`` where the
            system does not say.
        seconds: Time of each network behind the answer by its name, of a system that has several.
        calibrated: Whether the probabilities were brought to agree with how often they are right,
            on scans that were not learned from.
        healthy_class: The class that stands for no disease; ``None`` where none does, or the system
            does not say.
        trained_on: What the weights learned from, in words; empty where it is not said.

    Raises:
        ValueError: If a probability or a relevance is no number, a probability is not within 0 to
            1, or shapes do not fit.
    """

    system: str
    weights_sha256: str
    probabilities: Mapping[str, float]
    exclusive: bool
    by_slice: NDArray[np.float32] | None = None
    relevance: NDArray[np.float32] | None = None
    evidence: tuple[Detection, ...] = ()
    notes: tuple[Note, ...] = ()
    manifestations: tuple[Manifestation, ...] = ()
    class_map: ClassMap | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    calibrated: bool = False
    trained_on: str = ""
    healthy_class: str | None = None

    def __post_init__(self) -> None:
        """Refuse what is no probability."""
        values = np.array(list(self.probabilities.values()), np.float64)
        if not (values.size and np.all((values >= 0) & (values <= 1 + 1e-6))):  # NaN is neither
            raise ValueError(f"found probabilities {dict(self.probabilities)}, expected 0 to 1")
        if self.exclusive and abs(values.sum() - 1) > 1e-3:
            raise ValueError(f"found probabilities that add up to {values.sum():.3f}, expected 1")
        if self.relevance is not None and not np.isfinite(self.relevance).all():
            raise ValueError("found a relevance that is no number, expected 0 to 1 for each slice")
        if self.by_slice is not None and self.by_slice.shape[1:] != values.shape:
            raise ValueError(
                f"found slices of {self.by_slice.shape[1:]} classes, expected {values.shape}"
            )

    @property
    def most_likely(self) -> str:
        """The class of the highest probability."""
        return max(self.probabilities, key=self.probabilities.__getitem__)

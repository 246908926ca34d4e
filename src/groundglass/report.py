"""Everything known about one scan after analysis. Pure data: the writers take it from here."""

from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from groundglass.classification import Classification
from groundglass.detections import Detections
from groundglass.findings import Findings
from groundglass.mask import Mask
from groundglass.scan import Note, Scan
from groundglass.score import Score

NOT_A_MEDICAL_DEVICE = (
    "groundglass is research software. It is not a medical device, it is not cleared for "
    "diagnosis, and every finding has to be checked by a physician."
)


class Change(BaseModel):
    """How much a mask of lesions changed, within the lungs or within one of them.

    Attributes:
        dice: Overlap of the opacities before and after, 0 to 1; 1 where there are none.
        before_ml: Opacity before.
        after_ml: Opacity after.
        added_ml: Opacity that was not there before.
        removed_ml: Opacity that is not there any more.
        other_kind_ml: Opacity before and after, but of another kind.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    dice: float
    before_ml: float
    after_ml: float
    added_ml: float
    removed_ml: float
    other_kind_ml: float


class Correction(BaseModel):
    """Lesions that a reader corrected after they were found.

    Attributes:
        by: Who corrected, as stated; empty where it was not stated.
        created: UTC time of the new scores in ISO 8601.
        file: Name of the file with the corrected lesions.
        file_sha256: Its checksum.
        changes: How much changed, for ``both lungs`` and each lung by its title.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    by: str = ""
    created: str
    file: str
    file_sha256: str
    changes: dict[str, Change]


class Outcome(StrEnum):
    """What follows from a check of quality, the worst last."""

    PASS = "pass"
    WARNING = "warning"
    WITHHELD = "withheld"


class QualityCheck(BaseModel):
    """One thing that was looked at before anything was measured.

    Attributes:
        name: Short fixed name, such as ``lungs-cut``.
        title: What was looked at, for people.
        outcome: What follows.
        measured: What was found, with its unit.
        value: The same as a number; ``None`` where it is none.
        unit: Unit of the number.
        limit: From where on it warns, and from where on scores are withheld.
        source: Where the limit comes from.
        message: What it means, in one sentence; empty where the check passed.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    title: str
    outcome: Outcome
    measured: str
    value: float | None = None
    unit: str = ""
    limit: str
    source: str
    message: str = ""


class Quality(BaseModel):
    """Every check that a scan allows, in reading order."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    checks: tuple[QualityCheck, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """The worst outcome of all checks."""
        return max((c.outcome for c in self.checks), key=list(Outcome).index, default=Outcome.PASS)

    def having(self, outcome: Outcome) -> tuple[QualityCheck, ...]:
        """The checks with that outcome."""
        return tuple(check for check in self.checks if check.outcome is outcome)


class Provenance(BaseModel):
    """What made a result, complete enough to make it again.

    Attributes:
        version: Version of groundglass.
        created: UTC time in ISO 8601.
        system: Name of the system that found the lesions.
        weights_sha256: Checksum of the system's weights.
        lungs_method: How the lungs were found.
        regions_source: Where lobes and regions come from; empty where there are none.
        device: Where the network ran, such as ``cpu``.
        settings: Every setting that differs from its default.
        libraries: Version of each library that touches the numbers.
        input_uids: Study and Series Instance UID of a DICOM input.
        seconds: Time of each stage.
        system_title: Title of the system, for people.
        system_doi: Publication of the system; empty where there is none.
        trained_on: What the weights of the system were trained on; empty where it is not known.
        corrections: Corrections of the lesions by readers, the first one first.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: str
    created: str
    system: str
    weights_sha256: str
    lungs_method: str
    regions_source: str = ""
    device: str
    settings: dict[str, str] = {}
    libraries: dict[str, str] = {}
    input_uids: dict[str, str] = {}
    seconds: dict[str, float] = {}
    system_title: str = ""
    system_doi: str = ""
    trained_on: str = ""
    corrections: tuple[Correction, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """The result of analyzing one scan.

    Attributes:
        findings: The scan, its lungs and its lesions.
        scores: Every score that the scan allows, in reading order; none where quality control
            withheld them.
        notes: What was noticed on reading and on the way, in order.
        provenance: What made this result.
        quality: What quality control found; ``None`` where it was not done.
        detections: Lesions as boxes, where the system gives them.
        classification: What the scan most likely shows, where the system says.
    """

    findings: Findings
    scores: tuple[Score, ...]
    provenance: Provenance
    notes: tuple[Note, ...] = field(default=())
    quality: Quality | None = None
    detections: Detections | None = None
    classification: Classification | None = None

    @property
    def withheld(self) -> bool:
        """Whether quality control withheld the scores."""
        return self.quality is not None and self.quality.outcome is Outcome.WITHHELD

    def score(self, name: str) -> Score | None:
        """The score of that name, or ``None`` where the scan does not allow it."""
        return next((s for s in self.scores if s.name == name), None)


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a system says of a scan in boxes or in classes.

    Attributes:
        scan: CT volume or pictures.
        lungs: Its lungs, label set ``Lung``.
        provenance: What made this answer.
        detections: Lesions as boxes, if it was asked for them.
        classification: What the scan most likely shows, if it was asked for that.
        notes: What was noticed on reading and on the way, in order.
    """

    scan: Scan
    lungs: Mask
    provenance: Provenance
    detections: Detections | None = None
    classification: Classification | None = None
    notes: tuple[Note, ...] = field(default=())

    @classmethod
    def of(cls, report: Report) -> "Answer":
        """The part of a report that stands in boxes and classes."""
        return cls(
            report.findings.scan,
            report.findings.lungs,
            report.provenance,
            report.detections,
            report.classification,
            report.notes,
        )

"""Everything known about one scan after analysis. Pure data: the writers take it from here."""

from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from groundglass.findings import Findings
from groundglass.scan import Note
from groundglass.score import Score

NOT_A_MEDICAL_DEVICE = (
    "groundglass is research software. It is not a medical device, it is not cleared for "
    "diagnosis, and every finding has to be checked by a physician."
)


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
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

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


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """The result of analyzing one scan.

    Attributes:
        findings: The scan, its lungs and its lesions.
        scores: Every score that the scan allows, in reading order.
        notes: What was noticed on reading and on the way, in order.
        provenance: What made this result.
    """

    findings: Findings
    scores: tuple[Score, ...]
    provenance: Provenance
    notes: tuple[Note, ...] = field(default=())

    def score(self, name: str) -> Score | None:
        """The score of that name, or ``None`` where the scan does not allow it."""
        return next((s for s in self.scores if s.name == name), None)

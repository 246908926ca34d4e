"""One radiograph to one answer: what it most likely shows, and where that was read off."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import cast

from groundglass.classification import Classification
from groundglass.errors import NotMeasurableError
from groundglass.provenance import describe
from groundglass.read.radiograph import is_radiograph, read_radiograph
from groundglass.report import Provenance
from groundglass.scan import Note, Radiograph
from groundglass.systems import load_system
from groundglass.systems.system import find_card, need_answer


@dataclass(frozen=True, slots=True, eq=False)
class RadiographAnswer:
    """What a system says of a radiograph.

    Attributes:
        radiograph: What was read.
        classification: Its class probabilities.
        provenance: What made this answer.
        notes: What was noticed on reading, and what the system noticed.
    """

    radiograph: Radiograph
    classification: Classification
    provenance: Provenance
    notes: tuple[Note, ...]


def wants_radiograph(path: Path, system: str) -> bool:
    """Whether a file is to be classified as a radiograph.

    Args:
        path: What the user gave.
        system: Name of the system, or folder of a run.

    Returns:
        True for weights of radiographs alone; for weights of both, if the file seems to be one.
    """
    modality = find_card(system)[0].modality
    return modality == "radiograph" or (modality == "both" and is_radiograph(path))


def classify_radiograph(
    path: Path, *, system: str, tolerate: Collection[str] = (), device: str = "cpu"
) -> RadiographAnswer:
    """Read a chest radiograph and say what it most likely shows.

    Args:
        path: DX or CR image in DICOM, or a picture.
        system: Name of a system that takes radiographs, or folder of a run.
        tolerate: Names of oddities to accept.
        device: Where the network runs.

    Raises:
        GroundglassError: What was found, what was expected, what to do.
    """
    from groundglass.systems.specialized_streams.predict import Predictor

    card, _ = find_card(system)
    need_answer(card, "classify")
    if card.modality == "ct":
        raise NotMeasurableError(
            f"weights of '{card.name}' that learned from CT alone",
            "weights that learned from radiographs; give --system a run of them",
        )
    start = perf_counter()
    radiograph = read_radiograph(path, tolerate=tolerate)
    seconds = {"reading": round(perf_counter() - start, 2)}
    start = perf_counter()
    predictor = cast("Predictor", load_system(system, device))
    classification = predictor.classify(radiograph)
    seconds["class"] = round(perf_counter() - start, 2)
    settings = {"tolerate": " ".join(sorted(tolerate))} if tolerate else {}
    provenance = describe(
        radiograph.source,
        system=card.name,
        weights_sha256=classification.weights_sha256,
        lungs_method="none",
        device=device,
        settings=settings,
        seconds=seconds,
        facts=card.facts,
    )
    notes = (*radiograph.source.notes, *classification.notes)
    return RadiographAnswer(radiograph, classification, provenance, notes)

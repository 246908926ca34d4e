"""The methods paragraph for a paper: what was done, in words, from what the result itself says."""

from collections.abc import Sequence
from dataclasses import dataclass

from groundglass.report import Correction, Provenance
from groundglass.score import Score

SOFTWARE = "groundglass: pneumonia on chest CT, offline (software), version {version}"
"""The reference to groundglass itself, as in ``CITATION.cff``."""


@dataclass(frozen=True, slots=True)
class Methods:
    """A paragraph and what it cites.

    Attributes:
        text: The paragraph; ``[1]`` stands for the first reference.
        references: Publications in the order in which they are cited.
    """

    text: str
    references: tuple[str, ...]

    def __str__(self) -> str:
        """The paragraph with its numbered references below it."""
        listed = [f"[{number}] {one}" for number, one in enumerate(self.references, start=1)]
        return "\n".join([self.text, "", *listed])


class _References:
    """Numbers publications in the order in which they are cited."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def cite(self, reference: str) -> str:
        if reference not in self.found:
            self.found.append(reference)
        return f"[{self.found.index(reference) + 1}]"


def methods(provenance: Provenance, scores: Sequence[Score]) -> Methods:
    """The methods paragraph of a result.

    Every fact in it is one of the result: versions, checksums, methods and settings come from its
    provenance, definitions' sources from its scores.

    Args:
        provenance: What made the result.
        scores: The scores that it holds.
    """
    references = _References()
    sentences = [
        f"Chest CT was analyzed with groundglass {provenance.version} "
        f"{references.cite(SOFTWARE.format(version=provenance.version))}.",
        _lungs(provenance),
        _system(provenance, references),
        *(_correction(correction) for correction in provenance.corrections),
        _regions(provenance),
        _scores(scores, references),
        _settings(provenance),
        _libraries(provenance),
    ]
    return Methods(" ".join(s for s in sentences if s), tuple(references.found))


def _lungs(made: Provenance) -> str:
    return f"Lungs were segmented by the method '{made.lungs_method}'."


def _system(made: Provenance, references: _References) -> str:
    cited = ""
    if made.system_doi:
        cited = f" {references.cite(f'{made.system_title}, doi:{made.system_doi}')}"
    known = f" ({made.system_title})" if made.system_title else ""
    checksum = f" with weights of SHA-256 {made.weights_sha256[:12]}" if made.weights_sha256 else ""
    said = f"Lesions were segmented by the system '{made.system}'{known}{cited}{checksum}."
    if made.trained_on:
        said += f" Its weights were trained on: {made.trained_on.rstrip('.')}."
    return said


def _correction(correction: Correction) -> str:
    whole = next(iter(correction.changes.values()), None)
    by = correction.by or "a reader"
    change = (
        f" (Dice {whole.dice:.2f} with the lesions before, {whole.added_ml:.1f} ml added and "
        f"{whole.removed_ml:.1f} ml removed)"
        if whole
        else ""
    )
    return f"The lesions were corrected by {by}{change}."


def _regions(made: Provenance) -> str:
    if not made.regions_source:
        return ""
    return f"Lobes and the 20 segmental regions come from: {made.regions_source}."


def _scores(scores: Sequence[Score], references: _References) -> str:
    named = [
        f"{score.title} {references.cite(score.reference)}" if score.reference else score.title
        for score in scores
    ]
    if not named:
        return ""
    *first, last = named
    listed = f"{', '.join(first)} and {last}" if first else last
    return f"From these masks {listed} were computed."


def _settings(made: Provenance) -> str:
    if not made.settings:
        return "All settings were the defaults."
    listed = ", ".join(f"{name} {value}" for name, value in made.settings.items())
    return f"Settings other than the defaults: {listed}."


def _libraries(made: Provenance) -> str:
    if not made.libraries:
        return ""
    listed = ", ".join(f"{name} {version}" for name, version in made.libraries.items())
    return f"Software versions: {listed}."

"""What a threshold of lesion does on the validation split, so that one can be chosen there."""

from collections.abc import Sequence
from dataclasses import dataclass

from groundglass.data.cohort import Case
from groundglass.errors import ConfigError
from groundglass.evaluation.result import Estimate, Progress
from groundglass.evaluation.tiny_lesions import count_lesions, sum_up_lesions
from groundglass.systems import load_system

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
"""Probabilities that are tried."""


@dataclass(frozen=True, slots=True)
class AtThreshold:
    """A system with one threshold.

    Attributes:
        threshold: Probability above which a pixel is lesion.
        summary: As of :class:`groundglass.evaluation.tiny_lesions.TinyLesionsEvaluation`.
    """

    threshold: float
    summary: dict[str, Estimate]

    @property
    def patient_dice(self) -> float:
        """Mean over patients of the Dice of all pixels of each: what is chosen by."""
        return self.summary["patient_dice"].value


def try_thresholds(
    system: str,
    cases: Sequence[Case],
    thresholds: Sequence[float] = THRESHOLDS,
    *,
    device: str = "cpu",
    progress: Progress | None = None,
) -> list[AtThreshold]:
    """Measure a system on whole slices, lesion by lesion, once with each threshold.

    Args:
        system: Name of a system or folder of a run.
        cases: Slices of the validation split.
        thresholds: What is tried.
        device: Where the network runs.
        progress: Told how far it is.

    Raises:
        ConfigError: If a threshold is not between 0 and 1, or a case is not of the validation
            split: a threshold chosen on the test split makes its results too good.
        NotMeasurableError: If the system gives no probabilities, or no lesion is known.
    """
    wrong = [t for t in thresholds if not 0.0 < t < 1.0]
    if wrong:
        raise ConfigError(f"found threshold {wrong[0]}, expected one between 0 and 1; correct it")
    strange = [case for case in cases if case.split != "val"]
    if strange:
        raise ConfigError(
            f"found case '{strange[0].case}' of the {strange[0].split} split, expected val: a "
            "threshold is chosen on neither training nor test patients; take the validation split"
        )
    segmenter = load_system(system, device)
    card = segmenter.card
    tried = []
    for number, threshold in enumerate(thresholds):
        segmenter.card = card.model_copy(update={"lesion_threshold": threshold})

        def tell(done: int, of: int, number: int = number) -> None:
            if progress is not None:
                progress(number * of + done, len(thresholds) * of)

        counted = count_lesions(segmenter, cases, tell)
        tried.append(AtThreshold(threshold, sum_up_lesions(counted)[2]))
    return tried

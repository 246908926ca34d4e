"""Runs of one configuration that differ by seed alone, as one line of a table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from groundglass.evaluation.as_used import Evaluation
from groundglass.evaluation.classes import ClassesEvaluation
from groundglass.evaluation.inf_net import InfNetEvaluation
from groundglass.evaluation.instances import InstancesEvaluation
from groundglass.evaluation.tiny_lesions import TinyLesionsEvaluation
from groundglass.evaluation.volumes import VolumesEvaluation

AnyEvaluation = (
    Evaluation
    | InfNetEvaluation
    | VolumesEvaluation
    | ClassesEvaluation
    | InstancesEvaluation
    | TinyLesionsEvaluation
)


def read_metric(evaluation: AnyEvaluation, metric: str) -> float | None:
    """One number of an evaluation.

    Args:
        evaluation: Of any protocol.
        metric: ``loss``, or structure and name such as ``lesion/mean_dice``; of volumes, level
            and name such as ``slice/auc``. ``ground_glass+consolidation/iou`` is the mean of
            several structures.

    Returns:
        The number; ``None`` where the evaluation does not have it.
    """
    structures, _, name = metric.partition("/")
    parts = [_read_one(evaluation, structure, name) for structure in structures.split("+")]
    known = [part for part in parts if part is not None]
    return fmean(known) if len(known) == len(parts) else None


def _read_one(evaluation: AnyEvaluation, structure: str, name: str) -> float | None:
    if structure == "loss":
        return evaluation.loss
    if isinstance(evaluation, ClassesEvaluation | TinyLesionsEvaluation):
        groups = (
            evaluation.classes
            if isinstance(evaluation, ClassesEvaluation)
            else {"lesion": evaluation.summary}
        )
        judged = groups.get(structure, {}).get(name)
        return judged.value if judged else None
    if isinstance(evaluation, VolumesEvaluation):
        level = evaluation.levels.get(structure)
        told = level.get(name) if level else None
        return told.value if told else None
    if isinstance(evaluation, InstancesEvaluation):
        return evaluation.structures.get(structure, {}).get(name)
    if isinstance(evaluation, InfNetEvaluation):
        swept = evaluation.structures.get(structure)
        estimate = swept.summary.get(name) if swept else None
        return estimate.value if estimate else None
    found = evaluation.structures.get(structure)
    summary = found.summary.get(name) if found else None
    return summary.mean if summary else None


@dataclass(frozen=True, slots=True)
class SeedGroup:
    """Evaluations of runs that differ by seed alone, at least one.

    Attributes:
        evaluations: One for each seed.
    """

    evaluations: tuple[AnyEvaluation, ...]

    @property
    def first(self) -> AnyEvaluation:
        """The first of them, for all that they share."""
        return self.evaluations[0]

    def values(self, metric: str) -> list[float]:
        """The number of each seed that has it; see :func:`read_metric`."""
        found = [read_metric(evaluation, metric) for evaluation in self.evaluations]
        return [value for value in found if value is not None]

    def text(self, metric: str) -> str:
        """Mean over seeds, with the standard deviation where there are several."""
        return mean_and_spread(self.values(metric))


def mean_and_spread(values: Sequence[float]) -> str:
    """Mean with the standard deviation where there are several; a dash where there is none."""
    if not values:
        return "-"
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{fmean(values):.3f} ± {stdev(values):.3f}"


def group_seeds(evaluations: Iterable[AnyEvaluation]) -> list[SeedGroup]:
    """Evaluations grouped by system, configuration, cohort and split, in order of appearance.

    What has no known configuration is told apart by its weights. A group has each seed once:
    another of the same seed cannot differ by it, and begins a group of its own.
    """
    groups: list[list[AnyEvaluation]] = []
    alike: dict[tuple[str, ...], list[list[AnyEvaluation]]] = {}
    for one in evaluations:
        made = one.configuration or one.weights_sha256
        known = alike.setdefault((one.system, made, one.cohort, one.split), [])
        group = next((g for g in known if one.seed not in {other.seed for other in g}), None)
        if group is None:
            group = []
            known.append(group)
            groups.append(group)
        group.append(one)
    return [SeedGroup(tuple(group)) for group in groups]

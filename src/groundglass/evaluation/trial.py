"""The runs that a plan asks for, and the stored result of each."""

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from groundglass.errors import ConfigError, UnknownNameError
from groundglass.evaluation.plan import Data, Plan, Row, Test
from groundglass.evaluation.result import Result
from groundglass.evaluation.seeds import AnyEvaluation


class TrialResult(Result):
    """One row of a plan, trained on one of its data with one seed, and measured.

    Attributes:
        plan: Name of the plan.
        row: Name of the row.
        data: Name of the data.
        seed: Seed of the run.
        order: Digest of what the plan asked for; a result of another one is out of date.
        evaluations: One for each test of the data that was measured.
    """

    plan: str
    row: str
    data: str
    seed: int
    order: str
    evaluations: tuple[Annotated[AnyEvaluation, Field(discriminator="protocol")], ...]

    def of(self, test: Test) -> AnyEvaluation | None:
        """What was measured on a test; ``None`` where the plan asked for it later."""
        wanted = test.cohort, test.split, test.protocol
        for one in self.evaluations:
            if (one.cohort, one.split, one.protocol) == wanted:
                return one
        return None


@dataclass(frozen=True, slots=True)
class Trial:
    """A run that a plan asks for.

    Attributes:
        plan: The plan.
        row: Its row.
        data: What it is trained on.
        seed: Its seed.
    """

    plan: Plan
    row: Row
    data: Data
    seed: int

    @property
    def name(self) -> str:
        """Name of the run's folder and of its result."""
        return f"{self.plan.name}-{self.row.name}-{self.data.name}-seed{self.seed}"

    @property
    def order(self) -> dict[str, Any]:
        """What the plan asks of the run, comparable with what an earlier call asked."""
        if self.row.average_of:
            return {"average_of": [source.order for source in self.sources]}
        start = self.sources[0].order if self.sources else None
        if self.row.weights_of is not None:
            return {"weights_of": start, "settings": self.row.settings}
        others = self.row.unlabeled
        return {
            "kind": self.row.kind,
            "system": self.row.system,
            "recipe": self.row.recipe,
            "settings": {**self.row.settings, "seed": self.seed},
            "start_from": start,
            "train": list(self.data.train),
            **({"unlabeled": others.model_dump()} if others else {}),
        }

    @property
    def order_digest(self) -> str:
        """Short hash of the order."""
        return hashlib.sha256(json.dumps(self.order, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def sources(self) -> "tuple[Trial, ...]":
        """The runs whose weights it takes, of the same data where there are some.

        One of the same seed, or else the first; for an average, those of every seed of its rows.
        """
        one = self.row.weights_of or self.row.start_from
        found = []
        for name in self.row.average_of or ([] if one is None else [one]):
            row = self.plan.row(name)
            data, seeds = self.plan.data_of(row), self.plan.seeds_of(row)
            if not self.row.average_of:
                seeds = (self.seed if self.seed in seeds else seeds[0],)
            same = self.data if self.data in data else data[0]
            found += [Trial(self.plan, row, same, seed) for seed in seeds]
        return tuple(found)


def list_trials(
    plan: Plan,
    *,
    rows: Collection[str] = (),
    data: Collection[str] = (),
    seeds: Collection[int] = (),
) -> list[Trial]:
    """The runs that a plan asks for, seed by seed, so that a table fills evenly.

    Args:
        plan: The plan.
        rows: Rows to keep; all if empty.
        data: Data to keep; all if empty.
        seeds: Seeds to keep; all if empty.

    Raises:
        UnknownNameError: If the plan has no such row, data or seed.
    """
    for kind, wanted, known in (
        ("row", rows, [row.name for row in plan.rows]),
        ("data", data, [one.name for one in plan.data]),
        ("seed", seeds, sorted({s for row in plan.rows for s in plan.seeds_of(row)})),
    ):
        for name in wanted:
            if name not in known:
                raise UnknownNameError.of(kind, str(name), known)
    trials = [
        Trial(plan, row, one, seed)
        for row in plan.rows
        if not rows or row.name in rows
        for one in plan.data_of(row)
        if not data or one.name in data
        for seed in plan.seeds_of(row)
        if not seeds or seed in seeds
    ]
    return sorted(trials, key=lambda trial: trial.seed)


def read_trial(file: Path, trial: Trial) -> TrialResult:
    """The stored result of a trial.

    Raises:
        ConfigError: If it was made for another order than the plan has now.
    """
    result = TrialResult.model_validate_json(file.read_text(encoding="utf-8"))
    if result.order != trial.order_digest:
        raise ConfigError(
            f"found '{file.name}' made with other settings than the plan has now, expected the "
            "same; remove the file and its run, or give the row another name"
        )
    return result

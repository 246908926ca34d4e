"""Tables of a plan: what was published beside what came out, the deviation in words."""

from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev

from groundglass.evaluation.plan import Data, Plan, Row, Test, read_plan
from groundglass.evaluation.seeds import AnyEvaluation, SeedGroup, mean_and_spread
from groundglass.evaluation.trial import list_trials, read_trial

_AS_PUBLISHED = 0.0005


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a table.

    Attributes:
        title: What the configuration is.
        group: Its results, one for each seed; ``None`` where there are none yet.
        cells: Text of each column.
    """

    title: str
    group: SeedGroup | None
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a plan on one test.

    Attributes:
        data: What they were trained on.
        test: What they were measured on.
        columns: Titles of the columns; those in which no row has anything are left out.
        lines: The rows.
    """

    data: Data
    test: Test
    columns: tuple[str, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A plan with its tables.

    Attributes:
        plan: The plan.
        tables: A table for each test of each data that has results or published numbers.
    """

    plan: Plan
    tables: tuple[Table, ...]

    @property
    def begun(self) -> bool:
        """Whether any row has a result."""
        return any(line.group is not None for table in self.tables for line in table.lines)


def read_comparisons(results: Path) -> list[Comparison]:
    """Every plan in ``plans/`` of the folder with the results stored beside it.

    Raises:
        ConfigError: If a result was made for another order than its plan has now.
    """
    plans = [read_plan(file) for file in sorted((results / "plans").glob("*.yaml"))]
    return [compare(plan, results) for plan in plans]


def compare(plan: Plan, results: Path) -> Comparison:
    """The tables of a plan from the results in a folder."""
    tables = []
    for data in plan.data:
        rows = [r for r in plan.rows if r.kind == "train" and data in plan.data_of(r)]
        for test in data.tests:
            lines = tuple(_line(plan, row, data, test, results) for row in rows)
            if any(line.group or any(map(_holds, line.cells)) for line in lines):
                titles = tuple(plan.columns_of(data).values())
                tables.append(Table(data, test, *_without_empty_columns(titles, lines)))
    return Comparison(plan, tuple(tables))


def _without_empty_columns(
    titles: tuple[str, ...], lines: tuple[Line, ...]
) -> tuple[tuple[str, ...], tuple[Line, ...]]:
    kept = [k for k in range(len(titles)) if any(_holds(line.cells[k]) for line in lines)]
    cut = tuple(replace(line, cells=tuple(line.cells[k] for k in kept)) for line in lines)
    return tuple(titles[k] for k in kept), cut


def _holds(cell: str) -> bool:
    return cell != mean_and_spread([])


def _line(plan: Plan, row: Row, data: Data, test: Test, results: Path) -> Line:
    trials = list_trials(plan, rows=[row.name], data=[data.name])
    files = [(trial, results / f"trial-{trial.name}.json") for trial in trials]
    found = [read_trial(file, trial).of(test) for trial, file in files if file.is_file()]
    evaluations: tuple[AnyEvaluation, ...] = tuple(one for one in found if one is not None)
    group = SeedGroup(evaluations) if evaluations else None
    published = row.published.get(data.name, {}) if test == data.tests[0] else {}
    cells = tuple(
        cell_text(
            group.values(metric) if group else [],
            published.get(metric),
            lower_is_better=metric in plan.lower_is_better,
        )
        for metric in plan.columns_of(data)
    )
    return Line(row.title, group, cells)


def cell_text(values: list[float], published: float | None, *, lower_is_better: bool) -> str:
    """Ours, the published number and how they differ, in words.

    Args:
        values: One number for each seed; may be empty.
        published: The published number; ``None`` where there is none.
        lower_is_better: Whether less is better.
    """
    ours = mean_and_spread(values)
    if published is None:
        return ours
    if not values:
        return f"published {published:g}"
    words = deviation(values, published, lower_is_better=lower_is_better)
    return f"{ours}; published {published:g}: {words}"


def deviation(values: list[float], published: float, *, lower_is_better: bool) -> str:
    """How the mean of the values differs from the published number, in words."""
    difference = fmean(values) - published
    if abs(difference) < _AS_PUBLISHED:
        return "as published"
    if len(values) > 1 and abs(difference) <= stdev(values):
        return "within the spread over seeds"
    better = (difference < 0) == lower_is_better
    return f"{abs(difference):.3f} {'better' if better else 'worse'}"

"""A plan: the table of an experiment, with all that is trained and measured to fill it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from groundglass.data.cohort import Split
from groundglass.errors import ConfigError, UnknownNameError
from groundglass.settings import read_settings

Setting = bool | int | float | str | list[int] | list[float] | list[str] | None


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Test(_Part):
    """A split on which a trained row is measured.

    Attributes:
        cohort: Name of the cohort.
        split: Its split.
        protocol: How it is measured.
    """

    cohort: str
    split: Split = "test"
    protocol: Literal["as-used", "instances", "tiny-lesions", "inf-net", "volumes", "classes"] = (
        "inf-net"
    )


class Data(_Part):
    """What every row is trained and measured on; a plan may have several, one table each.

    Attributes:
        name: Short name, for files.
        title: What it is, for people.
        train: Names of the cohorts whose train and val splits are used.
        tests: What a trained row is measured on; published numbers belong to the first.
        columns: Titles by metric where its tables have other columns than the plan's.
    """

    name: str = Field(pattern=r"^[a-z0-9._-]+$")
    title: str
    train: tuple[str, ...] = Field(min_length=1)
    tests: tuple[Test, ...] = Field(min_length=1)
    columns: dict[str, str] | None = None


class Unlabeled(_Part):
    """Slices that a row labels itself, round by round; see ``groundglass train-progressively``.

    Attributes:
        cohort: Name of the cohort; its train split is used, masks in it are not read.
        group: Slices labeled in a round.
        slices: How many are used, drawn at random; all if not given.
    """

    cohort: str
    group: int = Field(5, ge=1)
    slices: int | None = Field(None, ge=1)


class Row(_Part):
    """A configuration.

    Attributes:
        name: Short name, for files.
        title: What it is, for people.
        kind: ``train``, or ``pretrain`` for a run whose weights other rows start from.
        system: Name of the system.
        recipe: Recipe beside the system's card; its ``recipe.yaml`` if not given.
        settings: Settings that differ from the recipe, by key such as ``augment.cutout``.
        start_from: Row whose weights this one starts from.
        weights_of: Row whose run this one measures with other settings, nothing trained: for
            settings that act only in use, such as thresholds.
        average_of: Rows whose runs, one of each seed, are averaged to the one of this row, nothing
            trained; see ``groundglass average-runs``. It counts under the first of these seeds.
        unlabeled: Slices to learn from beside the labeled ones; the run is that of the last round.
        seeds: Seeds of this row; the plan's if not given.
        data: Names of the data it is made for; all if not given.
        published: Published numbers by data and column.
    """

    name: str = Field(pattern=r"^[a-z0-9._-]+$")
    title: str
    kind: Literal["train", "pretrain"] = "train"
    system: str
    recipe: str = "recipe.yaml"
    settings: dict[str, Setting] = {}
    start_from: str | None = None
    weights_of: str | None = None
    average_of: tuple[str, ...] = ()
    unlabeled: Unlabeled | None = None
    seeds: tuple[int, ...] | None = None
    data: tuple[str, ...] | None = None
    published: dict[str, dict[str, float]] = {}


class Plan(_Part):
    """An experiment with its table.

    Attributes:
        name: Short name, for files; that of the plan's file.
        title: Heading of the table.
        source: Publication of the published numbers.
        notes: What a reader must know, above all what was reduced, a sentence each.
        seeds: Seeds of every row.
        columns: Titles by metric: ``loss``, or structure and name such as ``lesion/mean_dice``.
        lower_is_better: Columns where less is better.
        data: What every row is trained and measured on.
        rows: The configurations, in the order of the table.
    """

    name: str = Field(pattern=r"^[a-z0-9._-]+$")
    title: str
    source: str
    notes: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    columns: dict[str, str]
    lower_is_better: tuple[str, ...] = ("loss", "lesion/mae")
    data: tuple[Data, ...] = Field(min_length=1)
    rows: tuple[Row, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        data, rows = [data.name for data in self.data], [row.name for row in self.rows]
        if len(set(data)) < len(data) or len(set(rows)) < len(rows):
            raise ValueError("a name of data or of a row stands twice")
        for index, row in enumerate(self.rows):
            strange = {*(row.data or ()), *row.published} - set(data)
            if strange:
                raise ValueError(f"row {row.name} names the data {sorted(strange)}, known: {data}")
            _refuse_wrong_sources(row, rows[:index])
        return self

    def row(self, name: str) -> Row:
        """The row of that name; raises UnknownNameError if there is none."""
        for row in self.rows:
            if row.name == name:
                return row
        raise UnknownNameError.of("row", name, [row.name for row in self.rows])

    def data_of(self, row: Row) -> tuple[Data, ...]:
        """The data that a row is made for."""
        return tuple(d for d in self.data if row.data is None or d.name in row.data)

    def columns_of(self, data: Data) -> dict[str, str]:
        """Titles by metric of the tables of some data."""
        return self.columns if data.columns is None else data.columns

    def seeds_of(self, row: Row) -> tuple[int, ...]:
        """The seeds of a row."""
        if row.average_of:
            return self.seeds_of(self.row(row.average_of[0]))[:1]
        return self.seeds if row.seeds is None else row.seeds

    def cohorts(self) -> set[str]:
        """Names of all cohorts that the plan needs."""
        tests = {test.cohort for data in self.data for test in data.tests}
        others = {row.unlabeled.cohort for row in self.rows if row.unlabeled}
        return tests | others | {name for data in self.data for name in data.train}


def _refuse_wrong_sources(row: Row, above: Sequence[str]) -> None:
    one = [other for other in (row.start_from, row.weights_of) if other is not None]
    if len(one) + bool(row.average_of) > 1:
        raise ValueError(
            f"row {row.name} has more than one of start_from, weights_of and average_of"
        )
    untrained = row.weights_of is not None or row.average_of
    if row.unlabeled and (untrained or row.kind == "pretrain"):
        raise ValueError(f"row {row.name} has unlabeled slices, but no training to use them")
    if row.average_of and (row.settings or row.seeds):
        raise ValueError(f"row {row.name} is an average and has settings or seeds")
    for other in (*one, *row.average_of):
        if other not in above:
            raise ValueError(f"row {row.name} starts from {other}, no row above it")


def read_plan(path: Path) -> Plan:
    """Plan from a YAML file; its name is that of the file.

    Raises:
        ConfigError: If there is none, or a field of it is wrong.
    """
    if not path.is_file():
        raise ConfigError(f"found no plan '{path}', expected a YAML file; check the path")
    settings = read_settings(path)
    try:
        return Plan.model_validate({"name": path.stem, **settings})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "plan"
        raise ConfigError(
            f"found a wrong plan '{path.name}', {field}: {first['msg']}; correct it"
        ) from None

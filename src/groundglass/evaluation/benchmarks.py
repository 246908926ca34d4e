"""BENCHMARKS.md, written from stored results and never by hand."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from jinja2 import DictLoader, Environment, StrictUndefined
from pydantic import BaseModel

from groundglass.evaluation.as_used import Evaluation
from groundglass.evaluation.classes import ClassesEvaluation
from groundglass.evaluation.comparison import read_comparisons
from groundglass.evaluation.confounding import Confounding
from groundglass.evaluation.inf_net import InfNetEvaluation
from groundglass.evaluation.instances import InstancesEvaluation
from groundglass.evaluation.lungs import LungsEvaluation
from groundglass.evaluation.pretraining import PretrainingEvaluation
from groundglass.evaluation.relevance import RelevanceEvaluation
from groundglass.evaluation.result import Measurement, Throughput
from groundglass.evaluation.seeds import group_seeds
from groundglass.evaluation.slice_labels import SeriesEvaluation
from groundglass.evaluation.slice_speed import SliceSpeed
from groundglass.evaluation.speed import Speed
from groundglass.evaluation.tiny_lesions import TinyLesionsEvaluation
from groundglass.evaluation.trial import TrialResult
from groundglass.evaluation.volumes import VolumesEvaluation

Kind = TypeVar("Kind", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page.

    Attributes:
        name: Its template is ``sections/NAME.md.j2``, which sees ``shown``.
        read: Takes the folder of results to what is shown; with nothing to show, the section is
            left out.
    """

    name: str
    read: Callable[[Path], Sequence[object]]


def stored(kind: str, result: type[Kind]) -> Callable[[Path], list[Kind]]:
    """Reads every result of a kind, ``KIND-*.json``, in the order of the files' names."""

    def read(folder: Path) -> list[Kind]:
        texts = [f.read_text(encoding="utf-8") for f in sorted(folder.glob(f"{kind}-*.json"))]
        return [result.model_validate_json(text) for text in texts]

    return read


def read_throughputs(folder: Path) -> list[tuple[str, str, Throughput]]:
    """System, configuration and speed of each configuration that was trained, its first seed."""
    measured: list[Measurement] = [
        *stored("evaluation", Evaluation)(folder),
        *stored("inf-net", InfNetEvaluation)(folder),
        *stored("instances", InstancesEvaluation)(folder),
        *stored("classes", ClassesEvaluation)(folder),
        *stored("volumes", VolumesEvaluation)(folder),
        *(one for trial in stored("trial", TrialResult)(folder) for one in trial.evaluations),
    ]
    found: dict[tuple[str, str, str], Throughput] = {}
    for one in measured:
        if one.throughput is not None:
            key = one.system, one.configuration, one.throughput.device
            found.setdefault(key, one.throughput)
    return [(*key[:2], throughput) for key, throughput in sorted(found.items())]


SECTIONS = (
    Section("slices", lambda folder: group_seeds(stored("evaluation", Evaluation)(folder))),
    Section(
        "instances", lambda folder: group_seeds(stored("instances", InstancesEvaluation)(folder))
    ),
    Section(
        "tiny_lesions",
        lambda folder: group_seeds(stored("tiny-lesions", TinyLesionsEvaluation)(folder)),
    ),
    Section("inf_net", lambda folder: group_seeds(stored("inf-net", InfNetEvaluation)(folder))),
    Section("lungs", stored("lungs", LungsEvaluation)),
    Section("series", stored("series", SeriesEvaluation)),
    Section("comparisons", read_comparisons),
    Section("classes", lambda folder: group_seeds(stored("classes", ClassesEvaluation)(folder))),
    Section("volumes", lambda folder: group_seeds(stored("volumes", VolumesEvaluation)(folder))),
    Section("relevance", stored("relevance", RelevanceEvaluation)),
    Section("confounding", stored("confounding", Confounding)),
    Section("pretraining", stored("pretraining", PretrainingEvaluation)),
    Section("training", read_throughputs),
    Section("speed", stored("speed", Speed)),
    Section("slice_speed", stored("slice-speed", SliceSpeed)),
)
"""The page from top to bottom; a new kind of result is a line here and a template."""


def write_benchmarks(results: Path, page: Path) -> None:
    """Write the page from every stored result.

    Args:
        results: Folder with the results, and ``plans/`` with the plans of comparisons.
        page: Markdown file to write.

    Raises:
        ConfigError: If a result does not fit its plan.
    """
    folder = files("groundglass.evaluation") / "sections"
    names = ["page", "macros", *(section.name for section in SECTIONS)]
    sources = {f"{name}.md.j2": (folder / f"{name}.md.j2").read_text("utf-8") for name in names}
    markdown = Environment(
        loader=DictLoader(sources), undefined=StrictUndefined, autoescape=False, trim_blocks=True
    )
    shown = [
        markdown.get_template(f"{section.name}.md.j2").render(shown=found).strip()
        for section in SECTIONS
        if (found := section.read(results))
    ]
    text = markdown.get_template("page.md.j2").render(sections=shown)
    page.write_text(text.rstrip() + "\n", encoding="utf-8")

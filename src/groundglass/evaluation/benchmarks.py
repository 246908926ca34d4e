"""BENCHMARKS.md, written from stored results and never by hand."""

from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from jinja2 import Environment, StrictUndefined
from pydantic import BaseModel

from groundglass.evaluation.evaluate import Evaluation
from groundglass.evaluation.slice_labels import SeriesEvaluation
from groundglass.evaluation.speed import Speed

Result = TypeVar("Result", bound=BaseModel)


def write_benchmarks(results: Path, page: Path) -> None:
    """Write the page from every stored result.

    Args:
        results: Folder with ``evaluation-*.json``, ``series-*.json`` and ``speed-*.json``.
        page: Markdown file to write.
    """
    source = files("groundglass.evaluation").joinpath("benchmarks.md.j2").read_text("utf-8")
    markdown = Environment(undefined=StrictUndefined, autoescape=False)
    text = markdown.from_string(source).render(
        evaluations=_stored(results, "evaluation", Evaluation),
        series=_stored(results, "series", SeriesEvaluation),
        speeds=_stored(results, "speed", Speed),
    )
    page.write_text(text.rstrip() + "\n", encoding="utf-8")


def _stored(folder: Path, kind: str, result: type[Result]) -> list[Result]:
    return [
        result.model_validate_json(file.read_text(encoding="utf-8"))
        for file in sorted(folder.glob(f"{kind}-*.json"))
    ]

"""Curves and worst cases of an evaluation, as PNG files."""

import csv
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from groundglass.data.cohort import Case
from groundglass.evaluation.inf_net import SweptSlice
from groundglass.evaluation.protocols import Found, Measured
from groundglass.evaluation.result import CaseMetrics
from groundglass.evaluation.sheet import draw_sheet
from groundglass.metrics.threshold_sweep import THRESHOLDS

COLORS = {"lesion": "#d1495b", "ground_glass": "#c98a00", "consolidation": "#7b3fa0"}
LUNGS_COLOR = "#2e6f9e"
_WIDTH_IN, _HEIGHT_IN, _DPI = 6.0, 4.0, 130


def draw_pictures(
    measured: Measured,
    cases: Sequence[Case],
    find: Callable[[Case], Found],
    folder: Path,
    run: Path | None = None,
) -> list[Path]:
    """Draw what an evaluation and its run give.

    Args:
        measured: The evaluation.
        cases: The cases it was made from.
        find: Finds the lesions of a case once more, for the sheet of slices.
        folder: Where the PNG files go: ``patients``; ``slices`` where lesions of some are known;
            ``thresholds`` and ``precision_recall`` where the protocol has thresholds; ``training``
            of a run.
        run: Folder of the run; nothing is drawn of a system that is none.

    Returns:
        The files, in the order of reading.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Figure] = {}
    if measured.swept:
        figures["thresholds"] = threshold_curves(measured.swept["lesion"])
        figures["precision_recall"] = precision_recall(measured.swept)
    figures["patients"] = patient_distribution(measured.rows)
    if any(row.structure == "lesion" for row in measured.rows):
        figures["slices"] = draw_sheet(measured.rows, cases, find)
    if run is not None and (run / "metrics.csv").is_file():
        figures["training"] = training_curve(run / "metrics.csv")
    files = []
    for name, figure in figures.items():
        files.append(folder / f"{name}.png")
        figure.savefig(files[-1], dpi=_DPI, metadata={"Software": None})
    return files


def threshold_curves(slices: Sequence[SweptSlice]) -> Figure:
    """Dice, sensitivity and specificity of lesions over the threshold, means over slices."""
    figure, axes = _figure("Lesions: mean over slices")
    shown = [one.sweep for one in slices if one.sweep.true]
    every = [one.sweep for one in slices]
    for name, curves, color in (
        ("Dice", [sweep.dice for sweep in shown], COLORS["lesion"]),
        ("sensitivity", [sweep.sensitivity for sweep in shown], LUNGS_COLOR),
        ("specificity", [sweep.specificity for sweep in every], "#3a7d44"),
    ):
        if curves:
            axes.plot(THRESHOLDS, np.mean(curves, axis=0), color=color, label=name)
    axes.axvline(0.5, color="#999999", linewidth=0.8, linestyle=":")
    axes.set(xlabel="threshold on the probability", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(frameon=False, loc="lower left")
    return figure


def precision_recall(swept: dict[str, list[SweptSlice]]) -> Figure:
    """Precision over sensitivity of each structure, all pixels pooled, a dot at 0.5."""
    figure, axes = _figure("All pixels pooled; the dot is at 0.5")
    for structure, slices in swept.items():
        both = np.sum([one.sweep.both for one in slices], axis=0)
        predicted = np.sum([one.sweep.predicted for one in slices], axis=0)
        true = sum(one.sweep.true for one in slices)
        if not true:
            continue
        found = predicted > 0
        recall, precision = both[found] / true, both[found] / predicted[found]
        half = min(int(np.searchsorted(THRESHOLDS, 0.5)), len(recall) - 1)
        color = COLORS[structure]
        axes.plot(recall, precision, color=color, label=_words(structure))
        axes.plot(recall[half], precision[half], "o", color=color)
    axes.set(xlabel="sensitivity", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.02))
    axes.legend(frameon=False, loc="lower left")
    return figure


def patient_distribution(rows: Sequence[CaseMetrics]) -> Figure:
    """Dice of each patient, a dot each, mean of the patient's slices; the bar is the median."""
    figure, axes = _figure("Mean of each patient's slices")
    dice: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        dice[row.structure][row.patient].append(row.metrics["dice"])
    for place, (structure, patients) in enumerate(dice.items()):
        values = np.array([np.mean(slices) for slices in patients.values()])
        color = COLORS.get(structure, LUNGS_COLOR)
        axes.scatter(place + _spread(len(values)), values, color=color, s=22, alpha=0.75)
        axes.hlines(np.median(values), place - 0.3, place + 0.3, color=color, linewidth=2)
    names = [
        f"{_words(structure)}\n{len(patients)} patients" for structure, patients in dice.items()
    ]
    axes.set_xticks(range(len(dice)), names)
    axes.set(ylabel="Dice", xlim=(-0.6, len(dice) - 0.4), ylim=(0, 1.02))
    return figure


def training_curve(metrics: Path) -> Figure:
    """Losses (left) and validation metrics (right) of each epoch of a run."""
    with metrics.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = list(rows[0]) if rows else []
    figure = Figure(figsize=(2 * _WIDTH_IN, _HEIGHT_IN), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, prefix, title in ((left, "train/", "Training loss"), (right, "val/", "Validation")):
        for name in (name for name in names if name.startswith(prefix)):
            points = [(int(float(r["epoch"])) + 1, float(r[name])) for r in rows if r[name]]
            axes.plot(*zip(*points, strict=True), label=_words(name.removeprefix(prefix)))
        axes.set(title=title, xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _quiet(axes)
        if axes.lines:
            axes.legend(frameon=False)
    return figure


def _figure(title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(_WIDTH_IN, _HEIGHT_IN), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, fontsize=10, loc="left")
    _quiet(axes)
    return figure, axes


def _quiet(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e5e5e5", linewidth=0.6)
    axes.set_axisbelow(True)


def _spread(count: int) -> np.ndarray:
    """Sideways places of dots, the same on every call."""
    return np.random.default_rng(0).uniform(-0.22, 0.22, count) if count > 1 else np.zeros(1)


def _words(structure: str) -> str:
    return structure.replace("_", " ")

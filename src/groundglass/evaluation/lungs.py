"""Lungs by network on slices whose lungs are known: each view, both, and with sharpened edges."""

import time
from collections.abc import Sequence
from math import isnan
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from groundglass.data.cohort import UNKNOWN, Case, Cohort, Split
from groundglass.data.derived import SLICE_PX
from groundglass.data.stacks import Stack, find_runs
from groundglass.errors import NotMeasurableError
from groundglass.evaluation.evaluate import Tell, count_seen, run_facts
from groundglass.evaluation.result import Estimate, Measurement, PatientBootstrap, Progress, Result
from groundglass.intensity import picture_gray
from groundglass.lungs.crf import refine_probability
from groundglass.metrics.boundary import edge_distance
from groundglass.metrics.segmentation import Overlap
from groundglass.systems.lung_unet.predict import Predictor
from groundglass.systems.system import load_lung_network

Probability = NDArray[np.float32]


class LungEdges(Result):
    """How well lungs are found in one way.

    Attributes:
        dice: Mean over slices.
        edge_px: Mean distance of the edges, in pixels of the slices; ``None`` where no slice has
            both, as no lung was found on any.
        near: Share of the edges within 2 pixels of the other; ``None`` as well.
    """

    dice: Estimate
    edge_px: Estimate | None
    near: Estimate | None


class LungsEvaluation(Measurement):
    """A lung network over the slices of a split.

    Attributes:
        ways: By name: ``axial``, ``sagittal``, ``both``, and the last of them with the dense
            conditional random field.
        crf_seconds: Mean time of the field on a slice.
    """

    ways: dict[str, LungEdges]
    crf_seconds: float


def evaluate_lungs(  # noqa: PLR0913 - one argument for each choice of the user
    system: str,
    cohort: Cohort,
    split: Split,
    *,
    name: str,
    device: str = "cpu",
    tell: Tell | None = None,
    progress: Progress | None = None,
) -> LungsEvaluation:
    """Measure a lung network on slices laid together to runs, as volumes are looked at.

    Args:
        system: ``unet``, or the folder of a run of ``lung_unet``.
        cohort: The cohort; its rows need series and number.
        split: Which part of it.
        name: Name of the cohort in the table.
        device: Where the networks run.
        tell: Told how many slices the run has seen before, if any.
        progress: Told how far it is.

    Raises:
        NotMeasurableError: If no slice has known lungs.
        UnknownNameError: If there is no such network.
        WeightsError: If it has no weights.
    """
    network = cast("Predictor", load_lung_network(system, device))
    runs = find_runs([case for case in cohort.split(split) if case.lungs is not None])
    if not runs:
        raise NotMeasurableError(
            f"no numbered slice with lungs in split '{split}'", "a cohort with lung masks"
        )
    cases = [case for run in runs for case in run]
    seen = count_seen(system, cases, split, tell)
    found: dict[str, list[tuple[float, float, float]]] = {}
    crf_seconds = 0.0
    for done, run in enumerate(runs):
        stack = Stack.of(run)
        gray = np.stack([picture_gray(pixels) for pixels in stack.gray])
        ways = network.views_of(gray, SLICE_PX)
        last = list(ways)[-1]
        begun = time.perf_counter()
        ways[f"{last} + CRF"] = _sharpened(ways[last], gray)
        crf_seconds += time.perf_counter() - begun
        for way, probability in ways.items():
            found.setdefault(way, []).extend(_judge(probability, stack))
        if progress is not None:
            progress(done + 1, len(runs))
    return LungsEvaluation(
        **run_facts(network.card, Path(system)),
        cohort=name,
        split=split,
        cases=len(cases),
        patients=len({case.patient for case in cases}),
        ways={way: _sum_up(rows, cases) for way, rows in found.items()},
        crf_seconds=round(crf_seconds / len(cases), 3),
        seen=seen,
    )


def _sharpened(probability: Probability, gray: Probability) -> Probability:
    return np.stack([refine_probability(p, g) for p, g in zip(probability, gray, strict=True)])


def _judge(probability: Probability, stack: Stack) -> list[tuple[float, float, float]]:
    rows = []
    for likely, lungs in zip(probability, stack.lungs, strict=True):
        found, true = likely > 0.5, (lungs > 0) & (lungs != UNKNOWN)
        rows.append((Overlap.of(found, true).dice, *edge_distance(found, true)))
    return rows


def _sum_up(rows: Sequence[tuple[float, float, float]], cases: Sequence[Case]) -> LungEdges:
    bootstrap = PatientBootstrap([case.patient for case in cases])
    dice, edge_px, near = (
        None if all(map(isnan, values)) else bootstrap.mean(values)
        for values in zip(*rows, strict=True)
    )
    assert dice is not None  # defined on every slice
    return LungEdges(dice=dice, edge_px=edge_px, near=near)

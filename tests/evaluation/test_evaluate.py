import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torchmetrics.functional.classification import binary_auroc

from groundglass.data.cohort import Case
from groundglass.evaluation.as_used import Evaluation, case_overlaps
from groundglass.evaluation.benchmarks import write_benchmarks
from groundglass.evaluation.result import summarize
from groundglass.evaluation.slice_labels import roc_auc
from groundglass.labels import Lesion
from groundglass.systems import Card, list_systems

RESULTS = Path(__file__).parents[2] / "benchmarks"


def test_the_interval_holds_the_mean_and_narrows_with_patients() -> None:
    few, many = summarize([0.5, 0.7, 0.9]), summarize([0.5, 0.7, 0.9] * 30)
    assert few.mean == many.mean == pytest.approx(0.7)
    assert few.low <= 0.7 <= few.high
    assert many.high - many.low < (few.high - few.low) / 2
    assert few.spread == pytest.approx(0.2)


def test_auc_equals_the_share_of_rightly_ordered_pairs() -> None:
    values = np.array([0.0, 3.0, 1.0, 1.0, 5.0])
    positive = np.array([False, True, False, True, False])
    # pairs (3,0) (3,1) right, (3,5) wrong, (1,0) right, (1,1) half, (1,5) wrong
    assert roc_auc(values, positive) == pytest.approx(3.5 / 6, abs=1e-4)


@given(arrays(np.int64, 12, elements=st.integers(0, 4)), arrays(bool, 12))
def test_auc_agrees_with_torchmetrics(values: np.ndarray, positive: np.ndarray) -> None:
    assume(positive.any() and not positive.all())
    theirs = binary_auroc(torch.from_numpy(values / 4), torch.from_numpy(positive.astype(int)))
    assert roc_auc(values, positive) == pytest.approx(theirs.item(), abs=1e-4)


def test_auc_of_one_class_is_not_a_number() -> None:
    assert roc_auc(np.arange(3.0), np.array([True, True, True])) is None


def labeled_case(folder: Path, lesions: np.ndarray, values: str) -> Case:
    cv2.imwrite(str(folder / "image.png"), np.zeros_like(lesions))
    cv2.imwrite(str(folder / "lesions.png"), lesions)
    return Case(
        case="a",
        patient="p",
        split="test",
        image=folder / "image.png",
        lesions=folder / "lesions.png",
        lesions_values=values,
    )


def test_kinds_are_compared_only_where_they_are_known(tmp_path: Path) -> None:
    truth = np.array([[1, 1, 2, 0]], np.uint8)
    found = np.array([[Lesion.GROUND_GLASS, 0, Lesion.CONSOLIDATION, 0]], np.uint8)
    lungs = np.ones_like(truth)
    known = case_overlaps(labeled_case(tmp_path, truth, "1:1 2:2"), lungs, found)
    assert set(known) == {"lesion", "ground_glass", "consolidation"}
    assert known["ground_glass"].dice == pytest.approx(2 / 3)
    assert known["consolidation"].dice == 1
    assert known["lesion"].sensitivity == pytest.approx(2 / 3)
    unknown = case_overlaps(labeled_case(tmp_path, truth, "1:3 2:3"), lungs, found)
    assert set(unknown) == {"lesion"}


@pytest.mark.parametrize("card", list_systems(), ids=lambda card: card.name)
def test_the_metrics_of_a_card_are_those_that_were_stored(card: Card) -> None:
    assert card.weights is None or card.metrics
    for key, value in card.metrics.items():
        assert card.weights is not None
        assert value in stored_values(card.weights.sha256, *key.split("/")), key


def stored_values(
    weights: str, cohort: str, split: str, structure: str, metric: str
) -> list[float]:
    """What results of some weights say of a metric, whatever the protocol."""
    values = []
    for file in sorted(RESULTS.glob("*.json")):
        result = json.loads(file.read_text())
        for one in result.get("evaluations", [result]):
            measured = one.get("weights_sha256"), one.get("cohort"), one.get("split")
            if measured != (weights, cohort, split):
                continue
            lesion = {"lesion": one.get("summary", {})}
            of_structure = one.get("structures", one.get("ways", lesion)).get(structure, {})
            found = of_structure.get("summary", of_structure).get(metric)
            if isinstance(found, dict):
                found = found.get("mean", found.get("value"))
            values.append(found)
    return values


def test_the_benchmarks_page_is_the_one_that_the_results_give(tmp_path: Path) -> None:
    write_benchmarks(RESULTS, tmp_path / "B.md")
    assert (tmp_path / "B.md").read_text() == (RESULTS.parent / "BENCHMARKS.md").read_text()


def test_the_page_shows_what_is_stored(tmp_path: Path) -> None:
    metric = {"mean": 0.8125, "low": 0.7, "high": 0.9, "spread": 0.05}
    names = ("dice", "iou", "sensitivity", "specificity", "precision", "dice_per_slice")
    stored = {
        "system": "baseline_unet",
        "weights_sha256": "0123456789abcdef",
        "cohort": "phantoms",
        "split": "test",
        "cases": 4,
        "patients": 2,
        "structures": {
            "lesion": {
                "summary": dict.fromkeys(names, metric),
                "patients": {"p1": 0.75, "p2": 0.875},
                "slices": 4,
            }
        },
    }
    Evaluation.model_validate(stored)
    (tmp_path / "evaluation-x.json").write_text(json.dumps(stored))
    write_benchmarks(tmp_path, tmp_path / "B.md")
    page = (tmp_path / "B.md").read_text()
    assert "| phantoms | test | 2 | 4 | lesion | 0.812 (0.700 to 0.900), sd 0.050 |" in page
    assert "Inf-Net" not in page
    assert "- `baseline_unet`, phantoms, test, lesion: p1 0.750, p2 0.875" in page
    assert "Speed" not in page


def test_numbers_of_inf_nets_protocol_have_their_intervals_or_their_spread_over_seeds(
    tmp_path: Path,
) -> None:
    names = (
        *("mean_dice", "max_dice", "adaptive_dice", "dice", "pooled_dice", "mean_sensitivity"),
        *("mean_specificity", "released_mean_specificity", "mean_e_measure", "s_measure", "mae"),
    )
    for seed, configuration in ((0, "alone"), (0, "both"), (1, "both")):
        summary = {
            name: {"value": 0.5 + k / 100 + seed / 10, "low": 0.4, "high": 0.7}
            for k, name in enumerate(names)
        }
        stored = {
            "system": "ss_inf_net",
            "weights_sha256": "0123456789abcdef",
            "configuration": configuration,
            "seed": seed,
            "cohort": "phantoms",
            "split": "test",
            "cases": 4,
            "patients": 2,
            "structures": {"lesion": {"summary": summary, "slices": 4, "shown": 3}},
        }
        (tmp_path / f"inf-net-{configuration}-{seed}.json").write_text(json.dumps(stored))
    write_benchmarks(tmp_path, tmp_path / "B.md")
    rows = [line for line in (tmp_path / "B.md").read_text().splitlines() if "phantoms" in line]
    assert len(rows) == 4, "two configurations in each of two tables"
    cells = [[cell.strip() for cell in row.strip("|").split("|")][6:] for row in rows]
    alone, both = cells[0] + cells[2], cells[1] + cells[3]
    assert alone == [f"{0.5 + k / 100:.3f} (0.400 to 0.700)" for k in range(11)]
    assert both == [f"{0.55 + k / 100:.3f} ± 0.071" for k in range(11)]

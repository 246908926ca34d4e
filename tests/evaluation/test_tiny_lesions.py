"""Liu's protocol on hand-made slices."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from groundglass.data.cohort import Case
from groundglass.evaluation.plan import read_plan
from groundglass.evaluation.tiny_lesions import (
    CountedSlice,
    count_lesions,
    lesion_rows,
    sum_up_lesions,
)
from groundglass.metrics.instances import Instance, TrueLesion
from groundglass.metrics.segmentation import Overlap

ROOT = Path(__file__).parents[2]


LESION = TrueLesion(area_px=500, box_score=0.9, mask_score=0.9)


class Finder:
    """Finds the large lesion of a slice, and remembers what it was shown."""

    def __init__(self) -> None:
        self.shown = []

    def find_between(self, pictures):
        self.shown.append([None if p is None else int(p[0, 0]) for p in pictures])
        mask = np.zeros((64, 64), bool)
        mask[10:30, 10:30] = True
        unsure = np.zeros((64, 64), bool)
        unsure[50:56, 50:56] = True
        return [
            Instance((10.0, 10.0, 30.0, 30.0), 0.9, mask),
            Instance((50.0, 50.0, 56.0, 56.0), 0.3, unsure),
        ]


@pytest.fixture
def cases(tmp_path: Path) -> list[Case]:
    """Two neighbors: a large and a tiny lesion, then none."""
    lesions = np.zeros((64, 64), np.uint8)
    lesions[10:30, 10:30] = lesions[50:56, 50:56] = 1
    made = []
    for number, mask in enumerate((lesions, lesions * 0)):
        image, masks = tmp_path / f"{number}.png", tmp_path / f"{number}-lesions.png"
        cv2.imwrite(str(image), np.full((64, 64), 10 + number, np.uint8))
        cv2.imwrite(str(masks), mask)
        made.append(
            Case(
                case=str(number),
                patient="p",
                series="s",
                number=number,
                split="test",
                image=image,
                lesions=masks,
                lesions_values="1:3",
            )
        )
    return made


def test_lesions_are_counted_between_neighbors_and_tiny_ones_apart(cases: list[Case]) -> None:
    finder = Finder()
    counted = count_lesions(finder, cases)
    assert finder.shown == [[None, 10, 11], [10, 11, None]]
    regions, tiny, summary = sum_up_lesions(counted)
    assert (regions, tiny) == (2, 1)
    assert summary["sensitivity"].value == summary["box_sensitivity"].value == 0.5
    assert summary["tiny_sensitivity"].value == 0.0
    assert summary["false_per_slice"].value == 0.5
    assert "sensitivity_at_1" not in summary  # never so many false ones
    assert summary["dice"].value == pytest.approx(2 * 400 / (400 + 436), abs=1e-4)
    assert summary["pooled_dice"].value == pytest.approx(2 * 400 / (800 + 436), abs=1e-4)
    assert summary["accuracy"].value == pytest.approx(400 / 436, abs=1e-4)
    assert [row.metrics["found"] for row in lesion_rows(counted)] == [1, 0]


def test_at_a_number_of_false_instances_the_surest_are_taken() -> None:
    tiny = [TrueLesion(20, 0.0, score) for score in (0.9, 0.7, 0.3, 0.0)]
    false = (0.95, 0.8, 0.5, 0.2, 0.1)
    counted = [
        CountedSlice("x", "p", Overlap(), tuple(tiny[:2]), false[:2]),
        CountedSlice("y", "p", Overlap(), tuple(tiny[2:]), false[2:]),
    ]
    _, _, summary = sum_up_lesions(counted)
    assert summary["tiny_sensitivity"].value == 0.5
    assert summary["false_per_slice"].value == 1.5
    assert summary["tiny_sensitivity_at_1"].value == 0.5  # surer than the third false one, 0.5
    assert summary["tiny_sensitivity_at_2"].value == 0.75  # four false ones are allowed
    assert "tiny_sensitivity_at_4" not in summary


def test_patients_weigh_alike_however_many_slices_they_have() -> None:
    def counted(patient: str, both: int, missed: int) -> CountedSlice:
        return CountedSlice("x", patient, Overlap(both, 0, missed, 0), (LESION,), ())

    slices = [counted("a", 10, 0), counted("a", 0, 10), counted("b", 10, 0)]
    _, _, summary = sum_up_lesions(slices)
    of_a = 2 * 10 / (2 * 10 + 10)
    assert summary["patient_dice"].value == pytest.approx((of_a + 1) / 2, abs=1e-4)
    assert summary["dice"].value == pytest.approx((1 + 0 + 1) / 3, abs=1e-4)


def test_the_plan_of_the_tables_is_read_and_its_rows_build_on_each_other() -> None:
    plan = read_plan(ROOT / "benchmarks" / "plans" / "spatio_temporal_rcnn.yaml")
    assert plan.row("ours").start_from == "temporal-resolver"
    assert {test.cohort for test in plan.data[0].tests if test.protocol == "tiny-lesions"} == {
        "covid-ct-seg",
        "coronal",
        "pasted",
    }

"""Average precision of instances, with a system whose answers are known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from groundglass.data.cohort import Case, Cohort, write_cohort
from groundglass.detections import Detection
from groundglass.errors import CohortError, NotMeasurableError
from groundglass.evaluation.benchmarks import write_benchmarks
from groundglass.evaluation.instances import (
    InstancesEvaluation,
    PackedInstances,
    average_precision,
    instance_rows,
    judge_instances,
)
from groundglass.evaluation.protocols import PROTOCOLS
from groundglass.evaluation.seeds import read_metric
from groundglass.labels import Lesion
from groundglass.systems import load_card

FACTS = {
    "system": "oracle",
    "weights_sha256": "ab" * 32,
    "cohort": "made",
    "split": "test",
    "cases": 2,
    "patients": 1,
}


class Oracle:
    """Finds the left lesion of each slice as it is, and the right one shifted by some pixels."""

    card = load_card("baseline_unet")
    instance_kinds = (Lesion.UNSPECIFIED,)

    def __init__(self, shift: int) -> None:
        self.shift = shift

    def find_instances(self, pixels: np.ndarray) -> list[tuple[Detection, np.ndarray]]:
        found = []
        for first, score, shift in ((4, 0.9, 0), (34, 0.8, self.shift)):
            mask = np.zeros(pixels.shape, bool)
            mask[6:26, first + shift : first + shift + 20] = True
            box = (6.0, first + shift, 26.0, first + shift + 20)
            found.append((Detection(0, box, score, Lesion.UNSPECIFIED), mask))
        return found


@pytest.fixture
def cases(tmp_path: Path) -> tuple[Case, ...]:
    """Two slices with two lesions each, and one speck that is too small to count."""
    import cv2

    mask = np.zeros((32, 60), np.uint8)
    mask[6:26, 4:24] = 1
    mask[6:26, 34:54] = 2
    mask[29, 2:5] = 1
    rows = []
    for name in ("a", "b"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), 40 * mask)
        cv2.imwrite(str(tmp_path / f"{name}-lesions.png"), mask)
        rows.append(
            Case(
                case=name,
                patient="p",
                split="test",
                image=tmp_path / f"{name}.png",
                lesions=tmp_path / f"{name}-lesions.png",
                lesions_values="1:1 2:2",
            )
        )
    write_cohort(rows, tmp_path / "cohort.csv")
    return Cohort.read([tmp_path / "cohort.csv"]).cases


def test_what_is_found_as_it_is_has_an_average_precision_of_one(cases) -> None:
    judged = judge_instances(Oracle(0), cases)
    assert [len(one.true) for one in judged] == [2, 2]
    structures = average_precision(judged)
    assert structures["mask"] == {"ap": 1.0, "ap50": 1.0, "ap75": 1.0}
    assert structures["box"]["ap"] == 1.0
    assert structures["mask by slice"] == {"ap": 1.0, "ap50": 1.0, "ap75": 1.0}
    assert set(structures) == {"mask by slice", "mask", "box"}


def test_an_overlap_of_two_thirds_counts_at_one_half_alone(cases) -> None:
    """20 pixels shifted by 4: 16 / 24. Of the precisions at 101 recalls the first 51 are right."""
    structures = average_precision(judge_instances(Oracle(4), cases))
    assert structures["mask"]["ap50"] == 1.0
    assert structures["mask"]["ap75"] == pytest.approx(51 / 101, abs=1e-4)
    assert structures["mask"]["ap"] == pytest.approx((4 + 6 * 51 / 101) / 10, abs=1e-4)
    assert structures["mask by slice"] == {"ap": 0.7, "ap50": 1.0, "ap75": 0.5}


def test_slices_where_nothing_is_found_count_as_missed(cases) -> None:
    class Blind(Oracle):
        def find_instances(self, pixels: np.ndarray) -> list[tuple[Detection, np.ndarray]]:
            return [] if pixels[29, 2] else super().find_instances(pixels)

    blank = cases[1].model_copy(update={"lesions_values": "1:0 2:0"})
    structures = average_precision(judge_instances(Blind(0), [cases[0], blank]))
    assert structures["mask by slice"]["ap50"] == 0.5, "nothing there and nothing said is right"


class Telling(Oracle):
    """Tells ground-glass opacity from consolidation: the left lesion and the right one."""

    instance_kinds = (Lesion.GROUND_GLASS, Lesion.CONSOLIDATION)

    def find_instances(self, pixels: np.ndarray) -> list[tuple[Detection, np.ndarray]]:
        found = super().find_instances(pixels)
        told = zip(found, self.instance_kinds, strict=True)
        return [(replace(detection, kind=kind), mask) for (detection, mask), kind in told]


def test_masks_that_hide_kinds_are_refused_where_kinds_are_told(cases) -> None:
    """Its finds would count as wrong, however right they are."""
    hiding = [case.model_copy(update={"lesions_values": "1:3 2:3"}) for case in cases]
    with pytest.raises(CohortError, match=r"case 'a' \(2 such cases\), expected kinds"):
        judge_instances(Telling(0), hiding)
    assert average_precision(judge_instances(Oracle(0), hiding))["mask"]["ap"] == 1.0


def test_a_kind_of_which_there_is_nothing_has_no_precision(cases) -> None:
    ground_glass = [case.model_copy(update={"lesions_values": "1:1 2:0"}) for case in cases]
    structures = average_precision(judge_instances(Telling(0), ground_glass))
    assert structures["mask of ground-glass opacity"]["ap"] == 1.0
    assert "mask of consolidation" not in structures
    assert "box of consolidation" not in structures


def test_slices_without_a_mask_are_not_counted(cases) -> None:
    unknown = cases[0].model_copy(
        update={"case": "c", "patient": "q", "lesions": None, "lesions_values": ""}
    )
    judged = judge_instances(Oracle(0), [*cases, unknown])
    assert [one.case for one in judged] == ["a", "b"]
    facts = {**FACTS, "cases": 3, "patients": 2}
    evaluation = PROTOCOLS["instances"].sum_up(facts, judged).evaluation
    assert (evaluation.cases, evaluation.patients) == (2, 1)


def test_a_found_box_with_an_empty_outline_counts_as_wrong(cases) -> None:
    class Wordy(Oracle):
        def find_instances(self, pixels: np.ndarray) -> list[tuple[Detection, np.ndarray]]:
            nothing = Detection(0, (0.0, 0.0, 5.0, 5.0), 0.95, Lesion.UNSPECIFIED, 0.0)
            return [(nothing, np.zeros(pixels.shape, bool)), *super().find_instances(pixels)]

    structures = average_precision(judge_instances(Wordy(0), cases))
    assert structures["box"]["ap50"] == pytest.approx(2 / 3, abs=1e-3)
    assert structures["mask"]["ap50"] == pytest.approx(2 / 3, abs=1e-3)


def test_outlines_are_kept_packed_and_come_back_as_they_were() -> None:
    random = np.random.default_rng(0)
    masks = torch.from_numpy(random.random((3, 64, 48)) > 0.5)
    masks[1] = False
    packed = PackedInstances.of({"labels": torch.tensor([1, 2, 1]), "masks": masks})
    assert torch.equal(packed.unpack()["masks"], masks)
    assert packed.unpack()["labels"].tolist() == [1, 2, 1]
    boxes = torch.zeros(100, 512, 512, dtype=torch.bool)
    boxes[:, 100:200, 100:200] = True
    large = PackedInstances.of({"masks": boxes})
    assert sum(map(len, large.outlines)) < 100_000


def test_a_system_that_finds_no_instances_is_refused(cases) -> None:
    class Silent:
        card = load_card("baseline_unet")

    with pytest.raises(NotMeasurableError, match="finds no instances"):
        judge_instances(Silent(), cases)


def test_the_result_reaches_the_page_and_the_tables_of_plans(cases, tmp_path: Path) -> None:
    judged = judge_instances(Oracle(0), cases)
    measured = PROTOCOLS["instances"].sum_up(FACTS, judged)
    evaluation = measured.evaluation
    assert isinstance(evaluation, InstancesEvaluation)
    assert evaluation.instances == 4
    assert read_metric(evaluation, "mask/ap50") == 1.0
    box = read_metric(evaluation, "box/ap50")
    assert box is not None
    assert read_metric(evaluation, "mask+box/ap50") == pytest.approx((1 + box) / 2)
    assert read_metric(evaluation, "mask+mask of consolidation/ap") is None
    assert read_metric(evaluation, "mask of consolidation/ap") is None
    assert [row.metrics for row in instance_rows(judged)] == [{"instances": 2.0, "found": 2.0}] * 2
    (tmp_path / "instances-oracle.json").write_text(evaluation.model_dump_json())
    write_benchmarks(tmp_path, tmp_path / "page.md")
    assert "| mask | 1.000 | 1.000 | 1.000 |" in (tmp_path / "page.md").read_text()

"""Thresholds tried on validation slices."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from groundglass.data.cohort import Case
from groundglass.errors import ConfigError
from groundglass.evaluation import thresholds
from groundglass.evaluation.thresholds import try_thresholds
from groundglass.systems import load_card


class Mapper:
    """Is sure of the lesion, and less so of a rim of four pixels around it."""

    def __init__(self) -> None:
        self.card = load_card("baseline_unet")

    def lesion_probability(self, pixels: np.ndarray) -> np.ndarray:
        probability = np.zeros(pixels.shape, np.float32)
        probability[16:44, 16:44] = 0.65
        probability[20:40, 20:40] = 0.9
        return probability

    def segment(self, *_: object) -> None:
        """Not asked for."""


@pytest.fixture
def case(tmp_path: Path) -> Case:
    lesions = np.zeros((64, 64), np.uint8)
    lesions[20:40, 20:40] = 255
    cv2.imwrite(str(tmp_path / "image.png"), np.full((64, 64), 50, np.uint8))
    cv2.imwrite(str(tmp_path / "lesions.png"), lesions)
    return Case(
        case="a",
        patient="p",
        split="val",
        image=tmp_path / "image.png",
        lesions=tmp_path / "lesions.png",
        lesions_values="255:3",
    )


@pytest.fixture(autouse=True)
def mapper(monkeypatch: pytest.MonkeyPatch) -> Mapper:
    made = Mapper()
    monkeypatch.setattr(thresholds, "load_system", lambda *_: made)
    return made


def test_a_threshold_over_the_rim_fits_best(case: Case) -> None:
    told: list[tuple[int, int]] = []
    tried = try_thresholds("x", [case], (0.5, 0.7), progress=lambda *at: told.append(at))
    assert [one.patient_dice for one in tried] == [
        pytest.approx(2 * 400 / (400 + 784), abs=1e-4),
        1.0,
    ]
    assert told == [(1, 2), (2, 2)]


@pytest.mark.parametrize("split", ["train", "test"])
def test_thresholds_are_chosen_on_validation_patients_alone(case: Case, split: str) -> None:
    with pytest.raises(ConfigError, match="expected val"):
        try_thresholds("x", [case.model_copy(update={"split": split})])


def test_below_one_half_counts_what_the_threshold_makes_lesion(
    case: Case, mapper: Mapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    lesion = np.zeros((64, 64), np.float32)
    lesion[20:40, 20:40] = 0.45
    monkeypatch.setattr(mapper, "lesion_probability", lambda _: lesion)
    tried = try_thresholds("x", [case], (0.3, 0.4, 0.5))
    assert [one.patient_dice for one in tried] == [1.0, 1.0, 0.0]
    assert [one.summary["sensitivity"].value for one in tried] == [1.0, 1.0, 0.0]


def test_a_threshold_is_a_probability(case: Case) -> None:
    with pytest.raises(ConfigError, match="between 0 and 1"):
        try_thresholds("x", [case], (1.2,))

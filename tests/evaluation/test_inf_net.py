from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from groundglass.errors import NotMeasurableError
from groundglass.evaluation.inf_net import (
    by_structure,
    most_probable_kind,
    sweep_cases,
    swept_cases,
    swept_result,
)
from groundglass.labels import Lesion
from tests.evaluation.slices import SHAPE, KnownSystem, block, write_case

TRUTH = block(np.s_[2:4], np.s_[3:8])  # ten pixels


def test_every_number_of_two_slices_is_as_worked_by_hand(tmp_path: Path) -> None:
    """Slice a is found with certainty; on b, without lesion, five pixels have 0.25."""
    cases = [write_case(tmp_path, "a", TRUTH), write_case(tmp_path, "b", patient="q")]
    weak = block(np.s_[0:1], np.s_[0:5]) * np.float32(0.25)
    swept = by_structure(sweep_cases(KnownSystem([TRUTH.astype(np.float32), weak]), cases))
    result = swept_result(swept["lesion"])
    found = {name: estimate.value for name, estimate in result.summary.items()}
    assert (result.slices, result.shown) == (2, 1)
    # at threshold 0 all 80 pixels are found, at 1 to 255 the ten true ones
    dice = (2 * 10 / 90 + 255) / 256
    assert found["mean_dice"] == pytest.approx(dice, abs=1e-4)
    assert found["max_dice"] == found["dice"] == found["adaptive_dice"] == 1
    assert found["mean_sensitivity"] == 1
    # b: at 0 none left alone, up to 63/255 all but five, then all
    specificity = ((255 / 256) + (63 * 75 / 80 + 192) / 256) / 2
    assert found["mean_specificity"] == pytest.approx(specificity, abs=1e-4)
    assert found["mae"] == pytest.approx((0 + 5 * 0.25 / 80) / 2, abs=1e-4)
    assert found["s_measure"] == pytest.approx((1 + 1 - 1.25 / 80) / 2, abs=1e-4)
    # the released code counts 0 where no pixel is rightly found, so b is all 0
    assert found["released_mean_dice"] == pytest.approx(dice / 2, abs=1e-4)
    assert found["released_mean_specificity"] == pytest.approx(255 / 256 / 2, abs=1e-4)


def test_a_healthy_slice_is_not_stretched_to_show_a_lesion(tmp_path: Path) -> None:
    case = write_case(tmp_path, "a")
    faint = np.linspace(0, 0.01, 80, dtype=np.float32).reshape(SHAPE)
    (swept,) = sweep_cases(KnownSystem([faint]), [case])
    assert swept["lesion"].overlap.predicted_only == 0
    assert "mean_dice" not in swept_result([swept["lesion"]]).summary


def test_pooled_dice_weighs_pixels_and_dice_weighs_slices(tmp_path: Path) -> None:
    one = block(np.s_[0:1], np.s_[0:1])
    cases = [write_case(tmp_path, "a", TRUTH), write_case(tmp_path, "b", one)]
    system = KnownSystem([TRUTH.astype(np.float32), np.zeros(SHAPE, np.float32)])
    result = swept_result(by_structure(sweep_cases(system, cases))["lesion"])
    assert result.summary["dice"].value == 0.5
    assert result.summary["pooled_dice"].value == pytest.approx(20 / 21, abs=1e-4)


def test_kinds_are_measured_where_they_are_known(tmp_path: Path) -> None:
    known = write_case(tmp_path, "a", TRUTH)
    unknown = write_case(tmp_path, "b", TRUTH, values="1:3")
    probability = TRUTH * np.float32(0.9)
    swept = by_structure(sweep_cases(KnownSystem([probability] * 2, 0.4), [known, unknown]))
    assert {name: len(slices) for name, slices in swept.items()} == {
        "lesion": 2,
        "ground_glass": 1,
        "consolidation": 1,
    }
    assert swept["ground_glass"][0].overlap.dice == 1
    assert swept["consolidation"][0].overlap.both == 0


def test_the_most_probable_of_both_kinds_and_background_is_chosen() -> None:
    kinds = np.array([[[0.45, 0.1, 0.3]], [[0.40, 0.7, 0.3]]], np.float32)
    expected = [[Lesion.GROUND_GLASS, Lesion.CONSOLIDATION, 0]]
    assert most_probable_kind(kinds).tolist() == expected


def test_patients_are_resampled_whole(tmp_path: Path) -> None:
    """Ten slices of one good patient and ten of a bad one: the interval spans both."""
    cases = [write_case(tmp_path, f"{p}{k}", TRUTH, patient=p) for p in "ab" for k in range(10)]
    maps = [TRUTH.astype(np.float32)] * 10 + [np.zeros(SHAPE, np.float32)] * 10
    result = swept_result(by_structure(sweep_cases(KnownSystem(maps), cases))["lesion"])
    dice = result.summary["dice"]
    assert (dice.low, dice.value, dice.high) == (0, 0.5, 1)


def test_each_slice_has_a_row(tmp_path: Path) -> None:
    case = write_case(tmp_path, "a", TRUTH, values="1:3")
    swept = by_structure(sweep_cases(KnownSystem([TRUTH.astype(np.float32)]), [case]))
    (row,) = swept_cases(swept)
    assert (row.case, row.patient, row.structure) == ("a", "p", "lesion")
    assert row.metrics["dice"] == 1


def test_a_system_without_probabilities_is_refused(tmp_path: Path) -> None:
    silent = SimpleNamespace(card=SimpleNamespace(name="silent"), device="cpu")
    with pytest.raises(NotMeasurableError, match=r"silent.*as-used"):
        sweep_cases(silent, [write_case(tmp_path, "a", TRUTH)])

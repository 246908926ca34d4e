import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from groundglass.metrics.segmentation import Overlap
from groundglass.metrics.threshold_sweep import (
    THRESHOLDS,
    ThresholdSweep,
    adaptive_threshold,
    mean_absolute_error,
)

maps = arrays(np.float32, (5, 6), elements=st.integers(0, 51).map(lambda k: k / 51))
masks = arrays(bool, (5, 6))

PROBABILITY = np.array([[0.0, 0.5], [1.0, 0.25]], np.float32)
TRUE = np.array([[False, True], [True, False]])


def test_dice_is_averaged_over_the_thresholds_as_worked_by_hand() -> None:
    # at 0 all 4 pixels are found, up to 63/255 three, up to 127/255 the two true ones, then one
    dice = ThresholdSweep.of(PROBABILITY, TRUE).dice
    assert dice[[0, 63, 64, 127, 128, 255]] == pytest.approx([2 / 3, 0.8, 1, 1, 2 / 3, 2 / 3])
    assert dice.mean() == pytest.approx((2 / 3 + 63 * 0.8 + 64 * 1 + 128 * 2 / 3) / 256)


def test_sensitivity_and_specificity_are_averaged_as_worked_by_hand() -> None:
    sweep = ThresholdSweep.of(PROBABILITY, TRUE)
    assert sweep.sensitivity.mean() == pytest.approx((128 * 1 + 128 * 0.5) / 256)
    assert sweep.specificity.mean() == pytest.approx((0 + 63 * 0.5 + 192 * 1) / 256)


@given(maps, masks)
def test_each_threshold_gives_what_cutting_there_gives(
    probability: np.ndarray, true: np.ndarray
) -> None:
    sweep = ThresholdSweep.of(probability, true)
    for k in range(0, 256, 15):
        cut = Overlap.of(probability.astype(np.float64) >= THRESHOLDS[k], true)
        for name in ("dice", "sensitivity", "specificity", "precision"):
            assert getattr(sweep, name)[k] == pytest.approx(getattr(cut, name))


@given(maps, masks)
def test_counts_alone_give_the_alignment_of_the_pixels(
    probability: np.ndarray, true: np.ndarray
) -> None:
    measured = ThresholdSweep.of(probability, true).e_measure
    for k in range(0, 256, 15):
        found = probability.astype(np.float64) >= THRESHOLDS[k]
        assert measured[k] == pytest.approx(alignment(found, true), abs=1e-9)


def alignment(found: np.ndarray, true: np.ndarray) -> float:
    """The definition, pixel by pixel."""
    if not true.any() or true.all():
        return float((found == true).mean())
    p, t = found - found.mean(), true - true.mean()
    return float((((1 + 2 * p * t / (p**2 + t**2)) ** 2) / 4).mean())


def test_the_alignment_is_as_worked_by_hand() -> None:
    # found one of two: aligned 12/13 where found, -0.8 where missed, 0.8 on the two others
    found = np.array([[1, 0, 0, 0]], np.float32)
    true = np.array([[True, True, False, False]])
    expected = ((25 / 13) ** 2 / 4 + 0.2**2 / 4 + 2 * 1.8**2 / 4) / 4
    assert ThresholdSweep.of(found, true).e_measure[128] == pytest.approx(expected)


def test_a_mask_is_wholly_aligned_with_itself_and_not_at_all_with_its_opposite() -> None:
    assert ThresholdSweep.of(TRUE.astype(np.float32), TRUE).e_measure[200] == pytest.approx(1)
    assert ThresholdSweep.of((~TRUE).astype(np.float32), TRUE).e_measure[200] == pytest.approx(0)


def test_a_slice_without_lesion_counts_what_is_left_alone() -> None:
    sweep = ThresholdSweep.of(PROBABILITY, np.zeros_like(TRUE))
    assert sweep.e_measure[[0, 128, 255]] == pytest.approx([0, 0.75, 0.75])


def test_the_adaptive_threshold_is_twice_the_mean_and_at_most_one() -> None:
    assert adaptive_threshold(PROBABILITY) == pytest.approx(2 * 1.75 / 4)
    assert adaptive_threshold(np.full((2, 2), 0.7, np.float32)) == 1


def test_the_mean_absolute_error_is_as_worked_by_hand() -> None:
    assert mean_absolute_error(PROBABILITY, TRUE) == pytest.approx((0 + 0.5 + 0 + 0.25) / 4)

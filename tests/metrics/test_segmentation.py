import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torchmetrics.functional.classification import (
    binary_f1_score,
    binary_jaccard_index,
    binary_matthews_corrcoef,
    binary_precision,
    binary_recall,
    binary_specificity,
)

from groundglass.metrics.segmentation import Overlap

masks = arrays(bool, (6, 7))


@given(masks, masks)
def test_overlaps_agree_with_torchmetrics(predicted: np.ndarray, true: np.ndarray) -> None:
    overlap = Overlap.of(predicted, true)
    p, t = torch.from_numpy(predicted.astype(int)), torch.from_numpy(true.astype(int))
    for ours, theirs, defined in (
        (overlap.dice, binary_f1_score, (predicted | true).any()),
        (overlap.iou, binary_jaccard_index, (predicted | true).any()),
        (overlap.sensitivity, binary_recall, true.any()),
        (overlap.specificity, binary_specificity, (~true).any()),
        (overlap.precision, binary_precision, predicted.any()),
    ):
        expected = theirs(p, t).item() if defined else 1.0
        assert ours == pytest.approx(expected, abs=1e-6)


@given(masks, masks)
def test_mcc_agrees_with_torchmetrics(predicted: np.ndarray, true: np.ndarray) -> None:
    assume(0 < predicted.sum() < predicted.size)
    assume(0 < true.sum() < true.size)
    p, t = torch.from_numpy(predicted.astype(int)), torch.from_numpy(true.astype(int))
    theirs = binary_matthews_corrcoef(p, t).item()
    assert Overlap.of(predicted, true).mcc == pytest.approx(theirs, abs=1e-6)


def test_mcc_is_as_worked_by_hand() -> None:
    overlap = Overlap(both=3, predicted_only=1, true_only=2, neither=4)
    assert overlap.mcc == pytest.approx((3 * 4 - 1 * 2) / np.sqrt(4 * 5 * 5 * 6))


def test_mcc_of_an_empty_mask_says_whether_both_are_empty() -> None:
    assert Overlap(neither=9).mcc == 1
    assert Overlap(predicted_only=1, neither=8).mcc == 0


def test_the_volume_error_is_a_share_of_the_true_volume() -> None:
    assert Overlap(both=6, predicted_only=1, true_only=2).volume_error == pytest.approx(-1 / 8)
    assert np.isnan(Overlap(predicted_only=1).volume_error)


@given(masks, masks)
def test_dice_is_symmetric(a: np.ndarray, b: np.ndarray) -> None:
    assert Overlap.of(a, b).dice == Overlap.of(b, a).dice


@given(masks, masks, st.integers(0, 6))
def test_parts_add_up_to_the_whole(a: np.ndarray, b: np.ndarray, cut: int) -> None:
    parts = Overlap.of(a[:cut], b[:cut]) + Overlap.of(a[cut:], b[cut:])
    assert parts == Overlap.of(a, b)


def test_two_empty_masks_agree_wholly() -> None:
    empty = np.zeros((3, 3), bool)
    assert Overlap.of(empty, empty).dice == 1


def test_a_found_lesion_where_none_is_agrees_not_at_all() -> None:
    empty = np.zeros((3, 3), bool)
    assert Overlap.of(~empty, empty).dice == 0

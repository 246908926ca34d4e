"""Average precision of one slice, by hand-worked rankings."""

import numpy as np
import pytest

from groundglass.metrics.slice_precision import overlaps_of_masks, slice_precision


def precision(overlaps, scores, kinds=None, at=0.5):
    found = np.array(overlaps, float).reshape(len(scores), -1)
    same = np.ones(found.shape, bool) if kinds is None else np.array(kinds)
    return slice_precision(found, same, np.array(scores), at)


def test_a_wrong_one_that_is_surer_halves_the_precision():
    assert precision([[0.9], [0.0]], [0.9, 0.8]) == 1.0
    assert precision([[0.9], [0.0]], [0.8, 0.9]) == 0.5


def test_a_missed_lesion_costs_its_share():
    assert precision([[0.9, 0.0, 0.0], [0.0, 0.8, 0.0]], [0.9, 0.5]) == pytest.approx(2 / 3)


def test_precision_is_the_best_that_is_reached_from_there_on():
    """Right, wrong, right, right of 3: precisions 1, 2/3, 3/4 count as 1, 3/4, 3/4."""
    overlaps = np.zeros((4, 3))
    overlaps[0, 0] = overlaps[2, 1] = overlaps[3, 2] = 0.7
    assert precision(overlaps, [0.9, 0.8, 0.7, 0.6]) == pytest.approx((1 + 2 * 0.75) / 3)


def test_of_two_on_one_lesion_the_better_outline_counts_and_the_other_is_wrong():
    assert precision([[0.6], [0.9]], [0.9, 0.8]) == 0.5


def test_an_overlap_must_be_exceeded_and_the_kind_be_right():
    assert precision([[0.5]], [0.9]) == 0.0
    assert precision([[0.74]], [0.9], at=0.75) == 0.0
    assert precision([[0.9]], [0.9], kinds=[[False]]) == 0.0


def test_an_empty_slice_is_right_only_where_nothing_is_found():
    assert slice_precision(np.zeros((0, 0)), np.zeros((0, 0), bool), np.zeros(0), 0.5) == 1.0
    assert slice_precision(np.zeros((0, 2)), np.zeros((0, 2), bool), np.zeros(0), 0.5) == 0.0
    assert slice_precision(np.zeros((2, 0)), np.zeros((2, 0), bool), np.ones(2), 0.5) == 0.0


def test_overlaps_of_masks_are_intersections_over_unions():
    first, second = np.zeros((2, 4, 4), bool)
    first[:2], second[1:3] = True, True
    overlaps = overlaps_of_masks(np.stack([first, np.zeros_like(first)]), np.stack([second]))
    assert overlaps.tolist() == [[pytest.approx(1 / 3)], [0.0]]
    nothing = np.zeros((0, 4, 4), bool)
    assert overlaps_of_masks(nothing, np.stack([second])).shape == (0, 1)
    assert overlaps_of_masks(np.stack([second]), nothing).shape == (1, 0)

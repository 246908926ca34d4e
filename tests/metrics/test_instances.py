"""Lesions as instances, judged by hand-worked overlaps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from groundglass.metrics.instances import (
    TINY_PX,
    Instance,
    as_instances,
    connected_lesions,
    judge,
)


def square(top, left, side, size=64):
    mask = np.zeros((size, size), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def instance(mask, score=0.9):
    rows, columns = np.nonzero(mask)
    box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    return Instance(tuple(float(edge) for edge in box), score, mask)


def test_tiny_is_below_154_pixels_of_a_slice_of_512():
    assert pytest.approx(154.66, abs=0.01) == TINY_PX


def test_a_lesion_is_found_from_more_than_half_of_the_union():
    true = square(10, 10, 10)
    half = true & (np.arange(64) < 15)  # 50 of 100 pixels: not more than half
    more = true & (np.arange(64) < 16)
    assert not judge([instance(half)], true)[0][0].mask_score
    (lesion,), wrong = judge([instance(more)], true)
    assert lesion.mask_score == lesion.box_score == 0.9
    assert lesion.tiny
    assert wrong == []


def test_a_box_can_find_what_a_mask_misses():
    true = square(10, 10, 10)
    sparse = true & (np.indices(true.shape).sum(0) % 3 == 0)
    sparse[10, 10] = sparse[19, 19] = True
    (lesion,), wrong = judge([instance(sparse)], true)
    assert lesion.box_score == 0.9
    assert lesion.mask_score == 0
    assert wrong == [0.9]


def test_what_finds_a_speck_of_the_truth_is_not_false():
    speck = square(5, 5, 1)
    lesions, wrong = judge([instance(speck), instance(square(40, 40, 3), 0.2)], speck, 4)
    assert (lesions, wrong) == ([], [0.2])


def test_the_surest_of_several_instances_counts():
    true = square(10, 10, 10)
    found = [instance(square(30, 30, 5), 0.8), instance(true, 0.4), instance(true, 0.6)]
    (lesion,), wrong = judge(found, true)
    assert lesion.mask_score == lesion.box_score == 0.6
    assert wrong == [0.8]


def test_without_instances_nothing_is_found_and_nothing_is_wrong():
    (lesion,), wrong = judge([], square(3, 3, 20))
    assert (lesion.box_score, lesion.mask_score, lesion.tiny, wrong) == (0, 0, False, [])
    assert judge([instance(square(1, 1, 4))], np.zeros((64, 64), bool)) == ([], [0.9])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_connected_lesions_are_those_of_another_implementation(seed):
    mask = np.random.default_rng(seed).random((20, 24)) < 0.3
    boxes, masks = connected_lesions(mask)
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    assert len(masks) == count
    np.testing.assert_array_equal(masks.any(0), mask)
    assert masks.sum() == mask.sum()
    assert [int(m.sum()) for m in masks] == sorted((int(m.sum()) for m in masks), reverse=True)
    expected = {
        (s[1].start, s[0].start, s[1].stop, s[0].stop) for s in ndimage.find_objects(labels)
    }
    assert {tuple(box) for box in boxes.astype(int).tolist()} == expected


def test_what_equals_the_truth_finds_all_of_it():
    true = square(2, 2, 5) | square(30, 30, 20)
    found = as_instances(true.astype(np.float32))
    lesions, wrong = judge(found, true)
    assert [lesion.mask_score for lesion in lesions] == [1, 1]
    assert [lesion.tiny for lesion in lesions] == [False, True]
    assert wrong == []

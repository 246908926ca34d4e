from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundglass.scan import CTSlices, Source
from groundglass.write.key_slices import is_a_series, key_pictures, key_slices
from groundglass.write.slices import SliceRow


def rows(opacities, lung=1000, effusion=None):
    return [
        SliceRow(
            index=i,
            lung_pixels={"right lung": lung, "left lung": 0},
            opacity_pixels={"right lung": n, "left lung": 0},
            lesion_pixels={"pleural effusion": effusion[i]} if effusion else {},
        )
        for i, n in enumerate(opacities)
    ]


def test_the_slice_with_most_lesion_is_always_among_them():
    opacities = [0] * 20 + [5, 9, 30, 9, 5] + [0] * 30 + [1, 2, 1] + [0] * 10
    assert key_slices(rows(opacities), 6, 5.0) == [20, 22, 24, 56]


def test_neighbors_are_not_repeated():
    chosen = key_slices(rows([100] * 60), 6, 2.0)
    assert len(chosen) == 6
    assert min(np.diff(chosen)) >= 5


def test_a_lesion_on_one_slice_gives_one_slice():
    assert key_slices(rows([0] * 9 + [4] + [0] * 9), 6, 2.0) == [9]


def test_without_lesion_slices_spread_over_the_lungs():
    lungs = rows([0] * 70)
    lungs[:10] = [row.model_copy(update={"lung_pixels": {"right lung": 0}}) for row in lungs[:10]]
    assert key_slices(lungs, 6, 2.0) == [15, 25, 35, 45, 55, 65]


def test_an_effusion_alone_chooses_the_slices_that_show_it():
    assert key_slices(rows([0] * 30, effusion=[0] * 20 + [9] + [0] * 9), 6, 2.0) == [20]


@pytest.mark.parametrize("opacities", [[0], [7]])
def test_one_slice_is_chosen(opacities):
    assert key_slices(rows(opacities), 6, 2.0) == [0]


@given(st.lists(st.integers(0, 50), min_size=1, max_size=60), st.floats(0.4, 12.0))
def test_key_slices_are_few_rising_and_carry_lesion(opacities, spacing_mm):
    chosen = key_slices(rows(opacities), 6, spacing_mm)
    assert 1 <= len(chosen) <= 6
    assert chosen == sorted(set(chosen))
    if any(opacities):
        assert all(opacities[i] for i in chosen)
        assert max(opacities) in [opacities[i] for i in chosen]
        assert all(b - a >= 10.0 / spacing_mm for a, b in pairwise(chosen))


def test_few_pictures_are_all_shown():
    assert key_pictures(rows([0, 3, 0]), 5) == [0, 1, 2]


def test_of_many_pictures_those_with_the_greatest_share_are_shown_in_order():
    many = rows([1, 0, 9, 0, 5])
    many[4] = many[4].model_copy(update={"lung_pixels": {"right lung": 10}})
    assert key_pictures(many, 2) == [2, 4]
    assert key_pictures(many, 1) == [4]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("scan_001", "scan_002", "scan_010"), True),
        (("p3 slice 1", "p3 slice 2"), True),
        (("7", "8", "9"), True),
        (("scan_2", "scan_1"), False),
        (("p1_1", "p2_2"), False),
        (("a", "b"), False),
        (("scan_1", "other_2"), False),
        (("only_1",), False),
    ],
)
def test_a_series_is_told_by_its_names(names, expected):
    same = [np.zeros((4, 4), np.uint8)] * len(names)
    assert is_a_series(CTSlices(names, same, Source("x", "pictures"))) is expected


def test_pictures_of_different_sizes_are_no_series():
    sizes = [np.zeros((4, 4), np.uint8), np.zeros((4, 5), np.uint8)]
    assert not is_a_series(CTSlices(("s1", "s2"), sizes, Source("x", "pictures")))

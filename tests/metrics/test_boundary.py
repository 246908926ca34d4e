"""Distance of edges."""

import numpy as np
import pytest

from groundglass.metrics.boundary import edge_distance


def box(first: int, last: int) -> np.ndarray:
    mask = np.zeros((20, 20), bool)
    mask[first:last, first:last] = True
    return mask


def test_the_same_mask_is_no_distance_away() -> None:
    assert edge_distance(box(5, 12), box(5, 12)) == (0, 1)


def test_distances_are_as_worked_out_by_hand() -> None:
    """Single pixels, 3 down and 4 across: each is 5 from the other."""
    one, two = np.zeros((20, 20), bool), np.zeros((20, 20), bool)
    one[4, 4] = two[7, 8] = True
    assert edge_distance(one, two) == (5, 0)
    assert edge_distance(one, two, near=5) == (5, 1)


def test_an_edge_moved_out_by_one_is_near() -> None:
    mean, near = edge_distance(box(5, 12), box(4, 13))
    assert 1 <= mean < 1.2
    assert near == 1


def test_without_a_mask_there_is_no_distance() -> None:
    assert np.isnan(edge_distance(box(5, 12), np.zeros((20, 20), bool))).all()
    assert edge_distance(np.ones((4, 4), bool), np.ones((4, 4), bool)) == pytest.approx((0, 1))

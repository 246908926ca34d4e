"""Lesions that were found twice."""

import numpy as np

from groundglass.systems.overlapping import keep_apart

EVERYWHERE = np.s_[:, :]


def strip(first: int, last: int) -> np.ndarray:
    mask = np.zeros((4, 20), bool)
    mask[:, first:last] = True
    return mask


def test_a_pixel_belongs_to_the_surest_and_a_second_look_is_left_out() -> None:
    masks = [strip(0, 10), strip(8, 16), strip(1, 9), strip(17, 20)]
    first, second, again, other = keep_apart(((EVERYWHERE, m) for m in masks), (4, 20))
    assert (first == masks[0]).all()
    assert (second == strip(10, 16)).all()
    assert again is None
    assert (other == masks[3]).all()


def test_parts_of_a_slice_lie_where_they_belong() -> None:
    part = np.s_[1:3, 5:9]
    inside = np.ones((2, 4), bool)
    again = np.zeros((4, 20), bool)
    again[part] = True
    whole, nothing = keep_apart([(part, inside), (EVERYWHERE, again)], (4, 20))
    assert whole is not None
    assert whole.all()
    assert nothing is None

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from groundglass.data.sides import tell_sides
from groundglass.labels import Lung


def two_lungs(gap: int) -> np.ndarray:
    """Two lungs of different size, the right one on the left of the picture."""
    lungs = np.zeros((60, 100), np.uint8)
    lungs[10:50, 5:45] = 1
    lungs[15:45, 45 + gap : 92] = 1
    return lungs


@given(st.integers(1, 15))
def test_the_right_lung_lies_on_the_left_of_the_picture(gap: int) -> None:
    sides = tell_sides(two_lungs(gap))
    assert sides is not None
    assert (sides[10:50, 5:45] == Lung.RIGHT).all()
    assert (sides[15:45, 45 + gap : 92] == Lung.LEFT).all()


def test_a_mirrored_mask_has_mirrored_sides() -> None:
    sides, mirrored = tell_sides(two_lungs(6)), tell_sides(two_lungs(6)[:, ::-1].copy())
    assert sides is not None
    assert mirrored is not None
    swapped = np.array([0, Lung.LEFT, Lung.RIGHT])[sides]
    np.testing.assert_array_equal(mirrored, swapped[:, ::-1])


def test_touching_lungs_are_cut_where_they_are_thinnest() -> None:
    lungs = two_lungs(6)
    lungs[20:24, 45:51] = 1
    sides = tell_sides(lungs)
    assert sides is not None
    assert (sides > 0).sum() == lungs.sum()
    assert (sides[10:50, 5:45] == Lung.RIGHT).all()
    assert (sides[15:45, 52:92] == Lung.LEFT).all()


def test_the_side_of_a_lone_lung_is_not_guessed() -> None:
    lungs = np.zeros((60, 100), np.uint8)
    lungs[10:50, 5:45] = 1
    assert tell_sides(lungs) is None


def test_no_lung_has_no_side() -> None:
    sides = tell_sides(np.zeros((10, 10), np.uint8))
    assert sides is not None
    assert not sides.any()

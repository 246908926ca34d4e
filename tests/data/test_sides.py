from pathlib import Path

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from groundglass.data.case import Case
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


def sides_of(folder: Path, mask: np.ndarray, values: str) -> np.ndarray | None:
    for name, pixels in (("image", np.zeros_like(mask)), ("lungs", mask)):
        cv2.imwrite(str(folder / f"{name}.png"), pixels)
    made = Case(
        case="a",
        patient="p",
        split="train",
        image=folder / "image.png",
        lungs=folder / "lungs.png",
        lungs_values=values,
    )
    return made.read_sides()


def test_sides_that_the_values_name_are_not_guessed(tmp_path: Path) -> None:
    lungs = two_lungs(6)
    mask = np.where(tell_sides(lungs) == Lung.RIGHT, 7, 9 * lungs).astype(np.uint8)
    right_is_right = sides_of(tmp_path, mask, "7:right 9:left")
    np.testing.assert_array_equal(right_is_right, tell_sides(lungs))
    turned = sides_of(tmp_path, mask, "7:left 9:right")
    assert turned is not None
    np.testing.assert_array_equal(turned == Lung.LEFT, mask == 7)
    np.testing.assert_array_equal(turned == Lung.RIGHT, mask == 9)


def test_the_side_of_a_lone_part_is_known_where_it_has_a_name(tmp_path: Path) -> None:
    mask = np.zeros((20, 30), np.uint8)
    mask[5:15, 3:9] = 1
    named = sides_of(tmp_path, mask, "1:left")
    np.testing.assert_array_equal(named, mask * Lung.LEFT)
    assert sides_of(tmp_path, mask, "1:both") is None


def test_values_that_mean_both_lungs_are_told_apart(tmp_path: Path) -> None:
    lungs = two_lungs(6)
    np.testing.assert_array_equal(sides_of(tmp_path, lungs, "1:both"), tell_sides(lungs))

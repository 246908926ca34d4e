import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundglass.geometry.frame import Box, Frame

sides = st.integers(20, 90)


def smooth_picture(rows: int, columns: int) -> np.ndarray:
    y, x = np.mgrid[:rows, :columns]
    return (0.5 + 0.4 * np.sin(x / 9) * np.cos(y / 11)).astype(np.float32)


@given(sides, sides)
def test_to_the_input_and_back_is_the_same_picture(rows: int, columns: int) -> None:
    picture = smooth_picture(rows, columns)
    frame = Frame.fit(Box.whole(picture.shape), picture.shape, (256, 256))
    restored = frame.restore(frame.gray(picture))
    inner = np.s_[2:-2, 2:-2]
    np.testing.assert_allclose(restored[inner], picture[inner], atol=0.02)


@given(sides, sides)
def test_a_pixel_lands_where_the_matrix_says(rows: int, columns: int) -> None:
    box = Box(3, 5, rows - 2, columns - 1)
    frame = Frame.fit(box, (rows, columns), (96, 128))
    center = frame.matrix @ [(box.left + box.right - 1) / 2, (box.top + box.bottom - 1) / 2, 1]
    np.testing.assert_allclose(center, [127 / 2, 95 / 2])


def test_proportions_are_kept_and_the_rest_is_filled() -> None:
    frame = Frame.fit(Box.whole((50, 50)), (50, 50), (100, 200))
    gray = frame.gray(np.zeros((50, 50), np.float32), fill=0.7)
    assert (gray[:, :45] == np.float32(0.7)).all()
    assert (gray[5:95, 55:145] == 0).all()
    assert frame.scale == pytest.approx(2)


def test_labels_stay_whole_numbers() -> None:
    mask = np.zeros((40, 40), np.uint8)
    mask[10:20, 25:35] = 3
    frame = Frame.fit(Box.whole(mask.shape), mask.shape, (64, 96))
    assert set(np.unique(frame.labels(mask))) == {0, 3}


def test_beyond_the_frame_nothing_is_restored() -> None:
    frame = Frame.fit(Box(10, 10, 20, 20), (40, 40), (64, 64))
    restored = frame.restore(np.ones((64, 64), np.float32))
    assert restored[15, 15] == 1
    assert restored[:5].max() == 0


def test_an_empty_mask_has_no_box() -> None:
    assert Box.around(np.zeros((5, 5), bool)) is None


def test_a_box_stays_inside_the_picture() -> None:
    mask = np.zeros((20, 30), bool)
    mask[0:10, 20:30] = True
    assert Box.around(mask, margin=0.2) == Box(0, 18, 12, 30)

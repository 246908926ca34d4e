import numpy as np
import pytest

from groundglass.intensity import (
    LUNG_WINDOW_HU,
    TISSUE_GRAY,
    picture_gray,
    read_picture_window,
    window_hu,
)


def slice_hu() -> np.ndarray:
    """A crude slice: tissue with two lungs and some bone."""
    random = np.random.default_rng(0)
    hu = random.normal(40, 15, (120, 160))
    hu[30:90, 15:70] = random.normal(-850, 30, (60, 55))
    hu[30:90, 90:145] = random.normal(-850, 30, (60, 55))
    hu[95:110, 70:90] = 400
    return hu


def as_picture(hu: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.clip((hu - low) / (high - low) * 255, 0, 255).astype(np.uint8)


def test_the_ends_of_the_window_are_black_and_white() -> None:
    low, high = LUNG_WINDOW_HU
    gray = window_hu(np.array([low - 500, low, (low + high) / 2, high, high + 500]))
    np.testing.assert_allclose(gray, [0, 0, 0.5, 1, 1])


def test_soft_tissue_has_the_gray_that_fills_borders() -> None:
    assert window_hu(np.array([40.0]))[0] == pytest.approx(TISSUE_GRAY, abs=0.005)


def test_a_lung_windowed_picture_is_taken_as_it_stands() -> None:
    picture = as_picture(slice_hu(), *LUNG_WINDOW_HU)
    assert not read_picture_window(picture).full_range
    np.testing.assert_allclose(picture_gray(picture), picture / 255, atol=1e-6)


def test_a_full_range_picture_comes_to_the_gray_of_its_hounsfield_units() -> None:
    hu = slice_hu()
    picture = as_picture(hu, -1024, 1690)
    assert read_picture_window(picture).full_range
    lung = (hu > -1000) & (hu < 100)
    difference = picture_gray(picture)[lung] - window_hu(hu)[lung]
    assert abs(difference.mean()) < 0.02
    assert difference.std() < 0.02


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_picture_of_one_gray_has_a_finite_gray(value: int) -> None:
    assert np.isfinite(picture_gray(np.full((20, 30), value, np.uint8))).all()

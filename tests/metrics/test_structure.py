import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from groundglass.metrics.structure import structure_measure
from groundglass.metrics.threshold_sweep import ThresholdSweep

maps = arrays(np.float32, (5, 6), elements=st.integers(0, 16).map(lambda k: k / 16))
masks = arrays(bool, (5, 6))


def test_an_even_map_is_as_worked_by_hand() -> None:
    # inside and outside 2 x 0.5 / (0.25 + 1) = 0.8; the four parts are single pixels, so flat: 1
    true = np.array([[True, False], [False, False]])
    even = np.full((2, 2), 0.5, np.float32)
    assert structure_measure(even, true) == pytest.approx(0.5 * 0.8 + 0.5 * 1)
    assert structure_measure(even, true, alpha=1) == pytest.approx(0.8)


def test_a_found_pixel_too_many_is_as_worked_by_hand() -> None:
    true = np.array([[True, False, False, False]])
    found = np.array([[1, 0, 0, 1]], np.float32)
    # outside, 1 - x is 1, 1, 0: mean 2/3, standard deviation sqrt(1/3)
    outside = 2 * (2 / 3) / ((2 / 3) ** 2 + 1 + np.sqrt(1 / 3))
    # cut behind the true pixel: the first part is alike, the second varies where truth does not
    expected = 0.5 * (0.25 * 1 + 0.75 * outside) + 0.5 * (0.25 * 1 + 0.75 * 0)
    assert structure_measure(found, true) == pytest.approx(expected)


@given(masks)
def test_a_mask_keeps_its_own_structure(true: np.ndarray) -> None:
    assert structure_measure(true.astype(np.float32), true) == pytest.approx(1)


@given(maps, masks)
def test_it_lies_between_0_and_1(probability: np.ndarray, true: np.ndarray) -> None:
    assert 0 <= structure_measure(probability, true) <= 1 + 1e-9


def test_a_slice_without_lesion_counts_how_dark_the_map_is() -> None:
    assert structure_measure(np.full((3, 3), 0.25, np.float32), np.zeros((3, 3), bool)) == 0.75


def test_it_agrees_with_pysodmetrics() -> None:
    sod = pytest.importorskip("py_sod_metrics", exc_type=ImportError)
    random = np.random.default_rng(0)
    gray = cv2.GaussianBlur(random.random((40, 57)).astype(np.float32), (0, 0), 4)
    levels = np.round(255 * (gray - gray.min()) / np.ptp(gray)).astype(np.uint8)
    smooth = cv2.GaussianBlur(random.random((40, 57)), (0, 0), 4)
    true = smooth > np.quantile(smooth, 0.8)
    probability = (levels / np.float32(255)).astype(np.float32)
    shape, align = sod.Smeasure(), sod.Emeasure()
    for theirs in (shape, align):
        theirs.step(pred=levels, gt=true.astype(np.uint8) * 255)
    assert structure_measure(probability, true) == pytest.approx(
        shape.get_results()["sm"], abs=1e-6
    )
    ours = ThresholdSweep.of(probability, true).e_measure * true.size / (true.size - 1)
    assert ours == pytest.approx(align.get_results()["em"]["curve"], abs=1e-6)

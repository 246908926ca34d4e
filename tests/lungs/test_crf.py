"""The dense conditional random field against sums over all pairs of pixels."""

from itertools import product
from math import exp, log
from time import process_time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundglass.lungs.crf import CrfSettings, refine_probability

SETTINGS = CrfSettings(
    appearance_weight=3.0,
    appearance_px=4.0,
    appearance_gray=0.2,
    smoothness_weight=1.0,
    smoothness_px=1.5,
    iterations=4,
)


def by_all_pairs(probability, gray, crf, sizes):
    """Mean-field inference as equations 1 to 4 say, every pair of pixels by itself."""
    places = np.array(list(product(*map(range, gray.shape)))) * np.asarray(sizes) / sizes[-1]
    apart = ((places[:, None] - places[None]) ** 2).sum(-1)
    unlike = (gray.ravel()[:, None] - gray.ravel()[None]) ** 2
    appearance = np.exp(-apart / (2 * crf.appearance_px**2) - unlike / (2 * crf.appearance_gray**2))
    smoothness = np.exp(-apart / (2 * crf.smoothness_px**2))
    unary = -np.log(np.clip([1 - probability.ravel(), probability.ravel()], 1e-4, 1))
    current = np.exp(-unary)
    for _ in range(crf.iterations):
        energy = unary.copy()
        for weight, kernel in (
            (crf.appearance_weight, appearance),
            (crf.smoothness_weight, smoothness),
        ):
            root = np.sqrt(kernel.sum(1))
            energy[0] += weight * (kernel @ (current[1] / root)) / root
            energy[1] += weight * (kernel @ (current[0] / root)) / root
        current = np.exp(-energy)
        current /= current.sum(0)
    return current[1].reshape(gray.shape)


def noisy_edge(shape, seed):
    """Two tones with a soft, displaced and noisy probability of the brighter one."""
    random = np.random.default_rng(seed)
    bright = np.arange(shape[-1]) >= shape[-1] // 2
    gray = np.broadcast_to(bright, shape) * 0.6 + 0.05 * random.standard_normal(shape)
    probability = np.broadcast_to(bright, shape) * 0.4 + 0.3 + 0.25 * random.uniform(-1, 1, shape)
    return probability.astype(np.float32), gray.astype(np.float32)


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [((20, 24), (1.0, 1.0)), ((7, 9, 10), (1.0, 1.0, 1.0)), ((5, 10, 12), (2.5, 0.7, 0.7))],
)
def test_the_grid_gives_what_all_pairs_give(shape, sizes):
    probability, gray = noisy_edge(shape, 1)
    found = refine_probability(probability, gray, SETTINGS, sizes)
    expected = by_all_pairs(probability, gray, SETTINGS, sizes)
    assert np.abs(found - expected).max() < 0.01
    assert np.abs(found - probability).max() > 0.2


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_the_opposite_question_gets_the_opposite_answer(seed):
    probability, gray = noisy_edge((12, 14), seed)
    found = refine_probability(probability, gray, SETTINGS)
    opposite = refine_probability(1 - probability, gray, SETTINGS)
    np.testing.assert_allclose(found, 1 - opposite, atol=1e-4)


def test_two_pixels_pull_each_other_as_worked_out_by_hand():
    crf = CrfSettings(0.0, 1.0, 1.0, smoothness_weight=2.0, smoothness_px=1.0, iterations=1)
    found = refine_probability(
        np.array([[0.9, 0.6]], np.float32), np.zeros((1, 2), np.float32), crf
    )
    near = exp(-0.5)
    own, other = 1 / (1 + near), near / (1 + near)
    gathered = own * 0.9 + other * 0.6
    logit = log(0.9 / 0.1) + 2.0 * (2 * gathered - 1)
    assert found[0, 0] == pytest.approx(1 / (1 + exp(-logit)), abs=1e-3)


def test_the_edge_moves_to_where_the_gray_changes():
    gray = np.zeros((40, 40), np.float32)
    gray[:, 20:] = 1
    columns = np.arange(40)
    probability = np.broadcast_to(1 / (1 + np.exp(-(columns - 23.5) / 3)), (40, 40))
    found = refine_probability(probability.astype(np.float32), gray, CrfSettings(4.0, 12.0))
    assert ((probability > 0.5).sum(1) == 16).all()
    assert ((found > 0.5).sum(1) == 20).all()


def test_without_weights_nothing_changes():
    probability, gray = noisy_edge((12, 14), 3)
    crf = CrfSettings(appearance_weight=0.0, smoothness_weight=0.0)
    np.testing.assert_allclose(refine_probability(probability, gray, crf), probability, atol=1e-5)


def test_a_picture_of_another_size_is_refused():
    with pytest.raises(ValueError, match="one grid"):
        refine_probability(np.zeros((4, 4), np.float32), np.zeros((4, 5), np.float32))


def test_kernels_without_width_are_refused():
    with pytest.raises(ValueError, match="widen"):
        CrfSettings(appearance_px=0.0)


def test_a_spacing_may_be_an_array():
    probability, gray = noisy_edge((12, 14), 3)
    np.testing.assert_array_equal(
        refine_probability(probability, gray, spacing=np.array([2.0, 1.0])),
        refine_probability(probability, gray, spacing=(2.0, 1.0)),
    )


def test_more_voxels_than_indices_count_are_refused():
    large = np.broadcast_to(np.float32(0.5), (520, 520, 520))
    with pytest.raises(ValueError, match="in parts"):
        refine_probability(large, large)


def test_a_slice_of_512_x_512_takes_a_fraction_of_a_second():
    probability, gray = noisy_edge((512, 512), 0)
    refine_probability(probability, gray)
    start = process_time()
    refine_probability(probability, gray)
    assert process_time() - start < 0.3

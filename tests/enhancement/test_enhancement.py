import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from groundglass.data.phantom import Phantom, make_phantom
from groundglass.enhancement import ENHANCEMENTS, enhance_stochastically, map_tones
from groundglass.enhancement.pictures import write_enhanced
from groundglass.enhancement.stochastic import Walks, _draw_ways, _sample, anisotropy
from groundglass.errors import OutputError, UnknownNameError
from groundglass.intensity import window_hu
from groundglass.scan import CTSlices, Source

FEW = Walks(steps=4, walks=20)


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom(2, shape=(6, 64, 80))


@pytest.fixture
def gray(phantom: Phantom) -> np.ndarray:
    return window_hu(phantom.scan.slices[3])


def test_the_same_seed_gives_the_same_picture(gray: np.ndarray) -> None:
    first = enhance_stochastically(gray, FEW)
    np.testing.assert_array_equal(first, enhance_stochastically(gray, FEW))
    other = enhance_stochastically(gray, Walks(steps=4, walks=20, seed=1))
    assert not np.array_equal(first, other)


def test_a_flat_slice_stays_flat() -> None:
    flat = np.full((40, 30), 0.4, np.float32)
    np.testing.assert_allclose(enhance_stochastically(flat, FEW), flat, atol=1e-3)


def test_detail_alone_once_gives_the_slice_back(gray: np.ndarray) -> None:
    """Equation 1 with K = 1 and gamma = 0: the base and all that was taken from it."""
    plain = Walks(steps=4, walks=20, gain=1.0, contrast_share=0.0)
    np.testing.assert_allclose(enhance_stochastically(gray, plain), gray, atol=1e-3)


def test_contrast_between_neighbors_grows(gray: np.ndarray) -> None:
    enhanced = enhance_stochastically(gray, FEW)
    lung = gray < 0.6
    assert enhanced[lung].std() > gray[lung].std()
    assert enhanced.min() >= 0
    assert enhanced.max() <= 1


def test_one_walk_of_one_step_is_as_worked_out_by_hand() -> None:
    """The base is the pixel that the walk ends at; contrast the half way to it, with its sign."""
    level = np.zeros((3, 3), np.uint16)
    level[1, 1], level[1, 2] = 1000, 3000
    way = np.array([[[0, 1]]])
    base, contrast = _sample(level, np.zeros_like(level), way, 1)
    assert base.item() == pytest.approx(3000)
    assert contrast.item() == pytest.approx(-1000)


def test_a_walk_over_an_edge_weighs_less() -> None:
    """Costs 2 and 0 (equation 2): weights e^-2 and 1."""
    level = np.zeros((3, 3), np.uint16)
    level[1, 2] = 2 * 4096
    ways = np.array([[[0, 1]], [[0, -1]]])
    base, _ = _sample(level, np.zeros_like(level), ways, 1)
    assert base.item() == pytest.approx(2 * 4096 * np.exp(-2) / (1 + np.exp(-2)), rel=1e-5)


def test_changes_of_the_gradient_cost_as_much(gray: np.ndarray) -> None:
    edges = np.zeros((3, 3), np.uint16)
    edges[1, 2] = 4096
    level = np.zeros_like(edges)
    level[1, 0] = 100
    ways = np.array([[[0, 1]], [[0, -1]]])
    base, _ = _sample(level, edges, ways, 1)
    cost = 100 / 4096
    expected = 100 * np.exp(-cost) / (np.exp(-1) + np.exp(-cost))
    assert base.item() == pytest.approx(expected, rel=1e-5)


def test_walks_go_from_pixel_to_neighboring_pixel() -> None:
    ways = _draw_ways(Walks())
    assert ways.shape == (250, 20, 2)
    steps = np.diff(ways, axis=1, prepend=0)
    assert set(np.abs(steps).max(axis=2).ravel()) == {1}


def test_a_straight_edge_is_anisotropic_and_noise_free_ground_is_not() -> None:
    step = np.zeros((20, 20), np.float32)
    step[:, 10:] = 1.0
    found = anisotropy(step)
    assert found[10, 10] > 0.2
    assert found[10, 2] == pytest.approx(0, abs=1e-4)


def test_tone_mapping_is_equation_5_stretched() -> None:
    """Soft tissue of 40 HU is gray 0.86 in the lung window and 66.2 of 255 over 12 bits."""
    tissue = 255 * (40 + 1024) / 4095
    expected = 2 / (1 + np.exp(-0.35 * tissue ** (1 / 1.5))) - 1
    gray = np.array([[(40 + 1250) / 1500, 0.0]], np.float32)
    assert map_tones(gray)[0].tolist() == pytest.approx([expected, 0.0], abs=1e-4)


def test_tone_mapping_keeps_the_order_of_grays() -> None:
    mapped = map_tones(np.linspace(0.2, 1, 50, dtype=np.float32)[None])[0]
    assert (np.diff(mapped) > 0).all()
    assert np.diff(mapped)[0] > np.diff(mapped)[-1]


def test_enhanced_slices_are_written_as_pictures(phantom: Phantom, tmp_path: Path) -> None:
    (file,) = write_enhanced(phantom.scan, tmp_path / "out", "tone", [3])
    assert file.name == "slice_004.png"
    stored = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
    expected = map_tones(window_hu(phantom.scan.slices[3])) * 255
    np.testing.assert_allclose(stored, expected, atol=1)
    with pytest.raises(OutputError, match=r"slice_004\.png"):
        write_enhanced(phantom.scan, tmp_path / "out", "tone")
    with pytest.raises(UnknownNameError, match="known: 1 to 6"):
        write_enhanced(phantom.scan, tmp_path / "other", "tone", [6])
    with pytest.raises(UnknownNameError, match="stochastic"):
        write_enhanced(phantom.scan, tmp_path / "other", "sharper")


def test_names_that_are_no_text_are_written_as_the_masks_are(tmp_path: Path) -> None:
    gray = np.full((8, 9), 90, np.uint8)
    scan = CTSlices(("bild_\udce4", "a"), (gray, gray), Source("x", "pictures"))
    files = write_enhanced(scan, tmp_path, "tone", [0])
    assert [file.name for file in files] == ["bild__.png"]
    assert files[0].is_file()


@pytest.mark.parametrize("failure", [OutputError, KeyboardInterrupt])
def test_a_failure_leaves_no_picture_behind(
    phantom: Phantom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: type[BaseException]
) -> None:
    def second_fails(file: str, pixels: np.ndarray) -> bool:
        if file.endswith("slice_001.png"):
            return imwrite(file, pixels)
        if failure is KeyboardInterrupt:
            raise failure
        return False

    imwrite = cv2.imwrite
    monkeypatch.setattr(cv2, "imwrite", second_fails)
    with pytest.raises(failure):
        write_enhanced(phantom.scan, tmp_path / "out", "tone")
    assert list(tmp_path.iterdir()) == []


def test_every_enhancement_keeps_shape_and_range(gray: np.ndarray) -> None:
    for name in ("none", "tone"):
        found = ENHANCEMENTS[name](gray)
        assert found.shape == gray.shape
        assert found.dtype == np.float32


@pytest.mark.slow
def test_a_slice_of_a_usual_size_takes_less_than_two_seconds() -> None:
    gray = np.random.default_rng(0).random((512, 512), np.float32)
    start = time.process_time()
    enhance_stochastically(gray)
    assert time.process_time() - start < 2.0 * 2  # a shared machine may be half as fast

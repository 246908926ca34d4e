"""The lung network: the checks of every system, and lungs of a volume."""

from pathlib import Path

import numpy as np
import pytest
import torch

from groundglass.data.phantom import Phantom
from groundglass.errors import ConfigError, EmptyMaskError, WeightsError
from groundglass.intensity import window_hu
from groundglass.labels import Lung
from groundglass.lungs.bowel import find_bowel
from groundglass.lungs.coarse import CoarseScan
from groundglass.lungs.unet import find_tips, lungs_by_network
from groundglass.metrics.segmentation import Overlap
from groundglass.systems.card import home, load_card, write_card
from groundglass.systems.lung_unet.training import Config, Module
from groundglass.systems.system import load_lung_network
from tests.systems.system_tester import SystemTester, cohort_table, phantom, pictures

__all__ = ["cohort_table", "phantom", "pictures"]


def dark(gray):
    """Stands in for a network: what holds air is probably lung."""
    return np.where(gray < 0.55, 0.9, 0.1).astype(np.float32)


class TestLungUnet(SystemTester):
    name = "lung_unet"
    recipe = "recipe_sagittal.yaml"
    parameters_m = 3.98

    def answer(self, system: object, phantom: Phantom) -> np.ndarray:
        gray = window_hu(phantom.scan.slices[12])
        return np.asarray(system._look(system.network.axial, gray))


def test_both_views_find_right_and_left_lung(phantom: Phantom) -> None:
    lungs, _ = lungs_by_network(phantom.scan, dark, lambda gray, _: dark(gray))
    assert lungs.same_grid(phantom.lungs)
    for lung in Lung:
        overlap = Overlap.of(lungs.array == lung, phantom.lungs.array == lung)
        assert overlap.dice > 0.85


def test_the_second_look_is_closer_than_the_first(phantom: Phantom) -> None:
    shapes = []

    def look(gray):
        shapes.append(gray.shape)
        return dark(gray)

    lungs_by_network(phantom.scan, look)
    first, second = dict.fromkeys(shapes)
    assert first[0] > second[0]
    assert first[1] > second[1]


def test_views_from_the_side_are_shown_in_their_proportions_feet_first(
    phantom: Phantom, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = load_lung_network("unet", "cpu")
    asked, shown = [], []

    def look(network, gray):
        if network is system.network.sagittal:
            shown.append(gray)
        return dark(gray)

    def across(gray, slice_px):
        asked.append((gray, slice_px))
        return system._from_head_to_feet(gray, slice_px)

    monkeypatch.setattr(system, "_look", look)
    lungs, _ = lungs_by_network(phantom.scan, dark, across)
    ((gray, slice_px),) = asked
    slice_mm, row_mm, _ = phantom.scan.spacing_mm
    assert slice_px > 1
    assert slice_px * row_mm == pytest.approx(slice_mm, rel=0.01)  # neither axis is averaged
    middle = shown[gray.shape[2] // 2]
    assert middle.shape == (round(len(gray) * slice_px), gray.shape[1])
    feet = gray[-1, :, gray.shape[2] // 2]
    assert np.abs(middle[0] - feet).mean() < np.abs(middle[-1] - feet).mean()
    assert Overlap.of(lungs.array > 0, phantom.lungs.array > 0).dice > 0.85


def test_nothing_that_looks_like_lung_is_an_error(phantom: Phantom) -> None:
    with pytest.raises(EmptyMaskError, match="--lungs threshold"):
        lungs_by_network(phantom.scan, np.zeros_like)


def test_the_second_view_leaves_the_first_network_as_it_is() -> None:
    module = Module.start(
        Config.load(home("lung_unet") / "smoke.yaml", ["views=both", "trains=sagittal"]), []
    )
    batch = {
        "gray": torch.rand(2, 1, 32, 32),
        "lungs": torch.ones((2, 32, 32), dtype=torch.uint8),
    }
    module.losses(batch)["loss"].backward()
    assert all(p.grad is not None for p in module.network.sagittal.parameters())
    assert all(p.grad is None for p in module.network.axial.parameters())


def test_a_view_that_is_not_there_cannot_learn() -> None:
    with pytest.raises(ConfigError, match="expected views 'both'"):
        Config.load(home("lung_unet") / "smoke.yaml", ["trains=sagittal"])


def test_a_run_without_weights_says_how_to_get_some(tmp_path: Path) -> None:
    card = load_card("lung_unet").model_copy(update={"weights": None})
    write_card(card, tmp_path / "card.yaml")
    with pytest.raises(WeightsError, match="groundglass train"):
        load_lung_network(str(tmp_path), "cpu")


def test_the_shipped_weights_find_the_lungs_of_a_phantom(phantom: Phantom) -> None:
    lungs, _ = load_lung_network("unet", "cpu").find_volume_lungs(phantom.scan)
    assert Overlap.of(lungs.array > 0, phantom.lungs.array > 0).dice > 0.9


def test_the_recipe_for_views_from_the_side_builds(tmp_path: Path) -> None:
    config = Config.load(home("lung_unet") / "recipe_sagittal.yaml", [])
    assert Module.start(config, []).network.sagittal is not None


def test_bowel_that_was_taken_out_does_not_come_back_as_a_tip() -> None:
    """A loop below the lung: gas on the last slice, half gut on the one above it."""
    hu = np.full((10, 120, 120), 40, np.int16)
    lungs = np.zeros(hu.shape, np.uint8)
    lungs[:8, 20:90, 20:70] = lungs[8:, 20:60, 20:70] = 1
    lungs[8:, 70:86, 30:50] = 1
    hu[lungs > 0] = -800
    hu[8, 70:86, 30:50], hu[9, 70:86, 30:50] = -830, -950
    scan = CoarseScan(hu, (2.0, 1.5, 1.5), (1, 1, 1))
    bowel = find_bowel(scan, lungs) > 0
    assert bowel[8:, 70:86, 30:50].all()
    body = np.ones(hu.shape, np.uint8)
    tips = find_tips(scan, body, (lungs > 0) & ~bowel, bowel)
    assert not (tips & bowel).any()
    unknown = np.zeros_like(bowel)
    assert (find_tips(scan, body, (lungs > 0) & ~bowel, unknown) & bowel).any(), "it shows nothing"

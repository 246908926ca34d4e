import numpy as np
import pytest
import torch

from groundglass.data.case import UNKNOWN
from groundglass.data.phantom import make_phantom
from groundglass.intensity import window_hu
from groundglass.labels import OPACITIES, Lesion, Lung
from groundglass.metrics.segmentation import Overlap
from groundglass.scan import CTSlices, Source
from groundglass.systems import load_system
from groundglass.systems.baseline_unet.body import find_body
from groundglass.systems.baseline_unet.training import Config, Module
from groundglass.systems.card import home
from groundglass.systems.cleaning import (
    clean_lung_sides,
    dense_lung,
    label_lesions,
)
from tests.systems.system_tester import SystemTester, cohort_table, phantom, pictures  # noqa: F401


class TestBaselineUnet(SystemTester):
    name = "baseline_unet"
    parameters_m = 3.68


@pytest.fixture(scope="module")
def chest() -> CTSlices:
    """A slice of the phantom, whole and cropped to the lungs, windowed and full range."""
    made = make_phantom(1, shape=(40, 192, 256))
    k = 18
    gray = (window_hu(made.scan.slices[k]) * 255).astype(np.uint8)
    hu = np.clip((made.scan.slices[k] + 1024.0) / 2700 * 255, 0, 255).astype(np.uint8)
    rows, columns = (np.flatnonzero(made.lungs.array[k].any(axis)) for axis in (1, 0))
    crop = np.s_[rows[0] - 4 : rows[-1] + 4, columns[0] - 4 : columns[-1] + 4]
    slices = (gray, np.ascontiguousarray(gray[crop]), hu)
    chest = CTSlices(("whole", "cropped", "full-range"), slices, Source("chest", "pictures"))
    return chest, made.lungs.array[k], crop


def test_shipped_weights_find_lungs_and_their_sides_on_pictures(chest: tuple) -> None:
    slices, truth, crop = chest
    found = load_system("baseline_unet").find_lungs(slices)
    for mask, true in zip(found.slices, (truth, truth[crop], truth), strict=True):
        for lung in Lung:
            assert Overlap.of(mask == lung, true == lung).dice > 0.9


def test_a_picture_without_lungs_has_no_lungs() -> None:
    blank = CTSlices(("blank",), (np.full((90, 120), 140, np.uint8),), Source("x", "pictures"))
    assert not load_system("baseline_unet").find_lungs(blank).slices[0].any()


def test_the_body_leaves_out_air_and_table_and_keeps_its_inside() -> None:
    picture = np.zeros((200, 300), np.uint8)
    picture[60:150, 50:250] = 220
    picture[80:130, 70:120] = 30
    picture[180:184, 20:280] = 220
    body = find_body(picture)
    expected = np.zeros_like(body)
    expected[60:150, 50:250] = True
    assert Overlap.of(body, expected).dice > 0.97
    assert body[100, 90]


def test_lung_cut_by_the_border_of_a_cropped_picture_stays_inside() -> None:
    picture = np.full((120, 200), 220, np.uint8)
    picture[20:100, 0:80] = 30
    picture[20:100, 120:200] = 30
    assert find_body(picture).all()


def test_lungs_keep_no_holes_and_no_specks() -> None:
    probabilities = np.zeros((2, 60, 90), np.float32)
    probabilities[0, 10:50, 10:40] = 0.9
    probabilities[0, 20:25, 20:25] = 0.1
    probabilities[1, 10:50, 50:80] = 0.8
    probabilities[1, 2:4, 85:88] = 0.8
    sides = clean_lung_sides(probabilities)
    assert (sides[10:50, 10:40] == Lung.RIGHT).all()
    assert (sides[10:50, 50:80] == Lung.LEFT).all()
    assert not sides[:9].any()


def test_dense_lung_is_found_and_vessels_are_left_out() -> None:
    hu = np.full((20, 60, 60), -850, np.int16)
    hu[5:15, 10:40, 10:30] = 40  # 20 x 30 x 20 mm of consolidation
    hu[:, 50:55, 45:50] = 40  # a vessel of 5 mm along the slices
    lungs = np.ones(hu.shape, bool)
    found = dense_lung(hu, lungs, (2.0, 1.0, 1.0))
    assert found[7:13, 14:36, 14:26].all()
    assert not found[:, 45:, 40:].any()
    assert not found[hu < 0].any()


def test_the_phantoms_opacity_is_near_the_truth() -> None:
    made = make_phantom(0, shape=(60, 160, 160))
    found = load_system("baseline_unet").segment(made.scan, made.lungs)
    opacity = np.isin(made.lesions.array, [int(lesion) for lesion in OPACITIES])
    assert Overlap.of(found.array > 0, opacity).dice > 0.75
    consolidation = made.lesions.array == Lesion.CONSOLIDATION
    assert Overlap.of(found.array == Lesion.CONSOLIDATION, consolidation).sensitivity > 0.6


def test_a_healthy_phantom_stays_below_one_percent() -> None:
    made = make_phantom(1, shape=(60, 160, 160), lesions=())
    found = load_system("baseline_unet").segment(made.scan, made.lungs)
    assert (found.array > 0).sum() < 0.01 * (made.lungs.array > 0).sum()


def test_validation_leaves_out_what_is_not_known() -> None:
    module = Module.start(Config.load(home("baseline_unet") / "smoke.yaml", []), []).eval()
    masks = torch.zeros((3, 64, 64), dtype=torch.uint8)
    lungs, lesions = masks.clone(), masks.clone()
    lungs[1:], lesions[:2] = UNKNOWN, UNKNOWN
    lesions[2, :20, :32] = UNKNOWN
    batch = {"gray": torch.rand(3, 1, 64, 64), "lungs": lungs, "lesions": lesions}
    with torch.inference_mode():
        known = module.overlaps(batch)
    assert [set(one) for one in known] == [{"lungs"}, set(), {"lesion"}]
    lesion = known[2]["lesion"]
    assert lesion.both + lesion.true_only == 0


def test_lesions_are_named_by_density() -> None:
    found = np.array([[True, True, False]])
    labels = label_lesions(found, np.array([[True, False, True]]))
    assert labels.tolist() == [[Lesion.CONSOLIDATION, Lesion.GROUND_GLASS, 0]]

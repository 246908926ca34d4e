import numpy as np
import pytest
from hypothesis import assume, given

from groundglass.errors import NotMeasurableError
from groundglass.severity import bilateral_disease, mean_opacity_density_hu
from tests.severity.findings import densities_drawn, lesions_drawn, lungs_drawn, pictures, volume

R, L = 1, 2


def test_the_density_of_the_opacities_is_their_mean():
    lungs = [[[R, R, R, L, L, 0]]]
    lesions = [[[1, 2, 0, 3, 4, 1]]]  # neither healthy lung, nor effusion, nor outside counts
    found = mean_opacity_density_hu(volume(lungs, lesions, [[[-600, 20, -900, -500, 0, 300]]]))
    assert found.value == pytest.approx((-600 + 20 - 500) / 3)
    assert found.parts == pytest.approx({"right lung": -290.0, "left lung": -500.0})
    assert found.unit == "HU"


def test_a_lung_without_opacity_has_no_density_of_its_own():
    found = mean_opacity_density_hu(volume([[[R, L]]], [[[1, 0]]], [[[-600, -900]]]))
    assert found.parts == {"right lung": -600.0}


def test_no_opacity_has_no_density():
    with pytest.raises(NotMeasurableError, match="found no opacity"):
        mean_opacity_density_hu(volume([[[R, L]]], [[[0, 0]]]))


@given(lungs_drawn, lesions_drawn, densities_drawn)
def test_denser_opacities_have_a_higher_mean(lungs, lesions, voxels_hu):
    assume((np.isin(lesions, (1, 2, 3)) & (lungs > 0)).any())
    before, after = (
        mean_opacity_density_hu(volume(lungs, lesions, hu)) for hu in (voxels_hu, voxels_hu + 7)
    )
    assert after.value == pytest.approx(before.value + 7)


@pytest.mark.parametrize(
    ("lesions", "value", "meaning"),
    [
        ([0, 0], 0, "no lesion"),
        ([1, 0], 0, "right lung only"),
        ([0, 2], 0, "left lung only"),
        ([1, 3], 1, "both lungs"),
        ([4, 1], 0, "left lung only"),
    ],
)
def test_disease_is_bilateral_where_both_lungs_have_a_lesion(lesions, value, meaning):
    found = bilateral_disease(volume([[[R, L]]], [[lesions]], spacing_mm=(5, 5, 5)))
    assert found.value == value
    assert found.meaning == meaning


def test_a_speck_in_the_other_lung_does_not_make_disease_bilateral():
    lungs, lesions = [[[R, R, R, L]]], [[[1, 1, 1, 1]]]
    found = bilateral_disease(volume(lungs, lesions, spacing_mm=(4, 4, 4)))
    assert found.value == 0
    assert found.meaning == "right lung only"


def test_one_lung_alone_is_neither_bilateral_nor_not():
    with pytest.raises(NotMeasurableError, match="found one lung"):
        bilateral_disease(volume([[[R, R]]], [[[1, 0]]]))


@pytest.mark.parametrize("score", [mean_opacity_density_hu, bilateral_disease])
def test_pictures_carry_neither_density_nor_lesions(score):
    with pytest.raises(NotMeasurableError, match="found pictures"):
        score(pictures([[[R, L]]], [[[1, 1]]]))

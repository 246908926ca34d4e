import numpy as np
import pytest
from hypothesis import given

from groundglass.errors import NotMeasurableError
from groundglass.labels import Lesion, Lung
from groundglass.severity import (
    consolidation_volume_ml,
    ground_glass_volume_ml,
    lung_volume_ml,
    opacity_volume_ml,
    percentage_of_opacity,
)
from tests.severity.findings import lesions_drawn, lungs_drawn, pictures, volume

R, L = Lung.RIGHT, Lung.LEFT
GGO, CON, UNK = Lesion.GROUND_GLASS, Lesion.CONSOLIDATION, Lesion.UNSPECIFIED

LUNGS = [[[R, R, 0, L, L, L]]]
LESIONS = [[[GGO, CON, CON, 0, 0, CON]]]
VOLUMES = (lung_volume_ml, opacity_volume_ml, ground_glass_volume_ml, consolidation_volume_ml)


@pytest.mark.parametrize(
    ("score", "right_voxels", "left_voxels"),
    [
        (lung_volume_ml, 2, 3),
        (opacity_volume_ml, 2, 1),
        (ground_glass_volume_ml, 1, 0),
        (consolidation_volume_ml, 1, 1),
    ],
)
def test_volumes_are_those_worked_by_hand(score, right_voxels, left_voxels):
    # A voxel of 5 x 10 x 4 mm holds 200 cubic mm: 0.2 ml.
    found = score(volume(LUNGS, LESIONS, spacing_mm=(5.0, 10.0, 4.0)))
    assert found.value == pytest.approx(0.2 * (right_voxels + left_voxels))
    assert found.parts == pytest.approx(
        {"right lung": 0.2 * right_voxels, "left lung": 0.2 * left_voxels}
    )
    assert (found.unit, found.maximum) == ("ml", None)


@pytest.mark.parametrize("score", VOLUMES)
def test_the_volume_of_pictures_is_refused(score):
    with pytest.raises(NotMeasurableError, match="pixel size in mm"):
        score(pictures([[[R]]], [[[CON]]]))


@pytest.mark.parametrize("score", [ground_glass_volume_ml, consolidation_volume_ml])
def test_the_volume_of_a_kind_is_refused_where_a_kind_is_unknown(score):
    with pytest.raises(NotMeasurableError, match="unknown kind"):
        score(volume([[[L]]], [[[UNK]]]))


@given(lungs_drawn, lesions_drawn)
def test_the_volumes_have_the_ratio_of_the_percentage(lungs, lesions):
    findings = volume(lungs, lesions, spacing_mm=(1.5, 0.7, 0.7))
    ratio = opacity_volume_ml(findings).value / lung_volume_ml(findings).value
    assert 100 * ratio == pytest.approx(percentage_of_opacity(findings).value)


@given(lungs_drawn, lesions_drawn)
def test_eight_voxels_of_half_the_size_hold_the_same_volume(lungs, lesions):
    split = [np.kron(a, np.ones((2, 2, 2), np.uint8)) for a in (lungs, lesions)]
    for score in (lung_volume_ml, opacity_volume_ml):
        coarse = score(volume(lungs, lesions, spacing_mm=(2.0, 1.0, 0.8)))
        fine = score(volume(*split, spacing_mm=(1.0, 0.5, 0.4)))
        assert fine.value == pytest.approx(coarse.value)
        assert fine.parts == pytest.approx(coarse.parts)

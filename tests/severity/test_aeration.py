import pytest

from groundglass.errors import NotMeasurableError
from groundglass.severity import (
    mean_lung_density_hu,
    percentage_of_well_aerated_lung,
    well_aerated_volume_ml,
)
from tests.severity.findings import pictures, volume

LUNGS = [[[1, 1, 1, 1, 0, 2, 2]]]
DENSITIES = [[[-951, -950, -700, -699, -800, -800, 0]]]


@pytest.fixture
def findings():
    return volume(LUNGS, [[[0] * 7]], DENSITIES, spacing_mm=(10, 10, 10))


def test_well_aerated_lung_lies_between_its_two_densities(findings):
    found = percentage_of_well_aerated_lung(findings)
    assert found.value == 50.0
    assert found.parts == {"right lung": 50.0, "left lung": 50.0}


def test_its_volume_is_that_of_its_voxels(findings):
    found = well_aerated_volume_ml(findings)
    assert found.value == pytest.approx(3.0)
    assert found.parts == pytest.approx({"right lung": 2.0, "left lung": 1.0})


def test_the_mean_density_is_that_counted_by_hand(findings):
    found = mean_lung_density_hu(findings)
    assert found.parts == {"right lung": -825.0, "left lung": -400.0}
    assert found.value == pytest.approx(-4100 / 6)


@pytest.mark.parametrize(
    "score", [mean_lung_density_hu, percentage_of_well_aerated_lung, well_aerated_volume_ml]
)
def test_pictures_have_no_density(score):
    with pytest.raises(NotMeasurableError, match="Hounsfield"):
        score(pictures([[[1]]], [[[0]]]))

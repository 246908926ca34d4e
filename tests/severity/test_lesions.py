import numpy as np
import pytest
from hypothesis import given

from groundglass.errors import NotMeasurableError
from groundglass.severity import (
    largest_lesion_volume_ml,
    lesion_count,
    median_lesion_volume_ml,
)
from tests.severity.findings import lesions_drawn, lungs_drawn, pictures, volume

R, L = 1, 2
LUNGS = [[[R, R, R, R, R, L, L]], [[R, R, R, R, R, L, L]]]
# Ground glass and consolidation touch at a corner: one lesion. The second of the right lung
# touches that of the left: they stay two. An effusion is none.
LESIONS = [[[1, 0, 4, 0, 1, 1, 1]], [[0, 2, 0, 0, 0, 0, 0]]]


def test_lesions_are_counted_in_each_lung():
    found = lesion_count(volume(LUNGS, LESIONS, spacing_mm=(5, 5, 5)))
    assert found.value == 3
    assert found.parts == {"right lung": 2, "left lung": 1}


def test_the_largest_lesion_is_measured():
    found = largest_lesion_volume_ml(volume(LUNGS, LESIONS, spacing_mm=(5, 5, 5)))
    assert found.value == pytest.approx(0.25)
    assert found.parts == pytest.approx({"right lung": 0.25, "left lung": 0.25})


def test_the_median_is_that_of_the_lesions_that_count():
    lungs = [[[R] * 12 + [L, L]]]
    lesions = [[[1, 0, 1, 1, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0]]]
    found = median_lesion_volume_ml(volume(lungs, lesions, spacing_mm=(5, 5, 5)))
    # 1, 2 and 4 voxels in the right lung, 1 in the left, of 0.125 ml each
    assert found.value == pytest.approx(0.1875)
    assert found.parts == pytest.approx({"right lung": 0.25, "left lung": 0.125})


def test_specks_have_no_part_in_the_median():
    found = median_lesion_volume_ml(volume([[[R, L]]], [[[1, 0]]], spacing_mm=(4, 4, 4)))
    assert found.value == 0
    assert found.parts == {"right lung": 0, "left lung": 0}


@pytest.mark.parametrize(("millimeters", "count"), [(4.6, 0), (4.7, 1)])
def test_a_tenth_of_a_millilitre_is_the_least_lesion(millimeters, count):
    findings = volume([[[R, R]]], [[[1, 0]]], spacing_mm=(millimeters,) * 3)
    assert lesion_count(findings).value == count


@given(lungs_drawn)
def test_healthy_lungs_have_no_lesion(lungs):
    healthy = volume(lungs, np.zeros_like(lungs))
    assert lesion_count(healthy).value == largest_lesion_volume_ml(healthy).value == 0


@given(lungs_drawn, lesions_drawn, lesions_drawn)
def test_more_opacity_never_makes_the_largest_lesion_smaller(lungs, lesions, more):
    grown = np.where((lesions > 0) & (lesions < 4), lesions, more)
    before, after = (largest_lesion_volume_ml(volume(lungs, f)) for f in (lesions, grown))
    assert after.value >= before.value


@given(lungs_drawn, lesions_drawn)
def test_the_median_lies_between_the_least_and_the_largest_lesion(lungs, lesions):
    findings = volume(lungs, lesions, spacing_mm=(5, 5, 5))
    median, largest = median_lesion_volume_ml(findings), largest_lesion_volume_ml(findings)
    assert 0 <= median.value <= largest.value


@pytest.mark.parametrize("score", [lesion_count, largest_lesion_volume_ml, median_lesion_volume_ml])
def test_pictures_have_no_lesions_to_count(score):
    with pytest.raises(NotMeasurableError, match="size in mm"):
        score(pictures([[[1]]], [[[1]]]))

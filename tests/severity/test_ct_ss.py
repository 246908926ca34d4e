from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundglass.errors import NotMeasurableError
from groundglass.labels import Lesion, Lung, Region
from groundglass.mask import Mask
from groundglass.severity import ct_severity_score
from tests.severity.findings import in_parts, pictures

half_percents = st.lists(
    st.integers(0, 200).map(lambda n: n / 2), min_size=len(Region), max_size=len(Region)
)


def test_regions_are_graded_as_published():
    percents = [0, 0.5, 49.5, 50, 100] + [0] * 13 + [20, 60]
    found = ct_severity_score(in_parts(percents, Region))
    assert list(found.parts.values()) == [0, 1, 1, 2, 2] + [0] * 13 + [1, 2]
    assert list(found.parts) == [region.title for region in Region]
    assert found.value == 9
    assert (found.minimum, found.maximum) == (0, 40)


@pytest.mark.parametrize(("regions", "value", "side"), [(19, 19, "below"), (20, 20, "above")])
def test_it_says_on_which_side_of_the_cut_off_it_lies(regions, value, side):
    found = ct_severity_score(in_parts([10] * regions + [0] * (20 - regions), Region))
    assert found.value == value
    assert found.meaning.startswith(f"{side} 19.5")


def test_wholly_opacified_lungs_are_40():
    assert ct_severity_score(in_parts([100] * 20, Region)).value == 40


def test_healthy_lungs_are_0_in_every_region():
    found = ct_severity_score(in_parts([0] * 20, Region))
    assert found.value == 0
    assert set(found.parts.values()) == {0}


def test_with_regions_missing_a_low_sum_is_not_called_mild():
    whole = in_parts([60] * 20, Region)
    right = replace(whole, lungs=Mask.on(whole.scan, whole.lungs.array % 2, Lung))
    found = ct_severity_score(right)
    missing = sum(not region.title.startswith("right") for region in Region)
    assert found.caution.startswith(f"{missing} of 20 regions hold no lung")
    assert (found.value > 19.5) == bool(found.meaning)
    some = ct_severity_score(
        replace(right, lesions=Mask.on(whole.scan, right.lungs.array * 0, Lesion))
    )
    assert (some.value, some.meaning) == (0, None)
    assert ct_severity_score(whole).caution is None


def test_pictures_have_no_regions():
    with pytest.raises(NotMeasurableError, match="regions"):
        ct_severity_score(pictures([[[1, 2]]], [[[1, 0]]]))


@given(half_percents, half_percents)
def test_more_opacity_never_lowers_the_score(one, other):
    less, more = (in_parts(choose(one, other), Region) for choose in (np.minimum, np.maximum))
    assert ct_severity_score(less).value <= ct_severity_score(more).value

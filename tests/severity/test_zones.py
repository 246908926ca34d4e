import numpy as np
import pytest
from hypothesis import given

from groundglass.errors import NotMeasurableError
from groundglass.labels import OPACITIES
from groundglass.severity import percentage_of_opacity, percentage_of_opacity_by_zone
from tests.severity.findings import lesions_drawn, lungs_drawn, pictures, volume

SHAPE = (6, 8, 7)


def block(slices=slice(None), rows=slice(None), columns=slice(None)):
    """A right lung that fills its volume, opacified in one part."""
    lesions = np.zeros(SHAPE, int)
    lesions[slices, rows, columns] = 1
    return percentage_of_opacity_by_zone(volume(np.ones(SHAPE, int), lesions)).parts


@pytest.mark.parametrize(
    ("part", "full", "empty"),
    [
        ({"slices": slice(0, 2)}, "upper third", ["middle third", "lower third"]),
        ({"slices": slice(2, 4)}, "middle third", ["upper third", "lower third"]),
        ({"slices": slice(4, 6)}, "lower third", ["upper third", "middle third"]),
        ({"rows": slice(0, 4)}, "anterior half", ["posterior half"]),
        ({"rows": slice(4, 8)}, "posterior half", ["anterior half"]),
    ],
)
def test_a_zone_alone_is_opacified(part, full, empty):
    found = block(**part)
    assert found[full] == 100.0
    assert [found[zone] for zone in empty] == [0.0] * len(empty)


def test_the_core_is_central_and_the_shell_is_peripheral():
    core = block(slice(2, 4), slice(3, 5), slice(3, 4))
    assert core["central half"] > 0.0
    assert core["peripheral half"] == 0.0


def test_zones_of_the_left_lung_are_its_own():
    lungs, lesions = np.zeros((2, 6, 3, 4), int)
    lungs[:, :, 0], lungs[:3, :, 3] = 1, 2
    lesions[0, :, 3] = 1
    found = percentage_of_opacity_by_zone(volume(lungs, lesions)).parts
    # the left lung has 3 slices, the right one 6: one of the three slices of the upper third
    assert found["upper third"] == pytest.approx(100 / 3)
    assert found["lower third"] == 0.0


@given(lungs_drawn, lesions_drawn)
def test_thirds_and_halves_make_the_whole(lungs, lesions):
    findings = volume(lungs, lesions)
    found = percentage_of_opacity_by_zone(findings)
    assert found.value == percentage_of_opacity(findings).value
    for names in (("anterior half", "posterior half"), ("peripheral half", "central half")):
        shares = [found.parts[n] for n in names if n in found.parts]
        assert min(shares) <= found.value + 1e-9
        assert max(shares) >= found.value - 1e-9


@given(lungs_drawn, lesions_drawn, lesions_drawn)
def test_more_opacity_never_lowers_a_zone(lungs, lesions, more):
    grown = np.where(np.isin(lesions, OPACITIES), lesions, more)
    before, after = (
        percentage_of_opacity_by_zone(volume(lungs, found)).parts for found in (lesions, grown)
    )
    assert all(after[zone] >= before[zone] for zone in before)


@given(lungs_drawn)
def test_healthy_lungs_are_0_in_every_zone(lungs):
    found = percentage_of_opacity_by_zone(volume(lungs, np.zeros_like(lungs)))
    assert set(found.parts.values()) == {0.0}


@given(lungs_drawn, lesions_drawn)
def test_mirrored_lungs_have_the_same_zones(lungs, lesions):
    swapped = np.array([0, 2, 1], np.uint8)[lungs[..., ::-1]]
    here = percentage_of_opacity_by_zone(volume(lungs, lesions))
    there = percentage_of_opacity_by_zone(volume(swapped, lesions[..., ::-1]))
    assert there.parts == here.parts


def test_pictures_have_no_zones():
    with pytest.raises(NotMeasurableError, match="no volume"):
        percentage_of_opacity_by_zone(pictures([[[1]]], [[[1]]]))

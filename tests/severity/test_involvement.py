import numpy as np
import pytest
from hypothesis import given

from groundglass.errors import NotMeasurableError
from groundglass.labels import OPACITIES, Lesion, Lung
from groundglass.severity import (
    percentage_of_consolidation,
    percentage_of_ground_glass,
    percentage_of_high_opacity,
    percentage_of_opacity,
)
from tests.severity.findings import (
    densities_drawn,
    lesions_drawn,
    lesions_of_known_kind,
    lungs_drawn,
    pictures,
    volume,
)

R, L = Lung.RIGHT, Lung.LEFT
GGO, CON, UNK, EFF = (
    Lesion.GROUND_GLASS,
    Lesion.CONSOLIDATION,
    Lesion.UNSPECIFIED,
    Lesion.PLEURAL_EFFUSION,
)

# Right lung of 4 voxels, 1 of ground glass and 1 of consolidation; left lung of 6, 1 of
# consolidation. An effusion in the right lung and a consolidation beside both do not count.
LUNGS = [[[R, R, 0, L, L, L]], [[R, R, 0, L, L, L]]]
LESIONS = [[[GGO, CON, CON, 0, 0, CON]], [[0, EFF, 0, 0, 0, 0]]]
DENSITIES = [[[-600, -200, 40, -201, 50, 60]], [[-850, 10, 40, -850, -850, 300]]]


@pytest.mark.parametrize(
    ("score", "both", "right", "left"),
    [
        (percentage_of_opacity, 30.0, 50.0, 100 / 6),
        (percentage_of_high_opacity, 20.0, 25.0, 100 / 6),
        (percentage_of_ground_glass, 10.0, 25.0, 0.0),
        (percentage_of_consolidation, 20.0, 25.0, 100 / 6),
    ],
)
def test_percentages_are_those_counted_by_hand(score, both, right, left):
    found = score(volume(LUNGS, LESIONS, DENSITIES))
    assert found.value == pytest.approx(both)
    assert found.parts == pytest.approx({"right lung": right, "left lung": left})
    assert (found.unit, found.minimum, found.maximum) == ("%", 0.0, 100.0)


@pytest.mark.parametrize(("density_hu", "percent"), [(-201, 0.0), (-200, 100.0), (-199, 100.0)])
def test_high_opacity_begins_at_minus_200_hu(density_hu, percent):
    assert percentage_of_high_opacity(volume([[[R]]], [[[GGO]]], [[[density_hu]]])).value == percent


def test_a_dense_voxel_without_opacity_is_no_high_opacity():
    assert percentage_of_high_opacity(volume([[[R, R]]], [[[0, 0]]], [[[50, 50]]])).value == 0.0


def test_a_lung_that_the_scan_does_not_show_has_no_part():
    found = percentage_of_opacity(volume([[[L, L, 0]]], [[[CON, 0, CON]]]))
    assert found.parts == {"left lung": 50.0}
    assert found.value == 50.0


def test_pictures_of_different_sizes_are_pooled_pixel_by_pixel():
    found = percentage_of_opacity(
        pictures([[[R, L]], [[R, R, R], [0, 0, 0]]], [[[GGO, 0]], [[UNK, 0, 0], [UNK, 0, 0]]])
    )
    assert found.value == 40.0
    assert found.parts == {"right lung": 50.0, "left lung": 0.0}


def test_high_opacity_of_pictures_is_refused():
    with pytest.raises(NotMeasurableError, match="Hounsfield"):
        percentage_of_high_opacity(pictures([[[R]]], [[[CON]]]))


@pytest.mark.parametrize("score", [percentage_of_ground_glass, percentage_of_consolidation])
def test_the_share_of_a_kind_is_refused_where_a_kind_is_unknown(score):
    with pytest.raises(NotMeasurableError, match="unknown kind"):
        score(volume([[[R, R, 0]]], [[[GGO, UNK, 0]]]))


def test_a_lesion_of_unknown_kind_outside_the_lungs_does_not_matter():
    assert percentage_of_ground_glass(volume([[[R, R, 0]]], [[[GGO, 0, UNK]]])).value == 50.0


@given(lungs_drawn)
def test_lungs_without_lesion_are_0_percent(lungs):
    healthy = volume(lungs, np.zeros_like(lungs))
    for score in (
        percentage_of_opacity,
        percentage_of_high_opacity,
        percentage_of_ground_glass,
        percentage_of_consolidation,
    ):
        found = score(healthy)
        assert found.value == 0.0
        assert set(found.parts.values()) == {0.0}


@given(lungs_drawn, lesions_drawn)
def test_the_percentage_is_the_mean_of_the_opacified_lung(lungs, lesions):
    found = percentage_of_opacity(volume(lungs, lesions))
    assert found.value == pytest.approx(100 * np.isin(lesions, OPACITIES)[lungs > 0].mean())
    assert set(found.parts) == {lung.title for lung in Lung if (lungs == lung).any()}


@given(lungs_drawn, lesions_drawn, lesions_drawn, densities_drawn)
def test_more_opacity_never_lowers_a_percentage(lungs, lesions, more, densities_hu):
    grown = np.where(lesions > 0, lesions, more)
    for score in (percentage_of_opacity, percentage_of_high_opacity):
        before = score(volume(lungs, lesions, densities_hu))
        after = score(volume(lungs, grown, densities_hu))
        assert after.value >= before.value
        assert all(after.parts[part] >= before.parts[part] for part in before.parts)


@given(lungs_drawn, lesions_drawn, densities_drawn)
def test_high_opacity_is_part_of_the_opacity(lungs, lesions, densities_hu):
    findings = volume(lungs, lesions, densities_hu)
    opacity, dense = percentage_of_opacity(findings), percentage_of_high_opacity(findings)
    assert all(dense.parts[part] <= opacity.parts[part] for part in opacity.parts)


@given(lungs_drawn, lesions_of_known_kind)
def test_the_kinds_add_up_to_the_opacity(lungs, lesions):
    findings = volume(lungs, lesions)
    kinds = percentage_of_ground_glass(findings), percentage_of_consolidation(findings)
    assert sum(k.value for k in kinds) == pytest.approx(percentage_of_opacity(findings).value)


@given(lungs_drawn, lesions_drawn, densities_drawn)
def test_mirrored_anatomy_swaps_the_parts(lungs, lesions, densities_hu):
    swapped = np.array([0, L, R], np.uint8)[lungs[..., ::-1]]
    for score in (percentage_of_opacity, percentage_of_high_opacity):
        here = score(volume(lungs, lesions, densities_hu))
        there = score(volume(swapped, lesions[..., ::-1], densities_hu[..., ::-1]))
        assert there.value == here.value
        assert there.parts.get("left lung") == here.parts.get("right lung")
        assert there.parts.get("right lung") == here.parts.get("left lung")


@given(lungs_drawn, lesions_drawn)
def test_what_lies_outside_the_lungs_does_not_count(lungs, lesions):
    inside = np.where(lungs > 0, lesions, 0)
    assert percentage_of_opacity(volume(lungs, lesions)) == percentage_of_opacity(
        volume(lungs, inside)
    )


@given(lungs_drawn, lesions_drawn, densities_drawn)
def test_percentages_do_not_depend_on_the_voxel_size(lungs, lesions, densities_hu):
    split = [np.repeat(np.repeat(a, 2, axis=0), 3, axis=2) for a in (lungs, lesions, densities_hu)]
    for score in (percentage_of_opacity, percentage_of_high_opacity):
        coarse = score(volume(lungs, lesions, densities_hu))
        fine = score(volume(*split, spacing_mm=(1.0, 1.0, 0.5 / 3)))
        assert fine.value == pytest.approx(coarse.value)
        assert fine.parts == pytest.approx(coarse.parts)

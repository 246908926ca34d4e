import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundglass.errors import NotMeasurableError
from groundglass.labels import Lobe
from groundglass.severity import (
    ct_score_by_lobe,
    lung_high_opacity_score,
    lung_severity_score,
    total_severity_score,
)
from tests.severity.findings import in_parts, pictures, volume

QUARTERS = (lung_severity_score, lung_high_opacity_score, total_severity_score)
ALL = (*QUARTERS, ct_score_by_lobe)
half_percents = st.lists(
    st.integers(0, 200).map(lambda n: n / 2), min_size=len(Lobe), max_size=len(Lobe)
)


@pytest.mark.parametrize("score", QUARTERS)
@pytest.mark.parametrize(
    ("percents", "grades"),
    [
        ([0, 0.5, 25, 25.5, 50], [0, 1, 1, 2, 2]),
        ([50.5, 75, 75.5, 100, 12], [3, 3, 4, 4, 1]),
        ([100, 100, 100, 100, 100], [4, 4, 4, 4, 4]),
    ],
)
def test_quarters_are_graded_as_published(score, percents, grades):
    found = score(in_parts(percents, Lobe))
    assert found.parts == {lobe.title: g for lobe, g in zip(Lobe, grades, strict=True)}
    assert found.value == sum(grades)
    assert (found.minimum, found.maximum) == (0, 20)


@pytest.mark.parametrize(
    ("percents", "grades"),
    [
        ([0, 0.5, 4.5, 5, 25], [0, 1, 1, 2, 2]),
        ([25.5, 49.5, 50, 75, 75.5], [3, 3, 4, 4, 5]),
        ([100, 100, 100, 100, 100], [5, 5, 5, 5, 5]),
    ],
)
def test_fifths_are_graded_as_published(percents, grades):
    found = ct_score_by_lobe(in_parts(percents, Lobe))
    assert list(found.parts.values()) == grades
    assert found.value == sum(grades)
    assert found.maximum == 25


@pytest.mark.parametrize("score", ALL)
def test_with_lobes_missing_a_sum_below_a_cut_off_means_nothing(score):
    lost = volume([[[1, 1, 1]]], [[[1, 1, 1]]], [[[0, 0, 0]]])
    found = score(lost)
    assert found.value == max(found.parts.values()) > 0
    assert found.caution.startswith("4 of 5 lobes hold no lung")
    assert found.meaning is None


def test_high_opacity_alone_counts_for_the_high_opacity_score():
    lobes = [[[1, 1, 1, 1, 5, 5]]]
    lesions = [[[1, 1, 2, 0, 2, 2]]]
    densities = [[[-500, -201, -200, 50, -300, -250]]]
    findings = volume([[[1, 1, 1, 1, 2, 2]]], lesions, densities, lobes=lobes)
    assert lung_high_opacity_score(findings).parts == {"right upper lobe": 1, "left lower lobe": 0}
    assert lung_severity_score(findings).parts == {"right upper lobe": 3, "left lower lobe": 4}


@pytest.mark.parametrize(
    ("percents", "words"), [([30, 30, 30, 10, 0], "below"), ([30] * 4 + [1], "above")]
)
def test_the_total_score_says_on_which_side_of_its_cut_off_it_lies(percents, words):
    found = total_severity_score(in_parts(percents, Lobe))
    assert found.value == (7 if words == "below" else 9)
    assert found.meaning.startswith(f"{words} 7.5")


def test_a_lobe_without_a_voxel_has_no_part():
    found = lung_severity_score(volume([[[1, 1]]], [[[1, 0]]], lobes=[[[2, 2]]]))
    assert found.parts == {"right middle lobe": 2}


def test_a_lobe_outside_the_lungs_does_not_count():
    found = lung_severity_score(volume([[[1, 0]]], [[[0, 1]]], lobes=[[[2, 2]]]))
    assert found.parts == {"right middle lobe": 0}


@pytest.mark.parametrize("score", ALL)
def test_pictures_have_no_lobes(score):
    with pytest.raises(NotMeasurableError):
        score(pictures([[[1, 2]]], [[[1, 0]]]))


@given(half_percents, half_percents)
def test_more_opacity_never_lowers_a_score(one, other):
    less, more = (in_parts(choose(one, other), Lobe) for choose in (np.minimum, np.maximum))
    for score in ALL:
        assert score(less).value <= score(more).value


@given(half_percents)
def test_the_score_is_the_sum_of_its_parts_within_its_range(percents):
    for score in ALL:
        found = score(in_parts(percents, Lobe))
        assert found.value == sum(found.parts.values())
        assert found.minimum <= found.value <= found.maximum


@pytest.mark.parametrize("score", ALL)
def test_no_opacity_is_zero_everywhere(score):
    found = score(in_parts([0] * 5, Lobe))
    assert found.value == 0
    assert set(found.parts.values()) == {0}


@given(half_percents, st.sampled_from([0.3, 1.0, 5.0]))
def test_larger_voxels_leave_the_scores_alone(percents, millimeters):
    findings = in_parts(percents, Lobe)
    masks = (m.array for m in (findings.lungs, findings.lesions))
    scaled = volume(*masks, findings.scan.slices, (millimeters,) * 3, findings.lobes.array)
    for score in ALL:
        assert score(scaled) == score(findings)


@given(half_percents)
def test_mirrored_anatomy_with_its_lobes_mirrored_has_mirrored_parts(percents):
    """Sides swap their lobes; the middle lobe, which has no partner, is left empty."""
    partner = np.array([0, 4, 0, 5, 1, 3], np.uint8)
    findings = in_parts(percents, Lobe)
    kept = findings.lobes.array != int(Lobe.RIGHT_MIDDLE)
    lungs, lesions = findings.lungs.array * kept, findings.lesions.array
    lobes = findings.lobes.array * kept
    here = volume(lungs, lesions, findings.scan.slices, lobes=lobes)
    there = volume(
        np.array([0, 2, 1], np.uint8)[lungs][..., ::-1],
        lesions[..., ::-1],
        findings.scan.slices[..., ::-1],
        lobes=partner[lobes][..., ::-1],
    )
    for score in ALL:
        before, after = score(here), score(there)
        assert after.value == before.value
        assert after.parts["left lower lobe"] == before.parts["right lower lobe"]
        assert after.parts["right upper lobe"] == before.parts["left upper lobe"]

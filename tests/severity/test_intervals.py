"""Intervals of scores: laws that hold for every mask, and cases worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from groundglass.data.phantom import make_phantom
from groundglass.findings import Findings
from groundglass.labels import Lesion, Lung
from groundglass.lungs.regions import find_regions
from groundglass.mask import Mask
from groundglass.severity import SCORES, score_all
from groundglass.severity.intervals import (
    CUT_OFFS,
    SAME_VALUE,
    WITHOUT_LESIONS,
    cut_to_lungs,
    moved_boundary,
    score_with_intervals,
)
from tests.severity.findings import (
    densities_drawn,
    label_maps,
    lesions_drawn,
    lungs_drawn,
    pictures,
    volume,
)

R, L = Lung.RIGHT, Lung.LEFT
GGO, CON, EFF = Lesion.GROUND_GLASS, Lesion.CONSOLIDATION, Lesion.PLEURAL_EFFUSION
GROWS_WITH_LESIONS = (
    "percentage_of_opacity",
    "percentage_of_high_opacity",
    "opacity_volume_ml",
    "ct_severity_score",
    "total_severity_score",
    "ct_score_by_lobe",
    "mosmed_category",
    "fung_grade",
)
"""Scores that no further lesion can lower."""

FACES = ndimage.generate_binary_structure(3, 1)


def by_name(findings, variants=()):
    return {score.name: score for score in score_with_intervals(findings, variants)[0]}


@given(lungs_drawn, lesions_drawn, densities_drawn)
def test_a_value_lies_within_its_interval(lungs, lesions, voxels_hu):
    for score in by_name(volume(lungs, lesions, voxels_hu)).values():
        if score.interval is not None:
            assert score.interval[0] <= score.value <= score.interval[1]


@given(lungs_drawn, lesions_drawn, label_maps([GGO]), densities_drawn)
def test_more_lesion_never_lowers_either_end(lungs, lesions, more, voxels_hu):
    few = by_name(volume(lungs, lesions, voxels_hu))
    many = by_name(volume(lungs, np.where(np.isin(lesions, [0, EFF]), more, lesions), voxels_hu))
    for name in GROWS_WITH_LESIONS:
        for end in (0, 1):
            assert few[name].interval[end] <= many[name].interval[end]


@given(lungs_drawn)
def test_lungs_without_lesions_are_surely_without(lungs):
    for name in GROWS_WITH_LESIONS:
        score = by_name(volume(lungs, np.zeros_like(lungs)))[name]
        assert score.interval == (0.0, 0.0)
        assert "interval" not in (score.caution or "")


@given(lungs_drawn)
def test_lungs_full_of_lesion_are_surely_full(lungs):
    scores = by_name(volume(lungs, np.full_like(lungs, CON)))
    assert scores["percentage_of_opacity"].interval == (100.0, 100.0)


@given(lungs_drawn, lesions_drawn, st.booleans())
def test_the_boundary_moves_as_by_plain_morphology(lungs, lesions, outward):
    findings = volume(lungs, lesions)
    moved = moved_boundary(findings.lungs, findings.lesions, outward=outward).array
    inside = lungs > 0
    opacity = inside & np.isin(lesions, [1, 2, 3])
    grown = ndimage.binary_dilation(opacity, FACES) & inside
    shrunk = opacity & ~ndimage.binary_dilation(inside & ~opacity, FACES)
    np.testing.assert_array_equal(moved > 0, grown if outward else shrunk)
    kept = opacity & (moved > 0)
    np.testing.assert_array_equal(moved[kept], lesions[kept])


@given(lungs_drawn, lesions_drawn, densities_drawn)
def test_the_box_around_the_lungs_holds_all_that_counts(lungs, lesions, voxels_hu):
    findings = volume(lungs, lesions, voxels_hu)
    assert score_all(findings) == score_all(cut_to_lungs(findings))


@given(lungs_drawn, lesions_drawn, lesions_drawn, densities_drawn)
def test_scores_without_an_interval_do_not_look_at_lesions(lungs, one, other, voxels_hu):
    first, second = by_name(volume(lungs, one, voxels_hu)), by_name(volume(lungs, other, voxels_hu))
    for name in WITHOUT_LESIONS:
        assert first[name].interval is None
        assert first[name] == second[name]


def test_every_other_score_of_a_lesion_has_an_interval():
    scores = by_name(volume([[[R, R, R, L, L]]], [[[0, GGO, GGO, 0, 0]]]))
    missing = {name for name, score in scores.items() if score.interval is None}
    assert missing == WITHOUT_LESIONS
    for name, other in SAME_VALUE.items():
        assert SCORES[name](volume([[[R, L]]], [[[GGO, 0]]])).value == pytest.approx(
            SCORES[other](volume([[[R, L]]], [[[GGO, 0]]])).value
        )


def test_a_row_of_lung_worked_by_hand():
    """Of ten voxels three are lesion; one of them lies at the pleura, which is no boundary."""
    lungs = [[[R] * 10 + [0]]]
    lesions = [[[GGO, GGO, CON, 0, 0, 0, 0, 0, 0, 0, GGO]]]
    scores = by_name(volume(lungs, lesions))
    assert scores["percentage_of_opacity"].value == pytest.approx(30.0)
    assert scores["percentage_of_opacity"].interval == pytest.approx((20.0, 40.0))
    assert scores["percentage_of_consolidation"].interval == pytest.approx((0.0, 20.0))
    assert scores["percentage_of_ground_glass"].interval == pytest.approx((20.0, 20.0))


def test_a_voxel_between_two_kinds_joins_the_denser():
    findings = volume([[[R, R, R]]], [[[GGO, 0, CON]]])
    moved = moved_boundary(findings.lungs, findings.lesions, outward=True)
    assert moved.array.tolist() == [[[GGO, CON, CON]]]


def test_the_neighbors_of_a_picture_are_within_it():
    empty, full = [[R, R, R]], [[R, R, R]]
    findings = pictures([empty, full], [[[0, 0, 0]], [[GGO, 0, 0]]])
    moved = moved_boundary(findings.lungs, findings.lesions, outward=True)
    assert [s.tolist() for s in moved.slices] == [[[0, 0, 0]], [[GGO, GGO, 0]]]
    (scores, notes) = score_with_intervals(findings)
    assert scores[0].interval == pytest.approx((0.0, 100 * 2 / 6))
    assert notes == score_all(findings)[1]


@pytest.mark.parametrize(
    ("lesion_voxels", "interval", "said"),
    [(20, (1.0, 1.0), False), (25, (1.0, 2.0), True), (30, (2.0, 2.0), False)],
)
def test_a_category_that_could_be_another_one_says_so(lesion_voxels, interval, said):
    """One step in or out on a row of 100 voxels is one per cent."""
    score = by_name(volume([[[R] * 100]], [[[GGO] * lesion_voxels + [0] * (100 - lesion_voxels)]]))[
        "mosmed_category"
    ]
    assert score.interval == interval
    assert (score.caution is not None) == said
    if said:
        assert "1 to 2" in score.caution


def test_variants_of_the_system_widen_the_interval():
    findings = volume([[[R] * 10]], [[[GGO] * 3 + [0] * 7]])
    more = Mask.on(findings.scan, np.array([[[GGO] * 6 + [0] * 4]]), Lesion)
    fewer = Mask.on(findings.scan, np.array([[[0] * 10]]), Lesion)
    score = by_name(findings, [more])["percentage_of_opacity"]
    assert score.interval == pytest.approx((20.0, 60.0))
    score = by_name(findings, [more, fewer])["percentage_of_opacity"]
    assert score.interval == pytest.approx((0.0, 60.0))
    assert score.value == pytest.approx(30.0)


def test_every_cut_off_belongs_to_a_score():
    assert set(CUT_OFFS) <= set(SCORES)
    for name, bounds in CUT_OFFS.items():
        definition = SCORES[name](volume([[[R, L]]], [[[GGO, 0]]])).definition
        assert name.endswith(("category", "grade")) or all(f"{b:g}" in definition for b in bounds)


@pytest.mark.slow
def test_three_times_the_scores_of_a_large_scan_take_seconds():
    from time import process_time

    made = make_phantom(0, shape=(300, 512, 512))
    found = find_regions(made.scan, made.lungs)
    findings = Findings(made.scan, made.lungs, made.lesions, found.lobes, found.regions)
    start = process_time()
    score_with_intervals(findings)
    assert process_time() - start < 20.0  # of processor; 10 s on two free cores

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from groundglass.analyze import analyze
from groundglass.systems.cleaning import SURE, clean_lesions

DATA = Path(
    os.environ.get("GROUNDGLASS_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")
)
VOXEL_ML = 0.004
"""A lesion then needs eight voxels."""

chances = hnp.arrays(np.float32, (3, 6, 6), elements=st.sampled_from(np.float32([0.1, 0.6, 0.9])))


def island(peak):
    """An island of 27 voxels at a chance of 0.6 with one voxel at its peak."""
    chance = np.zeros((5, 9, 9), np.float32)
    chance[1:4, 3:6, 3:6] = 0.6
    chance[2, 4, 4] = peak
    return chance


def test_an_island_that_nowhere_is_sure_is_left_out():
    chance = island(SURE - 0.01)
    assert not clean_lesions(chance > 0.5, VOXEL_ML, chance).any()


def test_an_island_with_a_sure_core_is_kept_whole():
    chance = island(SURE + 0.01)
    np.testing.assert_array_equal(clean_lesions(chance > 0.5, VOXEL_ML, chance), chance > 0.5)


def test_without_probabilities_islands_are_judged_by_size_alone():
    chance = island(SURE - 0.01)
    np.testing.assert_array_equal(clean_lesions(chance > 0.5, VOXEL_ML), chance > 0.5)
    chance[1:4] = 0.0
    chance[2, 4, 4] = 1.0
    assert not clean_lesions(chance > 0.5, VOXEL_ML).any()


def test_a_sure_voxel_outside_what_was_found_vouches_for_nothing():
    chance = island(SURE - 0.01)
    found = chance > 0.5
    chance[2, 4, 8] = 1.0
    assert not clean_lesions(found, VOXEL_ML, chance).any()


@given(chances)
def test_more_certainty_never_loses_a_voxel(chance):
    surer = np.where(chance > 0.5, np.float32(0.9), chance)
    fewer = clean_lesions(chance > 0.5, VOXEL_ML, chance)
    more = clean_lesions(chance > 0.5, VOXEL_ML, surer)
    assert not (fewer & ~more).any()
    assert not (more & ~(chance > 0.5)).any()


@pytest.mark.slow
@pytest.mark.reference
def test_a_healthy_scan_scores_zero_of_forty():
    folder = DATA / "covid-ct-md" / "normal001"
    if not folder.is_dir():
        pytest.skip("real scans are not here; set GROUNDGLASS_DATA")
    score = analyze(folder).score("ct_severity_score")
    assert score is not None
    assert score.value == 0


@pytest.mark.slow
@pytest.mark.reference
def test_small_lesions_of_a_sick_scan_are_kept():
    folder = DATA / "covid-ct-md" / "P001"
    if not folder.is_dir():
        pytest.skip("real scans are not here; set GROUNDGLASS_DATA")
    report = analyze(folder)
    score, count = report.score("ct_severity_score"), report.score("lesion_count")
    assert score is not None
    assert count is not None
    assert score.value >= 14
    assert count.value >= 12

import subprocess
import sys

import numpy as np
import pytest

from groundglass.labels import Lesion, Lung
from groundglass.severity import SCORES, score_all
from groundglass.severity.intervals import score_with_intervals
from tests.severity.findings import pictures, volume

R, L, GGO, UNK = Lung.RIGHT, Lung.LEFT, Lesion.GROUND_GLASS, Lesion.UNSPECIFIED
EFFUSION = Lesion.PLEURAL_EFFUSION
NEED_MILLIMETRES = {name for name in SCORES if name.endswith("_ml")}
NEED_A_VOLUME = {
    "percentage_of_high_opacity",
    "percentage_of_opacity_by_zone",
    "percentage_of_well_aerated_lung",
    "mean_lung_density_hu",
    "lesion_count",
    "mean_opacity_density_hu",
    "bilateral_disease",
}
NEED_REGIONS = {name for name in SCORES if name.startswith("lung_") and name.endswith("_score")} | {
    "ct_severity_score",
    "total_severity_score",
    "ct_score_by_lobe",
}
NEED_KINDS = {name for name in SCORES if "ground_glass" in name or "consolidation" in name}


def test_a_volume_has_every_score_in_reading_order():
    scores, notes = score_all(volume([[[R, L]]], [[[GGO, 0]]]))
    assert [s.name for s in scores] == list(SCORES)
    assert notes == ()


def test_pictures_have_the_percentages_and_one_note_on_the_rest():
    scores, (note,) = score_all(pictures([[[R, L]]], [[[GGO, 0]]]))
    left_out = NEED_MILLIMETRES | NEED_REGIONS | NEED_A_VOLUME
    assert {s.name for s in scores} == set(SCORES) - left_out
    assert note.name == "scores"
    assert all(name in note.message for name in left_out)
    assert "without Hounsfield units" in note.message
    assert "without a pixel size in mm" in note.message


def test_healthy_lungs_have_every_score_but_the_density_of_opacities():
    scores, (note,) = score_all(volume([[[R, L]]], [[[0, 0]]]))
    assert {s.name for s in scores} == set(SCORES) - {"mean_opacity_density_hu"}
    assert note.message == "Scores left out: mean_opacity_density_hu (no opacity)."


def test_lesions_of_unknown_kind_leave_out_the_kinds_and_say_so():
    scores, (note,) = score_all(volume([[[R, L]]], [[[UNK, 0]]]))
    assert {s.name for s in scores} == set(SCORES) - NEED_KINDS
    assert all(name in note.message for name in NEED_KINDS)
    assert "unknown kind" in note.message


@pytest.mark.parametrize("name", SCORES)
def test_a_score_carries_its_own_name_and_its_definition(name):
    score = SCORES[name](volume([[[R, L]]], [[[GGO, 0]]]))
    assert score.name == name == SCORES[name].__name__
    assert score.definition.endswith(".")


def test_scores_work_without_torch():
    code = "import groundglass.severity, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("seed", range(3))
def test_an_effusion_changes_no_score_and_no_interval_wherever_it_is_marked(seed):
    random = np.random.default_rng(seed)
    lungs, voxels_hu = random.integers(0, 3, (4, 9, 10)), random.integers(-950, 60, (4, 9, 10))
    lesions = random.choice([0, 0, 0, GGO, Lesion.CONSOLIDATION], lungs.shape)
    fluid = np.where((lesions == 0) & (random.random(lungs.shape) < 0.5), EFFUSION, lesions)
    assert (fluid[lungs > 0] == EFFUSION).any()
    assert (fluid[lungs == 0] == EFFUSION).any()
    dry, wet = (score_with_intervals(volume(lungs, m, voxels_hu)) for m in (lesions, fluid))
    assert wet == dry
    assert [score.name for score in wet[0]] == list(SCORES)
    assert any(score.interval for score in wet[0])

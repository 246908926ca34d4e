import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundglass.labels import Lesion, Lung
from groundglass.severity import mosmed_category
from groundglass.severity.mosmed import grade_of
from tests.severity.findings import pictures, volume


@pytest.mark.parametrize(
    ("percent", "grade"),
    [
        (0.0, 0),
        (0.001, 1),
        (25.0, 1),
        (25.001, 2),
        (50.0, 2),
        (50.001, 3),
        (74.999, 3),
        (75.0, 4),
        (100.0, 4),
    ],
)
def test_the_boundaries_lie_where_the_definition_says(percent, grade):
    assert grade_of(percent) == grade


@given(st.floats(0, 100), st.floats(0, 100))
def test_a_higher_percentage_never_has_a_lower_grade(one, other):
    assert grade_of(min(one, other)) <= grade_of(max(one, other))


def lungs_with(right_percent, left_percent):
    """Lungs of 100 voxels each, opacified by so many per cent."""
    lungs = np.array([[[Lung.RIGHT] * 100, [Lung.LEFT] * 100]])
    filled = np.arange(100) < np.array([[right_percent], [left_percent]])
    return lungs, np.where(filled, int(Lesion.GROUND_GLASS), 0)[None]


def test_the_scan_is_graded_by_both_lungs_together_and_each_lung_by_itself():
    found = mosmed_category(volume(*lungs_with(60, 20)))
    assert found.value == 2
    assert found.meaning.startswith("CT-2")
    assert found.parts == {"right lung": 3.0, "left lung": 1.0}
    assert (found.unit, found.maximum) == ("grade", 4.0)


def test_healthy_lungs_are_ct_0():
    found = mosmed_category(volume(*lungs_with(0, 0)))
    assert found.value == 0
    assert found.meaning == "CT-0: no opacity"


def test_pictures_are_graded_as_well():
    lungs, lesions = lungs_with(80, 90)
    assert mosmed_category(pictures(lungs, lesions)).value == 4

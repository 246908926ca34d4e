import numpy as np
import pytest

from groundglass.severity import fung_grade
from tests.severity.findings import volume


@pytest.mark.parametrize(
    ("opacified", "grade"), [(0, 0), (9, 0), (10, 1), (499, 1), (500, 2), (1000, 2)]
)
def test_the_grade_changes_at_1_and_at_50_percent(opacified, grade):
    lungs = np.ones((1, 1, 1000), int)
    found = fung_grade(volume(lungs, np.arange(1000)[None, None] < opacified))
    assert found.value == grade
    assert found.parts == {"right lung": grade}
    assert found.maximum == 2

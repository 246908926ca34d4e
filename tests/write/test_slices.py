import numpy as np
import pytest

from groundglass.labels import Lesion
from groundglass.write.slices import slice_table
from tests.write.samples import SHAPE, lesions_array, lungs_array, pictures, volume


def test_every_slice_counts_its_lungs_and_lesions():
    rows = slice_table(volume())
    lungs, lesions = lungs_array(), lesions_array()
    assert [row.index for row in rows] == list(range(SHAPE[0]))
    for row, lung, lesion in zip(rows, lungs, lesions, strict=True):
        assert row.lung_pixels == {"right lung": (lung == 1).sum(), "left lung": (lung == 2).sum()}
        inside = (lung > 0) & (lesion > 0)
        assert row.opacity == inside.sum()
        assert row.opacity_pixels["left lung"] == (inside & (lung == 2)).sum()
        expected = 100 * inside.sum() / (lung > 0).sum() if lung.any() else None
        assert row.percent == (None if expected is None else pytest.approx(expected))


def test_positions_rise_to_the_head():
    findings = volume()
    positions = [row.position_mm for row in slice_table(findings)]
    assert positions[0] == pytest.approx(-140.25)
    assert np.allclose(np.diff(positions), -2.5)


def test_a_slice_without_lung_has_no_share():
    rows = slice_table(volume())
    assert rows[0].lung == 0
    assert rows[0].percent is None


def test_an_effusion_is_counted_but_is_no_opacity():
    lesions = np.zeros(SHAPE, np.uint8)
    lesions[10, :4] = Lesion.PLEURAL_EFFUSION
    row = slice_table(volume(lesions=lesions))[10]
    assert row.lesion_pixels == {"pleural effusion": 4 * SHAPE[2]}
    assert row.opacity == 0
    assert row.percent == 0.0


def test_pictures_have_names_and_no_positions():
    rows = slice_table(pictures(("x", "y \udc80")))
    assert [(row.name, row.position_mm) for row in rows] == [("x", None), ("y ?", None)]

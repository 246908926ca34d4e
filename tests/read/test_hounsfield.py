"""Which values can be Hounsfield units of a chest, and what becomes of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from groundglass.errors import UnreadableScanError
from groundglass.read.hounsfield import Tally, check_hounsfield_units
from groundglass.read.oddities import Oddities
from tests.read.tiny_chest import tiny_chest

CHEST = tiny_chest().slices


@given(
    arrays.arrays(np.uint16, (4, 5), elements=st.integers(0, 4095)),
    st.sampled_from([(1.0, -1024.0), (2.0, -1000.0), (0.5, 10.25), (1.0, 0.5), (-1.0, 0.0)]),
)
def test_stored_values_become_whole_hounsfield_units(stored, rescale) -> None:
    tally = Tally()
    found = tally.whole_units(stored, *rescale)
    exact = stored.astype(float) * rescale[0] + rescale[1]
    assert found.dtype == np.int16
    np.testing.assert_allclose(found, exact, atol=0.5)
    assert (tally.low, tally.high) == (exact.min(), exact.max())


def test_values_beyond_int16_are_cut_and_counted() -> None:
    tally = Tally()
    found = tally.whole_units(np.array([[0, 65535, 40000]], np.uint16), 1, -1024)
    assert found.tolist() == [[-1024, 32767, 32767]]
    assert tally.cut == 2


def test_four_byte_values_do_not_overflow() -> None:
    found = Tally().whole_units(np.array([2**31 - 1, -(2**31)], np.int32), 1, 1000)
    assert found.tolist() == [32767, -32768]


def test_a_chest_with_a_little_metal_is_noted_and_kept() -> None:
    tally, oddities = Tally(), Oddities()
    metal = CHEST.astype(np.int32)
    metal[0, 0, :20] = 60000
    check_hounsfield_units(tally.whole_units(metal), tally, oddities)
    assert [note.name for note in oddities.notes] == ["cut-values"]


def test_values_that_end_at_400_are_noted() -> None:
    tally, oddities = Tally(), Oddities()
    bone = np.where(CHEST > 60, 500, CHEST)
    check_hounsfield_units(tally.whole_units(np.minimum(bone, 400)), tally, oddities)
    assert [note.name for note in oddities.notes] == ["clipped"]
    assert "end at 400 HU" in oddities.notes[0].message


@pytest.mark.parametrize("padding", [-1024, -2000, -2048, -3024])
def test_what_scanners_put_outside_their_circle_is_fine(padding) -> None:
    tally, oddities = Tally(), Oddities()
    padded = np.where(CHEST < -980, padding, CHEST).astype(np.int16)
    voxels = tally.whole_units(padded)
    check_hounsfield_units(voxels, tally, oddities)
    np.testing.assert_array_equal(voxels, padded)
    assert oddities.notes == ()


def test_an_offset_is_never_taken_off_unasked() -> None:
    tally = Tally()
    voxels = tally.whole_units(CHEST.astype(np.int32) + 1024)
    with pytest.raises(UnreadableScanError, match="offset-1024"):
        check_hounsfield_units(voxels, tally, Oddities(["gap"]))

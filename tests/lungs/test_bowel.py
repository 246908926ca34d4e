import numpy as np
import pytest

from groundglass.lungs.bowel import find_bowel
from groundglass.lungs.coarse import CoarseScan

LUNG_HU, GAS_HU, TIP_HU = -850, -960, -800
TOP, BOTTOM = 2, 9
LARGE = np.s_[:, 5:45, 5:45]
SMALL = np.s_[30:42, 52:64]


@pytest.fixture
def scan():
    """A lung on every slice, and beside it a small piece to be filled in."""
    hu = np.full((12, 64, 80), 40, np.int16)
    hu[LARGE] = LUNG_HU
    return CoarseScan(hu, (2.0, 1.5, 1.5), (1, 1, 1))


def with_piece(scan, number, hu):
    scan.hu[(number, *SMALL)] = hu


def lungs_of(scan):
    return (scan.hu < -300).astype(np.uint8)


def test_gas_beside_the_lower_lung_is_bowel(scan):
    with_piece(scan, BOTTOM, GAS_HU)
    bowel = find_bowel(scan, lungs_of(scan))
    assert bowel[(BOTTOM, *SMALL)].all()
    assert bowel.sum() == bowel[(BOTTOM, *SMALL)].size


def test_the_tip_of_a_lung_is_not(scan):
    with_piece(scan, BOTTOM, TIP_HU)
    assert not find_bowel(scan, lungs_of(scan)).any()


def test_nothing_is_looked_for_in_the_upper_half(scan):
    with_piece(scan, TOP, GAS_HU)
    assert not find_bowel(scan, lungs_of(scan)).any()


def test_what_hangs_together_with_gas_above_or_below_is_bowel_as_well(scan):
    """A thin part of the same loop, whose voxels are half gut."""
    for number, hu in ((BOTTOM - 1, TIP_HU), (BOTTOM, GAS_HU), (BOTTOM + 1, TIP_HU)):
        with_piece(scan, number, hu)
    bowel = find_bowel(scan, lungs_of(scan))
    assert bowel[BOTTOM - 1 : BOTTOM + 2].any((1, 2)).all()


def test_a_bronchus_and_the_consolidated_lung_above_and_below_it_are_not(scan):
    for number in (BOTTOM - 1, BOTTOM, BOTTOM + 1):
        with_piece(scan, number, -500)
    scan.hu[BOTTOM, 33:40, 55:62] = GAS_HU  # 110 mm2
    air = lungs_of(scan)
    air[(BOTTOM, *SMALL)] = 0
    air[BOTTOM, 33:40, 55:62] = 1
    assert not find_bowel(scan, air).any()


def test_an_emphysematous_lung_keeps_its_tips(scan):
    scan.hu[LARGE] = -940
    with_piece(scan, BOTTOM, -940)
    assert not find_bowel(scan, lungs_of(scan)).any()


def test_no_lungs_no_bowel(scan):
    assert not find_bowel(scan, np.zeros(scan.hu.shape, np.uint8)).any()

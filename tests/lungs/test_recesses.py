"""Thin tips of the lungs that a network lost are found again; bowel and bronchi are not."""

import numpy as np
import pytest

from groundglass.lungs.coarse import CoarseScan
from groundglass.lungs.recesses import find_recesses

LUNG_HU, GAS_HU, TISSUE_HU = -850, -960, 40
TOP, BOTTOM = 2, 8
LARGE = np.s_[5:45, 5:45]
TIP = np.s_[45:57, 10:18]
BESIDE = np.s_[50:60, 60:72]


@pytest.fixture
def scan() -> CoarseScan:
    """A lung on nine slices, which on slices 2 and 8 goes on in a tip."""
    hu = np.full((12, 64, 80), TISSUE_HU, np.int16)
    hu[(slice(0, 9), *LARGE)] = LUNG_HU
    hu[(TOP, *TIP)] = hu[(BOTTOM, *TIP)] = LUNG_HU
    return CoarseScan(hu, (2.0, 1.5, 1.5), (1, 1, 1))


def found_by_network() -> np.ndarray:
    """The lung without its tips."""
    lungs = np.zeros((12, 64, 80), bool)
    lungs[(slice(0, 9), *LARGE)] = True
    return lungs


def recesses(scan: CoarseScan) -> np.ndarray:
    air = (scan.hu < -300).astype(np.uint8)
    return find_recesses(scan, air, found_by_network())


def test_a_tip_beside_the_lower_lung_is_added_and_no_airway_of_the_upper(scan: CoarseScan) -> None:
    added = recesses(scan)
    assert added[(BOTTOM, *TIP)].all()
    assert added.sum() == added[(BOTTOM, *TIP)].size


def test_a_tip_goes_on_below_the_last_slice_of_lung(scan: CoarseScan) -> None:
    scan.hu[(slice(9, 11), *TIP)] = LUNG_HU
    added = recesses(scan)
    assert added[(slice(BOTTOM, 11), *TIP)].all()


def test_gas_and_what_touches_no_lung_are_left_out(scan: CoarseScan) -> None:
    scan.hu[(BOTTOM, *TIP)] = GAS_HU
    scan.hu[(BOTTOM, *BESIDE)] = LUNG_HU
    assert not recesses(scan).any()


def test_a_large_piece_of_air_is_no_tip(scan: CoarseScan) -> None:
    scan.hu[BOTTOM, 45:64, 5:45] = LUNG_HU  # 1,710 mm2
    assert not recesses(scan).any()


def test_no_lungs_no_tips(scan: CoarseScan) -> None:
    air = (scan.hu < -300).astype(np.uint8)
    assert not find_recesses(scan, air, np.zeros(air.shape, bool)).any()

import numpy as np
import pytest

from groundglass.data.phantom import Phantom, make_phantom
from groundglass.errors import EmptyMaskError
from groundglass.labels import Lesion, Lobe, Lung
from groundglass.lungs import find_lungs
from groundglass.lungs.hull import lungs_by_hull
from groundglass.scan import CTScan


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom(3, shape=(30, 128, 128))


def test_the_hull_holds_the_lungs_with_their_consolidation(phantom: Phantom) -> None:
    found, notes = find_lungs(phantom.scan, "hull")
    lungs = phantom.lungs.array > 0
    assert not notes
    assert (found.array > 0)[lungs].mean() > 0.95
    dense = lungs & (phantom.lesions.array == Lesion.CONSOLIDATION)
    assert (found.array > 0)[dense].mean() > 0.8


def test_right_is_right(phantom: Phantom) -> None:
    found, _ = lungs_by_hull(phantom.scan)
    for lung in Lung:
        own = phantom.lungs.array == lung
        assert (found.array[own] == lung).mean() > 0.9


def test_a_scan_without_air_within_is_refused(phantom: Phantom) -> None:
    solid = np.full_like(phantom.scan.slices, 40)
    with pytest.raises(EmptyMaskError, match="no air within the body"):
        lungs_by_hull(CTScan(phantom.scan.voxels.with_array(solid), phantom.scan.source))


def test_a_lung_that_is_lost_is_said(phantom: Phantom) -> None:
    one = phantom.scan.slices.copy()
    left = np.isin(phantom.lobes.array, (Lobe.LEFT_UPPER, Lobe.LEFT_LOWER))
    one[left] = 30
    _, notes = lungs_by_hull(CTScan(phantom.scan.voxels.with_array(one), phantom.scan.source))
    assert {note.name for note in notes} == {"hull-failed"}
    assert "lacks the left lung" in notes[0].message

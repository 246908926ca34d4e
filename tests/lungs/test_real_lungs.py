import os
from pathlib import Path

import numpy as np
import pytest

from groundglass.labels import Lung
from groundglass.lungs import find_lungs
from groundglass.read import read
from groundglass.scan import CTScan, Source

DATA = Path(
    os.environ.get("GROUNDGLASS_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")
)

pytestmark = [pytest.mark.reference, pytest.mark.slow]


@pytest.fixture(scope="module", params=["P001", "normal001"])
def found(request):
    folder = DATA / "covid-ct-md" / request.param
    if not folder.exists():
        pytest.skip("real scans are not here; set GROUNDGLASS_DATA")
    scan = read(folder)
    return scan, *find_lungs(scan)


def test_lungs_have_the_size_of_an_adult_and_the_right_one_is_larger(found):
    _, mask, notes = found
    right, left = (np.sum(mask.array == lung) * mask.voxel_volume_ml for lung in Lung)
    assert 3400 < right + left < 7000
    assert left < right < 1.5 * left
    assert notes == ()


def test_lungs_hold_air_and_little_else(found):
    scan, mask, _ = found
    hu = scan.slices[mask.array > 0]
    assert -900 < np.median(hu) < -780
    # vessels and patches of consolidation; the heart or the liver would be more
    assert np.mean(hu > -200) < 0.07
    assert np.mean(hu < -960) < 0.02


def test_each_lung_is_nearly_one_piece(found):
    cc3d = pytest.importorskip("cc3d")
    _, mask, _ = found
    for lung in Lung:
        inside = mask.array == lung
        largest = cc3d.largest_k(inside, k=1, connectivity=26)
        assert np.sum(largest > 0) > 0.995 * inside.sum()


@pytest.mark.parametrize("step", [1, 4], ids=["2 mm", "8 mm"])
def test_no_part_of_a_slice_is_fat_or_bowel_below_the_lungs(found, step):
    """Fat beside the bowel has no lung around it; gas in it is darker than lung."""
    cc3d = pytest.importorskip("cc3d")
    scan, mask, _ = found
    if step > 1:
        scan = CTScan(scan.voxels[::step], Source("thick", "slices left out"))
        mask, _ = find_lungs(scan)
    lung_hu = np.median(scan.slices[mask.array > 0])
    lower = len(mask.array) // 2
    for pixels, hu in zip(mask.array[lower:], scan.slices[lower:], strict=True):
        parts = cc3d.connected_components((pixels > 0).view(np.uint8), connectivity=4)
        sizes = np.bincount(parts.ravel())
        for part in np.flatnonzero(sizes > 100)[1:]:
            assert lung_hu - 60 < np.median(hu[parts == part]) < -300

import numpy as np
import pytest
from scipy import ndimage

from groundglass.data.phantom import make_phantom
from groundglass.labels import Lung
from groundglass.lungs.dense import add_dense_lung, doubtful_slices
from groundglass.mask import Mask
from groundglass.scan import CTScan, Source

TISSUE_HU, AIR_HU = 40, -950


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(shape=(40, 160, 160), lesions=())


def block_in(phantom, side, half=6):
    """A block well within one lung, true inside, over seven slices."""
    lung = phantom.lungs.array == side
    deepest = ndimage.distance_transform_edt(lung[20]).argmax()
    row, column = np.unravel_index(deepest, lung[20].shape)
    block = np.zeros(lung.shape, bool)
    block[17:24, row - half : row + half + 1, column - half : column + half + 1] = True
    return block & lung


def case(phantom, block, hu):
    """The scan with a block of some density, and its lungs without the block."""
    voxels = np.where(block, np.int16(hu), phantom.scan.slices)
    scan = CTScan(phantom.scan.voxels.with_array(voxels), Source("changed", "phantom"))
    return scan, Mask.on(scan, np.where(block, 0, phantom.lungs.array).astype(np.uint8), Lung)


def look_of(seen):
    asked = []

    def look(numbers):
        asked.extend(numbers)
        return (seen[number].astype(np.float32) for number in numbers)

    return look, asked


@pytest.mark.parametrize("side", list(Lung))
def test_consolidation_within_a_lung_becomes_part_of_that_lung(phantom, side):
    block = block_in(phantom, side)
    scan, lungs = case(phantom, block, TISSUE_HU)
    look, asked = look_of(phantom.lungs.array > 0)
    found, notes = add_dense_lung(scan, lungs, look)
    assert set(np.flatnonzero(block.any((1, 2)))) <= set(asked)
    assert (found.array[block] == side).mean() > 0.95
    assert (found.array[~block] == lungs.array[~block]).all()
    (note,) = notes
    assert note.name == "dense-lung-added"
    added_ml = np.count_nonzero(found.array != lungs.array) * lungs.voxel_volume_ml
    assert f"{added_ml:.0f} ml" in note.message


def test_tissue_within_a_lung_that_the_network_calls_something_else_is_left_alone(phantom):
    block = block_in(phantom, Lung.RIGHT)
    scan, lungs = case(phantom, block, TISSUE_HU)
    look, asked = look_of(lungs.array > 0)
    found, notes = add_dense_lung(scan, lungs, look)
    assert asked
    assert (found.array == lungs.array).all()
    assert notes == ()


def test_a_network_that_sees_lung_everywhere_adds_no_wall_no_heart_and_no_bowel(phantom):
    scan, lungs = case(phantom, block_in(phantom, Lung.LEFT), TISSUE_HU)
    look, _ = look_of(np.ones(lungs.array.shape, bool))
    found, _ = add_dense_lung(scan, lungs, look)
    added = (found.array > 0) & (lungs.array == 0)
    assert added.any()
    outside = phantom.lungs.array == 0
    assert (added & outside).sum() < 0.02 * outside.sum()


def test_air_within_a_lung_is_not_asked_about(phantom):
    block = block_in(phantom, Lung.RIGHT)
    scan, lungs = case(phantom, block, AIR_HU)
    plain = doubtful_slices(phantom.scan, phantom.lungs)
    assert doubtful_slices(scan, lungs) == plain


def test_air_that_the_network_calls_lung_is_not_added(phantom):
    dense, airy = block_in(phantom, Lung.RIGHT), block_in(phantom, Lung.LEFT)
    scan, lungs = case(phantom, dense, TISSUE_HU)
    voxels = np.where(airy, np.int16(AIR_HU), scan.slices)
    scan = CTScan(scan.voxels.with_array(voxels), Source("changed", "phantom"))
    lungs = Mask.on(scan, np.where(airy, 0, lungs.array).astype(np.uint8), Lung)
    look, asked = look_of(phantom.lungs.array > 0)
    found, _ = add_dense_lung(scan, lungs, look)
    assert asked
    assert not found.array[airy].any()
    assert found.array[dense].any()


def test_healthy_lungs_leave_few_slices_in_doubt(phantom):
    assert len(doubtful_slices(phantom.scan, phantom.lungs)) < len(phantom.scan.slices) / 3

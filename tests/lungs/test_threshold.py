import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundglass.data.phantom import LesionSpec, make_phantom
from groundglass.errors import EmptyMaskError, UnknownNameError
from groundglass.labels import Lesion, Lobe, Lung
from groundglass.lungs import find_lungs
from groundglass.scan import CTScan, Source

SHAPE = (60, 160, 160)


def dice(first, second):
    return 2 * np.sum(first & second) / (first.sum() + second.sum())


def scan_of(phantom, voxels):
    changed = phantom.scan.voxels.with_array(np.ascontiguousarray(voxels))
    return CTScan(changed, Source("changed", "phantom"))


def assert_found(scan, truth, least=0.97):
    lungs = find_lungs(scan)[0].array
    for side in Lung:
        assert dice(lungs == side, truth == side) > least


@pytest.fixture(scope="module")
def healthy():
    return make_phantom(shape=SHAPE, lesions=())


@pytest.mark.parametrize("seed", [1, 2])
def test_both_lungs_of_a_sick_phantom_are_found(seed):
    phantom = make_phantom(seed, shape=SHAPE)
    assert_found(phantom.scan, phantom.lungs.array)


def test_a_scan_that_shows_all_of_both_lungs_needs_no_note(healthy):
    assert find_lungs(healthy.scan)[1] == ()


def test_a_mirrored_scan_gives_mirrored_lungs(healthy):
    lungs = find_lungs(healthy.scan)[0].array
    mirrored = find_lungs(scan_of(healthy, healthy.scan.slices[:, :, ::-1]))[0].array[:, :, ::-1]
    for side, other in ((Lung.RIGHT, Lung.LEFT), (Lung.LEFT, Lung.RIGHT)):
        assert dice(lungs == side, mirrored == other) > 0.99


def test_lungs_that_touch_are_told_apart(healthy):
    lungs, truth = find_lungs(healthy.scan)[0].array, healthy.lungs.array
    one_voxel_apart = (truth[:, :, :-2] == Lung.RIGHT) & (truth[:, :, 2:] == Lung.LEFT)
    assert one_voxel_apart.sum() > 200, "the phantom's lungs no longer touch"
    for side, other in ((Lung.RIGHT, Lung.LEFT), (Lung.LEFT, Lung.RIGHT)):
        strayed = (lungs == side) & (truth == other)
        assert strayed.sum() < 0.005 * (truth == other).sum()


def test_lungs_that_no_voxel_tells_apart_are_still_two():
    phantom = make_phantom(shape=(30, 80, 80), lesions=())
    assert_found(phantom.scan, phantom.lungs.array, least=0.95)


def air_outside_the_lungs(phantom):
    """Airways, oesophagus, stomach and bowel, away from the edge of the lungs."""
    scan, lungs = phantom.scan.slices, phantom.lungs.array > 0
    gas = (scan < -930) & ~lungs
    gas[:, :40] = gas[:, 120:] = False
    gas[:, :, :15] = gas[:, :, 145:] = False
    return gas


def test_trachea_and_main_bronchi_are_no_lung(healthy):
    airways = air_outside_the_lungs(healthy)
    airways[32:] = False
    assert airways.sum() > 800
    found = find_lungs(healthy.scan)[0].array > 0
    assert (found & airways).sum() < 0.03 * airways.sum()


def test_gas_in_stomach_and_bowel_is_no_lung(healthy):
    gas = air_outside_the_lungs(healthy)
    gas[:38] = False
    assert gas.sum() > 1500
    found = find_lungs(healthy.scan)[0].array > 0
    assert not (found & gas).any()


@pytest.mark.parametrize("lobe", [Lobe.RIGHT_LOWER, Lobe.LEFT_LOWER, Lobe.RIGHT_UPPER])
def test_consolidation_against_the_chest_wall_stays_lung(lobe):
    spec = LesionSpec(Lesion.CONSOLIDATION, lobe, 20.0)
    phantom = make_phantom(1, shape=SHAPE, lesions=[spec])
    lungs = find_lungs(phantom.scan)[0].array
    lesion = phantom.lesions.array == Lesion.CONSOLIDATION
    # what lies on the diaphragm looks like liver and is partly lost
    assert np.mean(lungs[lesion] > 0) > 0.65
    assert_found(phantom.scan, phantom.lungs.array)


def test_dense_ground_glass_stays_lung():
    specs = [LesionSpec(Lesion.GROUND_GLASS, lobe, 60.0) for lobe in Lobe]
    phantom = make_phantom(shape=SHAPE, lesions=specs)
    lungs = find_lungs(phantom.scan)[0].array
    lesion = phantom.lesions.array == Lesion.GROUND_GLASS
    assert np.mean(lungs[lesion] > 0) > 0.97


@pytest.mark.parametrize("lobe", [Lobe.RIGHT_LOWER, Lobe.LEFT_LOWER])
def test_an_effusion_is_no_lung_and_takes_none_with_it(lobe):
    spec = LesionSpec(Lesion.PLEURAL_EFFUSION, lobe, 20.0)
    phantom = make_phantom(shape=SHAPE, lesions=[spec])
    lungs = find_lungs(phantom.scan)[0].array
    effusion = phantom.lesions.array == Lesion.PLEURAL_EFFUSION
    assert np.mean(lungs[effusion] > 0) < 0.2
    assert_found(phantom.scan, phantom.lungs.array)


def with_foam(voxels):
    """The table filled with foam, which is as dense as lung."""
    table = voxels[:, 125:, 20:140]
    table[table < -200] = -885
    return voxels


def test_a_table_of_foam_is_no_lung(healthy):
    assert_found(scan_of(healthy, with_foam(healthy.scan.slices.copy())), healthy.lungs.array)


def test_a_patient_who_lies_prone_has_the_same_lungs(healthy):
    voxels = with_foam(healthy.scan.slices.copy())
    turned = voxels.copy()
    turned[:, :32] = voxels[:, 128:][:, ::-1]
    room = turned[:, 128:]
    room[room < -200] = -1000
    assert_found(scan_of(healthy, turned), healthy.lungs.array)


def test_arms_beside_the_body_change_nothing(healthy):
    voxels = healthy.scan.slices.copy()
    rows, columns = np.indices(SHAPE[1:])
    for column in (12, 148):
        voxels[:, np.hypot(rows - 90, columns - column) < 11] = 50
    assert_found(scan_of(healthy, voxels), healthy.lungs.array)


def test_padding_outside_the_circle_of_the_scanner_is_no_lung(healthy):
    voxels = healthy.scan.slices.copy()
    rows, columns = np.indices(SHAPE[1:])
    voxels[:, np.hypot(rows - 80, columns - 80) > 80] = -2000
    assert_found(scan_of(healthy, voxels), healthy.lungs.array)


@pytest.mark.parametrize("noise_hu", [5.0, 70.0])
def test_noise_changes_little(noise_hu):
    phantom = make_phantom(shape=SHAPE, lesions=(), noise_hu=noise_hu)
    assert_found(phantom.scan, phantom.lungs.array)


def test_emphysema_is_lung(healthy):
    voxels = healthy.scan.slices.copy()
    voxels[healthy.lungs.array > 0] -= 70
    assert_found(scan_of(healthy, voxels), healthy.lungs.array)


def test_contrast_medium_in_the_vessels_changes_nothing(healthy):
    voxels = healthy.scan.slices.copy()
    voxels[(voxels > 36) & (voxels < 48)] = 300
    assert_found(scan_of(healthy, voxels), healthy.lungs.array)


@pytest.mark.parametrize("shape", [(30, 256, 256), (100, 128, 128)])
def test_thick_slices_and_large_pixels_are_no_obstacle(shape):
    phantom = make_phantom(shape=shape, lesions=())
    assert_found(phantom.scan, phantom.lungs.array)


def test_lungs_cut_at_the_field_of_view_are_lungs():
    phantom = make_phantom(shape=SHAPE, spacing_mm=(5.0, 1.2, 1.2), lesions=())
    truth = phantom.lungs.array > 0
    assert truth[:, :, 0].any(), "the field of view no longer cuts the lungs"
    assert_found(phantom.scan, phantom.lungs.array)


def test_a_single_slice_is_enough(healthy):
    number = 30
    scan = CTScan(healthy.scan.voxels[number : number + 1], Source("slice", "phantom"))
    assert_found(scan, healthy.lungs.array[number : number + 1])


def test_a_scan_that_ends_within_the_lungs_is_noted(healthy):
    scan = CTScan(healthy.scan.voxels[20:], Source("part", "phantom"))
    mask, notes = find_lungs(scan)
    assert [note.name for note in notes] == ["lungs-cut"]
    assert "at its top:" in notes[0].message
    assert dice(mask.array > 0, healthy.lungs.array[20:] > 0) > 0.97


@pytest.mark.parametrize(("kept", "lost"), [(Lung.RIGHT, Lung.LEFT), (Lung.LEFT, Lung.RIGHT)])
def test_a_missing_lung_is_noted(healthy, kept, lost):
    voxels = healthy.scan.slices.copy()
    voxels[healthy.lungs.array == lost] = 40
    mask, notes = find_lungs(scan_of(healthy, voxels))
    assert dice(mask.array == kept, healthy.lungs.array == kept) > 0.97
    assert not (mask.array == lost).any()
    assert [note.name for note in notes] == ["one-lung"]
    assert f"Only the {kept.title}" in notes[0].message


def room(_):
    return np.full(SHAPE, -1000, np.int16)


def water(_):
    rows, columns = np.indices(SHAPE[1:])
    disk = np.where(np.hypot(rows - 80, columns - 80) < 60, 20, -1000)
    return np.broadcast_to(disk, SHAPE).astype(np.int16)


def head(_):
    rows, columns = np.indices(SHAPE[1:])
    voxels = np.where(np.hypot(rows - 80, columns - 80) < 45, 40, -1000)
    voxels = np.broadcast_to(voxels, SHAPE).astype(np.int16)
    voxels[20:35, np.hypot(rows - 50, columns - 70) < 7] = -995
    voxels[25:40, np.hypot(rows - 95, columns - 60) < 6] = -850
    return voxels


@pytest.mark.parametrize("make", [room, water, head])
def test_a_scan_without_lungs_is_an_error(healthy, make):
    with pytest.raises(EmptyMaskError, match=r"found no lung in 'changed', expected .*; check"):
        find_lungs(scan_of(healthy, make(healthy)))


def test_a_scan_of_the_belly_is_an_error(healthy):
    belly = CTScan(healthy.scan.voxels[55:], Source("belly", "phantom"))
    assert (belly.slices < -900).any()
    with pytest.raises(EmptyMaskError, match="belly"):
        find_lungs(belly)


def test_an_unknown_method_is_refused(healthy):
    with pytest.raises(UnknownNameError, match="known: hull, threshold"):
        find_lungs(healthy.scan, method="guess")


@settings(max_examples=3, deadline=None)
@given(rows=st.integers(-10, 10), columns=st.integers(-6, 6))
def test_a_patient_who_lies_elsewhere_has_the_same_lungs(rows, columns):
    phantom = make_phantom(shape=(40, 128, 128), lesions=())
    moved = np.roll(phantom.scan.slices, (rows, columns), axis=(1, 2))
    there = np.roll(find_lungs(phantom.scan)[0].array, (rows, columns), axis=(1, 2))
    found = find_lungs(scan_of(phantom, moved))[0].array
    for side in Lung:
        assert dice(found == side, there == side) > 0.99

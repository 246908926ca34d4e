import numpy as np
import pytest
from scipy import ndimage

from groundglass.data.phantom import DEFAULT_LESIONS, LesionSpec, make_phantom
from groundglass.errors import ConfigError
from groundglass.labels import Lesion, Lobe, Lung

SMALL = (48, 128, 128)


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(shape=SMALL)


def test_the_right_lung_lies_on_the_left_of_the_picture_and_is_larger(phantom):
    right, left = (phantom.lungs.array == side for side in Lung)
    assert right.sum() > 1.05 * left.sum()
    assert ndimage.center_of_mass(right)[2] < 64 < ndimage.center_of_mass(left)[2]


def test_no_flip_and_no_exchange_of_rows_and_columns_leaves_it_as_it_is(phantom):
    lungs = phantom.lungs.array > 0
    for axis in range(3):
        changed = np.flip(lungs, axis) ^ lungs
        assert changed.sum() > 0.04 * lungs.sum()
    assert (np.swapaxes(lungs, 1, 2) ^ lungs).sum() > 0.1 * lungs.sum()


@pytest.mark.parametrize("seed", range(4))
def test_lungs_have_the_size_of_an_adult(seed):
    truth = make_phantom(seed, shape=(24, 64, 64), lesions=()).truth
    assert 3500 < truth["lung_volume_ml"] < 7000
    assert truth["right_lung_volume_ml"] > truth["left_lung_volume_ml"]


@pytest.mark.parametrize("lobe", Lobe)
@pytest.mark.parametrize("kind", [Lesion.GROUND_GLASS, Lesion.CONSOLIDATION])
def test_a_lesion_fills_its_share_of_its_lobe_and_of_no_other(lobe, kind):
    phantom = make_phantom(3, shape=(30, 80, 80), lesions=[LesionSpec(kind, lobe, 12.5)])
    in_lobe = phantom.lobes.array == lobe
    lesion = phantom.lesions.array == kind
    assert 100 * (lesion & in_lobe).sum() / in_lobe.sum() == pytest.approx(12.5, abs=0.1)
    assert not (lesion & ~in_lobe).any()
    name = f"{lobe.name.lower()}_lobe_{kind.name.lower()}_percent"
    assert phantom.truth[name] == pytest.approx(12.5, abs=0.1)


def test_an_effusion_lies_outside_the_lung_behind_and_below_it():
    spec = LesionSpec(Lesion.PLEURAL_EFFUSION, Lobe.RIGHT_LOWER, 15.0)
    phantom = make_phantom(shape=SMALL, lesions=[spec])
    effusion = phantom.lesions.array == Lesion.PLEURAL_EFFUSION
    right = phantom.lungs.array == Lung.RIGHT
    assert not (effusion & (phantom.lungs.array > 0)).any()
    slice_, row, _ = np.subtract(ndimage.center_of_mass(effusion), ndimage.center_of_mass(right))
    assert slice_ > 3
    assert row > 10
    assert np.median(phantom.scan.slices[effusion]) == pytest.approx(10, abs=10)


def test_tissues_have_their_hounsfield_units(phantom):
    values, lesions = phantom.scan.slices, phantom.lesions.array
    inner = ndimage.binary_erosion(lesions == Lesion.GROUND_GLASS)
    assert -550 < np.median(values[inner]) < -300
    healthy = (phantom.lungs.array > 0) & (lesions == 0)
    assert -900 < np.median(values[healthy]) < -800
    inner = ndimage.binary_erosion(lesions == Lesion.CONSOLIDATION)
    assert 0 < np.median(values[inner]) < 60
    assert values.min() >= -1024
    assert values[0, 0, 0] < -900


def test_one_seed_is_one_phantom_and_another_is_another():
    first, again, other = (make_phantom(s, shape=(24, 64, 64)) for s in (5, 5, 6))
    assert np.array_equal(first.scan.slices, again.scan.slices)
    assert np.array_equal(first.lesions.array, again.lesions.array)
    assert not np.array_equal(first.lungs.array, other.lungs.array)


def test_a_seed_is_the_same_patient_at_another_voxel_size():
    coarse, fine = make_phantom(2, shape=(30, 64, 64)).truth, make_phantom(2, shape=SMALL).truth
    for name in ("right_lung_volume_ml", "left_lung_volume_ml", "opacity_percent"):
        assert coarse[name] == pytest.approx(fine[name], rel=0.03)


def test_healthy_lungs_have_no_lesion():
    phantom = make_phantom(shape=(24, 64, 64), lesions=())
    assert not phantom.lesions.array.any()
    assert phantom.truth["opacity_percent"] == 0


def test_lesions_that_do_not_fit_are_refused():
    specs = [LesionSpec(Lesion.GROUND_GLASS, Lobe.LEFT_LOWER, 60.0)] * 2
    with pytest.raises(ConfigError, match="left lower lobe"):
        make_phantom(shape=(24, 64, 64), lesions=specs)


@pytest.mark.parametrize("percent", [0.0, -1.0, 100.5, float("nan")])
def test_a_share_that_is_none_is_refused(percent):
    with pytest.raises(ConfigError, match="of its lobe"):
        LesionSpec(Lesion.GROUND_GLASS, Lobe.LEFT_LOWER, percent)


def test_a_lesion_of_unknown_kind_is_refused():
    with pytest.raises(ConfigError, match="unknown kind"):
        LesionSpec(Lesion.UNSPECIFIED, Lobe.LEFT_LOWER, 5.0)


def test_the_usual_lesions_are_all_different():
    shares = {(s.lobe, s.kind): s.percent_of_lobe for s in DEFAULT_LESIONS}
    assert len(set(shares.values())) == len(DEFAULT_LESIONS)
    assert {s.kind for s in DEFAULT_LESIONS} == {
        Lesion.GROUND_GLASS,
        Lesion.CONSOLIDATION,
        Lesion.PLEURAL_EFFUSION,
    }

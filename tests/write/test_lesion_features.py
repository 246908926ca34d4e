import numpy as np
import pytest

from groundglass.errors import OutputError
from groundglass.labels import Lesion, Lobe, Lung, Region
from groundglass.write.lesion_features import lesion_features
from tests.severity.findings import pictures, volume

SPACING_MM = (2.0, 1.0, 0.8)


def ellipsoid(radii_mm, shape=(40, 70, 80), spacing_mm=SPACING_MM):
    """Voxels whose centers lie within an ellipsoid in the middle."""
    axes = [
        (np.arange(n) - n // 2) * mm / radius
        for n, mm, radius in zip(shape, spacing_mm, radii_mm, strict=True)
    ]
    slices, rows, columns = np.meshgrid(*axes, indexing="ij", sparse=True)
    return slices**2 + rows**2 + columns**2 <= 1


def features_of(lesions, voxels_hu=None, lungs=None, **parts):
    """Features of lesions in a right lung that fills the volume."""
    lungs = np.ones(lesions.shape, np.uint8) if lungs is None else lungs
    return lesion_features(volume(lungs, lesions, voxels_hu, SPACING_MM, **parts))


def test_a_ball_is_measured():
    (ball,) = features_of(ellipsoid((20, 20, 20)).astype(np.uint8))
    assert ball.volume_ml == pytest.approx(4 / 3 * np.pi * 2**3, rel=0.02)
    assert ball.surface_mm2 == pytest.approx(4 * np.pi * 20**2, rel=0.03)
    assert ball.sphericity == pytest.approx(1, abs=0.03)
    assert ball.maximum_diameter_mm == pytest.approx(40, abs=1)
    assert ball.axes_mm == pytest.approx([4 * 20 / 5**0.5] * 3, rel=0.02)


def test_an_ellipsoid_has_its_axes_in_order_and_is_less_round():
    (found,) = features_of(ellipsoid((10, 30, 16)).astype(np.uint8))
    assert found.axes_mm == pytest.approx([4 * r / 5**0.5 for r in (30, 16, 10)], rel=0.03)
    assert found.maximum_diameter_mm == pytest.approx(60, abs=1.5)
    assert found.sphericity < 0.9


def test_a_lesion_of_one_slice_is_measured():
    flat = np.zeros((3, 40, 40), np.uint8)
    flat[1, 5:35, 5:35] = Lesion.GROUND_GLASS
    (found,) = features_of(flat)
    assert found.maximum_diameter_mm == pytest.approx(29 * np.hypot(1.0, 0.8))
    assert found.axes_mm[2] == pytest.approx(0, abs=1e-3)


def test_densities_are_those_of_the_lesion_alone():
    lesions = np.zeros((1, 10, 10), np.uint8)
    lesions[0, :, :8] = Lesion.CONSOLIDATION
    voxels_hu = np.full(lesions.shape, 900)
    voxels_hu[0, :, :8] = np.repeat([-600, -400, -200, 0, 200], 16).reshape(10, 8)
    (found,) = features_of(lesions, voxels_hu)
    assert found.mean_hu == pytest.approx(-200)
    assert found.sd_hu == pytest.approx(200 * 2**0.5)
    assert found.percentiles_hu == pytest.approx((-600, -600, -200, 200, 200))
    assert found.skewness == pytest.approx(0, abs=1e-12)
    assert found.excess_kurtosis == pytest.approx(1.7 - 3)
    assert found.entropy_bits == pytest.approx(np.log2(5))


def test_a_lesion_of_one_density_has_no_spread():
    lesions = np.zeros((1, 10, 10), np.uint8)
    lesions[0, :8] = Lesion.GROUND_GLASS
    (found,) = features_of(lesions, np.full(lesions.shape, -500))
    assert (found.sd_hu, found.skewness, found.excess_kurtosis, found.entropy_bits) == (0, 0, 0, 0)


def test_lesions_come_by_kind_the_largest_first_and_say_where_they_lie():
    lesions = np.zeros((4, 20, 40), np.uint8)
    lesions[:, 2:8, 2:12] = Lesion.GROUND_GLASS
    lesions[:, 8:18, 2:12] = Lesion.CONSOLIDATION  # touches the ground glass: a lesion of its own
    lesions[:, 2:6, 30:36] = Lesion.GROUND_GLASS
    lesions[3, 19, 39] = Lesion.GROUND_GLASS  # too small
    lungs = np.ones(lesions.shape, np.uint8)
    lungs[:, :, 20:] = Lung.LEFT
    lobes = np.where(lungs == 1, int(Lobe.RIGHT_MIDDLE), int(Lobe.LEFT_LOWER))
    regions = np.where(lungs == 1, int(Region.RIGHT_MEDIAL), int(Region.LEFT_SUPERIOR))
    found = features_of(lesions, lungs=lungs, lobes=lobes, regions=regions)
    assert [one.kind for one in found] == [
        Lesion.CONSOLIDATION,
        Lesion.GROUND_GLASS,
        Lesion.GROUND_GLASS,
    ]
    assert [one.lung for one in found] == [Lung.RIGHT, Lung.RIGHT, Lung.LEFT]
    assert [one.lobe for one in found] == [Lobe.RIGHT_MIDDLE, Lobe.RIGHT_MIDDLE, Lobe.LEFT_LOWER]
    assert found[2].region is Region.LEFT_SUPERIOR
    assert [round(one.volume_ml / 0.0016) for one in found] == [400, 240, 96]
    # 2 mm slices to the feet, 1 mm rows to the back, 0.8 mm columns to the left
    assert found[2].center_mm == pytest.approx((32.5 * 0.8, 3.5, -1.5 * 2))


def test_no_lesion_has_no_features():
    assert features_of(np.zeros((2, 4, 4), np.uint8)) == []


def test_pictures_have_no_features():
    with pytest.raises(OutputError, match="expected a CT volume"):
        lesion_features(pictures([[[1]]], [[[1]]]))

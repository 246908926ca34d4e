import os
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest

from groundglass.data.phantom import make_phantom
from groundglass.errors import NotMeasurableError
from groundglass.labels import Lobe, Lung, Region
from groundglass.lungs import find_lungs
from groundglass.lungs.regions import ANATOMICAL_MODEL, GIVEN_LOBES, find_regions
from groundglass.mask import Mask
from groundglass.read import read
from groundglass.scan import CTScan

DATA = Path(
    os.environ.get("GROUNDGLASS_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")
)

NORMAL_PERCENT = {
    Lobe.RIGHT_UPPER: (11.8, 22.7),
    Lobe.RIGHT_MIDDLE: (6.6, 13.8),
    Lobe.RIGHT_LOWER: (22.3, 34.0),
    Lobe.LEFT_UPPER: (18.1, 26.6),
    Lobe.LEFT_LOWER: (19.4, 28.7),
}
"""Smallest and largest share of both lungs in 32 volunteers on their back (Yamada et al. 2020)."""


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(1, shape=(75, 96, 96), lesions=())


@pytest.fixture(scope="module")
def found(phantom):
    return find_regions(phantom.scan, phantom.lungs)


def without_fissures(scan, noise_hu=0.0):
    """The same grid, all lung of one density with noise."""
    noise = np.random.default_rng(4).normal(0.0, noise_hu, scan.slices.shape)
    return CTScan.of(scan.voxels.with_array(np.float32(-850.0 + noise)), scan.source)


def middles(mask, label):
    """Mean slice, row and column of a label."""
    return np.array(np.nonzero(mask.array == int(label))).mean(axis=1)


def cropped(phantom, slices):
    """Scan and lungs of some of the slices."""
    scan = CTScan(phantom.scan.voxels[slices], phantom.scan.source)
    return scan, Mask.on(scan, phantom.lungs.array[slices], Lung)


def test_every_lung_voxel_has_one_lobe_and_one_region(phantom, found):
    inside = phantom.lungs.array > 0
    np.testing.assert_array_equal(found.lobes.array > 0, inside)
    np.testing.assert_array_equal(found.regions.array > 0, inside)


def test_every_lobe_and_every_region_is_there(found):
    assert np.all(found.lobes.counts().sum(axis=0)[1:] > 0)
    assert np.all(found.regions.counts().sum(axis=0)[1:] > 0)


def test_a_region_lies_within_its_lobe_and_its_lung(phantom, found):
    for region in Region:
        inside = found.regions.array == int(region)
        assert set(np.unique(found.lobes.array[inside])) == {region.lobe}
        side = Lung[region.name.partition("_")[0]]
        assert set(np.unique(phantom.lungs.array[inside])) == {side}


def test_fissures_that_the_scan_shows_are_followed_and_named(phantom, found):
    inside = phantom.lungs.array > 0
    assert (found.lobes.array == phantom.lobes.array)[inside].mean() > 0.95
    assert found.source.startswith(ANATOMICAL_MODEL)
    assert "right oblique fissure" in found.source
    assert "left oblique fissure as seen" in found.source


@pytest.mark.parametrize("noise_hu", [0.0, 40.0])
def test_where_no_fissure_is_seen_the_mean_ones_stay(phantom, noise_hu):
    found = find_regions(without_fissures(phantom.scan, noise_hu), phantom.lungs)
    assert found.source == ANATOMICAL_MODEL
    # the phantom's fissures lie elsewhere than in most people
    inside = phantom.lungs.array > 0
    assert 0.75 < (found.lobes.array == phantom.lobes.array)[inside].mean() < 0.95


@pytest.mark.parametrize("lung", Lung)
def test_the_oblique_fissure_falls_from_the_back_to_the_front(phantom, found, lung):
    lower = Lobe.RIGHT_LOWER if lung is Lung.RIGHT else Lobe.LEFT_LOWER
    inside = (phantom.lungs.array == int(lung)).any(axis=2)
    highest = np.array(
        [
            np.flatnonzero(row)[0] if row.any() else -1
            for row in (found.lobes.array == int(lower)).any(axis=2).T
        ]
    )
    rows = np.flatnonzero(inside.any(axis=0) & (highest >= 0))
    front, back = np.array_split(rows, 4)[0], np.array_split(rows, 4)[2]
    assert highest[front].mean() > highest[back].mean() + 10


@pytest.mark.parametrize(
    ("axis", "before", "after"),
    [
        (0, "APICAL", "POSTERIOR"),
        (0, "SUPERIOR", "POSTERIOR_BASAL"),
        (1, "ANTERIOR", "POSTERIOR"),
        (1, "ANTERIOR_BASAL", "POSTERIOR_BASAL"),
    ],
)
@pytest.mark.parametrize("lung", Lung)
def test_segments_lie_as_they_are_called(found, lung, axis, before, after):
    first, second = (
        middles(found.regions, Region[f"{lung.name}_{name}"])[axis] for name in (before, after)
    )
    assert first < second


@pytest.mark.parametrize(
    ("medial", "lateral"),
    [
        (Region.RIGHT_MEDIAL, Region.RIGHT_LATERAL),
        (Region.RIGHT_MEDIAL_BASAL, Region.RIGHT_LATERAL_BASAL),
        (Region.LEFT_MEDIAL_BASAL, Region.LEFT_LATERAL_BASAL),
    ],
)
def test_medial_lies_nearer_to_the_midline_than_lateral(found, medial, lateral):
    midline = found.lobes.array.shape[2] / 2
    inner, outer = (abs(middles(found.regions, r)[2] - midline) for r in (medial, lateral))
    assert inner < outer


def test_the_superior_lingular_segment_lies_above_the_inferior_one(found):
    upper, lower = (
        middles(found.regions, r)[0]
        for r in (Region.LEFT_SUPERIOR_LINGULAR, Region.LEFT_INFERIOR_LINGULAR)
    )
    assert upper < lower


def test_smaller_voxels_move_lobes_and_regions_little(phantom):
    found = find_regions(without_fissures(phantom.scan), phantom.lungs)
    fine = find_regions(*refined(phantom, 2))
    for coarse, better in ((found.lobes, fine.lobes), (found.regions, fine.regions)):
        assert (better.array[::2, ::2, ::2] == coarse.array)[coarse.array > 0].mean() > 0.93


def refined(phantom, times):
    """Scan and lungs with each voxel divided."""
    array = phantom.lungs.array.repeat(times, 0).repeat(times, 1).repeat(times, 2)
    affine = phantom.scan.voxels.affine @ np.diag([1 / times] * 3 + [1])
    scan = CTScan(
        hd.Volume(np.zeros(array.shape, np.int16), affine, "PATIENT"), phantom.scan.source
    )
    return scan, Mask.on(scan, array, Lung)


def test_one_lung_alone_has_its_own_lobes(phantom):
    right = np.where(phantom.lungs.array == int(Lung.RIGHT), phantom.lungs.array, 0)
    found = find_regions(phantom.scan, Mask.on(phantom.scan, right, Lung))
    assert set(np.unique(found.lobes.array)) == {0, *map(int, list(Lobe)[:3])}
    assert set(np.unique(found.regions.array)) == {0, *range(1, 11)}


@pytest.mark.parametrize("slices", [slice(30, None), slice(0, 45)], ids=["no apex", "no base"])
def test_lungs_cut_off_by_the_scan_have_no_estimate(phantom, slices):
    with pytest.raises(NotMeasurableError, match="cuts off"):
        find_regions(*cropped(phantom, slices))


def test_lungs_of_a_few_slices_have_no_estimate(phantom):
    thin = np.zeros_like(phantom.lungs.array)
    thin[30:34] = phantom.lungs.array[30:34]
    with pytest.raises(NotMeasurableError, match="mm long"):
        find_regions(phantom.scan, Mask.on(phantom.scan, thin, Lung))


def test_given_lobes_are_kept_and_named(phantom):
    found = find_regions(phantom.scan, phantom.lungs, phantom.lobes)
    assert found.source == GIVEN_LOBES
    assert found.lobes is phantom.lobes
    for region in Region:
        inside = found.regions.array == int(region)
        assert set(np.unique(phantom.lobes.array[inside])) == {region.lobe}


def test_given_lobes_do_not_need_the_whole_lung(phantom):
    scan, lungs = cropped(phantom, slice(0, 45))
    lobes = Mask.on(scan, phantom.lobes.array[:45], Lobe)
    np.testing.assert_array_equal(
        find_regions(scan, lungs, lobes).regions.array > 0, lungs.array > 0
    )


@pytest.mark.slow
@pytest.mark.reference
@pytest.mark.parametrize("name", ["normal001", "P001"])
def test_mean_fissures_give_real_lungs_lobes_with_volumes_as_published(name):
    folder = DATA / "covid-ct-md" / name
    if not folder.is_dir():
        pytest.skip("real scans are not here; set GROUNDGLASS_DATA")
    scan = read(folder)
    lungs, _ = find_lungs(scan)
    found = find_regions(without_fissures(scan), lungs)
    assert found.source == ANATOMICAL_MODEL
    voxels = found.lobes.counts().sum(axis=0)
    for lobe, (least, most) in NORMAL_PERCENT.items():
        assert least <= 100 * voxels[lobe] / voxels[1:].sum() <= most


@pytest.mark.slow
@pytest.mark.reference
@pytest.mark.parametrize("name", ["normal001", "P001"])
def test_lobes_of_real_lungs_have_volumes_near_those_published(name):
    folder = DATA / "covid-ct-md" / name
    if not folder.is_dir():
        pytest.skip("real scans are not here; set GROUNDGLASS_DATA")
    scan = read(folder)
    lungs, _ = find_lungs(scan)
    voxels = find_regions(scan, lungs).lobes.counts().sum(axis=0)
    for lobe, (least, most) in NORMAL_PERCENT.items():
        # a fissure that is seen may lie a little beyond those of 32 people
        assert least - 1.5 <= 100 * voxels[lobe] / voxels[1:].sum() <= most + 1.5

"""Every check on a phantom as it is, and on phantoms spoiled in one way each."""

import os
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest

from groundglass.data.phantom import make_phantom
from groundglass.data.phantom_files import LUNG_WINDOW_HU
from groundglass.labels import Lung
from groundglass.lungs import find_lungs
from groundglass.mask import Mask
from groundglass.quality import CHECKS, check_quality
from groundglass.quality.chest import Chest
from groundglass.quality.familiarity import FEATURES, STORED, TrainingGray, training_gray
from groundglass.read import read
from groundglass.report import Outcome
from groundglass.scan import CTScan, CTSlices, Source

PASS, WARNING, WITHHELD = Outcome.PASS, Outcome.WARNING, Outcome.WITHHELD
SHAPE = (62, 128, 128)
DATA = Path(
    os.environ.get("GROUNDGLASS_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")
)


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(0, shape=SHAPE)


def rebuilt(scan, array, lungs, spacing_mm=None, **description):
    """The scan and lungs with other voxels, on a grid that begins where it began."""
    voxels = hd.Volume.from_components(
        np.ascontiguousarray(array, np.int16),
        spacing=spacing_mm or scan.spacing_mm,
        position=(0.0, 0.0, 0.0),
        patient_orientation="FPL",
        coordinate_system="PATIENT",
    )
    made = CTScan(voxels, Source("spoiled", "phantom", description))
    return made, Mask.on(made, lungs, Lung)


def only(part):
    """What spoils the volume and its lungs alike."""
    return lambda hu, lungs: (hu[part], lungs[part])


def moved(hu, rows):
    return np.roll(hu, rows, axis=1)


def slab_moved(hu, lungs):
    half = len(hu) // 2
    return np.concatenate([hu[:half], moved(hu[half:], 3)]), lungs


def every_other_moved(hu, lungs):
    spoiled = hu.copy()
    spoiled[::2] = moved(hu[::2], 3)
    return spoiled, lungs


def doubled(hu, lungs):
    return (hu.astype(np.int32) + moved(hu, 4)) // 2, lungs


def metal_block(size):
    def spoil(hu, lungs):
        spoiled = hu.copy()
        spoiled[20 : 20 + size, 70 : 70 + size, 56 : 56 + size] = 3071
        return spoiled, lungs

    return spoil


def metal_beside_the_body(hu, lungs):
    spoiled = hu.copy()
    spoiled[20:30, 2:8, 2:8] = 3071
    return spoiled, lungs


def enhanced(hu, lungs):
    spoiled = hu.copy()
    spoiled[(hu > 30) & (hu < 80) & (lungs == 0)] += 150
    return spoiled, lungs


def denser(hu, lungs):
    return np.where(hu < 900, hu + 400, hu), lungs


def one_lung_half_lost(hu, lungs):
    spoiled = lungs.copy()
    spoiled[:36][spoiled[:36] == Lung.RIGHT] = 0
    return hu, spoiled


SPOILED = {
    "mirrored": (
        lambda hu, lungs: (hu[..., ::-1], (3 - lungs[..., ::-1]) % 3),
        "heart-side",
        WARNING,
    ),
    "cut a little at the apex": (only(np.s_[7:]), "lungs-cut", WARNING),
    "cut at the apex": (only(np.s_[22:]), "lungs-cut", WITHHELD),
    "cut at the base": (only(np.s_[:36]), "lungs-cut", WITHHELD),
    "cut at the right side": (only(np.s_[:, :, 24:]), "lungs-cut-in-plane", WARNING),
    "cut all around": (only(np.s_[:, 44:80, 32:92]), "lungs-cut-in-plane", WITHHELD),
    "moved at the middle": (slab_moved, "breathing-step", WARNING),
    "moved at every other slice": (every_other_moved, "alternating-slices", WARNING),
    "doubled by motion": (doubled, "doubled-edges", WARNING),
    "with a pacemaker": (metal_block(5), "metal", WARNING),
    "with a large block of metal": (metal_block(20), "metal", WITHHELD),
    "with metal on the table": (metal_beside_the_body, "metal", PASS),
    "with contrast medium": (enhanced, "contrast-medium", WARNING),
    "lying on its front": (
        lambda hu, lungs: (hu[:, ::-1], lungs[:, ::-1]),
        "patient-position",
        WARNING,
    ),
    "400 HU too dense": (denser, "unlike-training", WARNING),
    "with half a lung lost": (one_lung_half_lost, "right-lung-share", WARNING),
    "with a lung lost": (
        lambda hu, lungs: (hu, lungs * (lungs == 1)),
        "right-lung-share",
        WARNING,
    ),
}


def outcomes(scan, lungs):
    return {check.name: check.outcome for check in check_quality(scan, lungs).checks}


@pytest.mark.parametrize(("seed", "shape"), [(1, SHAPE), (2, (62, 192, 192))])
def test_a_phantom_passes_every_check(seed, shape):
    made = make_phantom(seed, shape=shape)
    quality = check_quality(made.scan, made.lungs)
    assert {c.name: c.measured for c in quality.checks if c.outcome is not PASS} == {}
    assert {c.name for c in quality.checks} == set(CHECKS) - {"kernel"} | {"unlike-training"}


@pytest.mark.parametrize("how", SPOILED)
def test_what_spoils_a_phantom_is_found(how, phantom):
    spoil, name, expected = SPOILED[how]
    scan, lungs = rebuilt(phantom.scan, *spoil(phantom.scan.slices, phantom.lungs.array))
    (found,) = (c for c in check_quality(scan, lungs).checks if c.name == name)
    assert found.outcome is expected, found.measured
    assert bool(found.message) == (expected is not PASS)
    assert found.source
    assert found.limit


@pytest.mark.parametrize(
    ("factor", "expected"), [(0.3, WITHHELD), (0.65, WARNING), (1.3, WARNING), (2.0, WITHHELD)]
)
def test_lungs_of_an_impossible_size_are_found(factor, expected, phantom):
    spacing = tuple(mm * factor for mm in phantom.scan.spacing_mm)
    scan, lungs = rebuilt(phantom.scan, phantom.scan.slices, phantom.lungs.array, spacing)
    assert outcomes(scan, lungs)["lung-volume"] is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("B70f", PASS),
        ("Br40d", PASS),
        ("LUNG", PASS),
        ("FC51", PASS),
        ("new", PASS),
        ("H60s", WARNING),
        ("BONEPLUS", WARNING),
        ("FC30", WARNING),
    ],
)
def test_kernels_for_head_and_bone_are_unusual(name, expected, phantom):
    scan, lungs = rebuilt(phantom.scan, phantom.scan.slices, phantom.lungs.array, kernel=name)
    assert outcomes(scan, lungs)["kernel"] is expected


@pytest.mark.parametrize(
    ("told", "expected"), [("HFS", PASS), ("FFS", PASS), ("HFP", WARNING), ("FFDL", WARNING)]
)
def test_the_header_is_believed_before_the_table(told, expected, phantom):
    known = {"patient position": told}
    scan, lungs = rebuilt(phantom.scan, phantom.scan.slices, phantom.lungs.array, **known)
    assert outcomes(scan, lungs)["patient-position"] is expected


def test_without_header_and_table_the_position_is_not_told(phantom):
    hu, lungs = phantom.scan.slices.copy(), phantom.lungs.array
    hu[Chest(phantom.scan, phantom.lungs).body == 0] = -1000
    assert "patient-position" not in outcomes(*rebuilt(phantom.scan, hu, lungs))


def test_a_single_slice_has_the_checks_that_make_sense(phantom):
    part = slice(30, 31)
    scan, lungs = rebuilt(phantom.scan, phantom.scan.slices[part], phantom.lungs.array[part])
    found = check_quality(scan, lungs)
    assert not {c.name for c in found.checks} & {"lungs-cut", "lung-volume", "breathing-step"}
    assert found.outcome is not WITHHELD


def pictures_of(phantom, window_hu=LUNG_WINDOW_HU):
    low, high = window_hu
    chosen = phantom.scan.slices[22:38:4]
    gray = np.clip((chosen - float(low)) * (255.0 / (high - low)), 0, 255).astype(np.uint8)
    names = tuple(f"{k}" for k in range(len(gray)))
    made = CTSlices(names, tuple(gray), Source("pictures", "pictures"))
    return made, Mask.on(made, list(phantom.lungs.array[22:38:4]), Lung)


def test_pictures_in_the_lung_window_pass(phantom):
    assert outcomes(*pictures_of(phantom)) == {"unlike-training": PASS}


def test_pictures_in_another_window_are_unlike_the_training_data(phantom):
    assert outcomes(*pictures_of(phantom, (-160, 240)))["unlike-training"] is not PASS


def test_no_lung_on_any_slice_says_nothing():
    made = CTSlices(("a",), (np.full((64, 64), 9, np.uint8),), Source("a", "pictures"))
    lungs = np.zeros((64, 64), np.uint8)
    lungs[3, 3] = 1
    assert check_quality(made, Mask.on(made, [lungs], Lung)).checks == ()


def test_the_worst_outcome_counts(phantom):
    quality = check_quality(phantom.scan, phantom.lungs)
    first, *rest = quality.checks
    for outcome in (WARNING, WITHHELD):
        changed = quality.model_copy(
            update={"checks": (first.model_copy(update={"outcome": outcome}), *rest)}
        )
        assert changed.outcome is outcome
        assert [c.name for c in changed.having(outcome)] == [first.name]


def test_facts_of_training_slices_come_back_as_mean_and_distance():
    rng = np.random.default_rng(0)
    rows = [(str(k % 7), rng.normal(size=len(FEATURES))) for k in range(200)]
    made = TrainingGray.of(["made up"], rows)
    assert made.patients == 7
    assert made.distances(np.array([made.mean])) == pytest.approx([0.0], abs=1e-4)
    found = made.distances(np.stack([facts for _, facts in rows]))
    assert np.mean(found < made.distance_p95) == pytest.approx(0.95, abs=0.02)


def test_a_patient_with_many_slices_weighs_as_much_as_one_with_few():
    few, many = np.zeros(len(FEATURES)), np.ones(len(FEATURES))
    rng = np.random.default_rng(1)
    rows = [("few", few + rng.normal(size=5))] + [("many", many + rng.normal(size=5))] * 99
    rows += [("few", few + rng.normal(size=5)) for _ in range(5)]
    made = TrainingGray.of(["made up"], rows)
    expected = (np.mean([f for p, f in rows if p == "few"], 0) + rows[1][1]) / 2
    assert made.mean == pytest.approx(tuple(expected), abs=1e-5)


def test_what_is_stored_is_of_the_features_that_are_measured():
    stored = training_gray()
    assert stored.features == FEATURES
    assert stored.patients >= 30
    assert 0 < stored.distance_p95 < stored.distance_p99
    assert STORED.endswith(".json")


@pytest.mark.reference
@pytest.mark.parametrize("name", ["P001", "normal001"])
def test_real_series_pass(name):
    folder = DATA / "covid-ct-md" / name
    if not folder.is_dir():
        pytest.skip(f"needs {name} of covid-ct-md in the data folder")
    scan = read(folder)
    lungs, _ = find_lungs(scan)
    assert check_quality(scan, lungs).outcome is PASS
    mirrored = rebuilt(scan, scan.slices[..., ::-1], (3 - lungs.array[..., ::-1]) % 3)
    assert outcomes(*mirrored)["heart-side"] is WARNING

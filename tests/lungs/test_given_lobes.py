"""Lobe masks made elsewhere, in any convention, on any grid."""

import highdicom as hd
import nibabel as nib
import numpy as np
import pytest
import SimpleITK

from groundglass.data.phantom import make_phantom
from groundglass.errors import GeometryError, UnreadableScanError
from groundglass.labels import Lobe, Lung, Region
from groundglass.lungs.given_lobes import MOST_WITHOUT_LOBE_PERCENT, place_lobes, read_lobes
from groundglass.lungs.lobe_conventions import CONVENTIONS, lobe_named
from groundglass.lungs.regions import find_regions
from groundglass.mask import Mask
from groundglass.scan import CTScan
from groundglass.write import dicom_seg
from tests.write.dicom_series import report_of, store

PHANTOM = make_phantom(2, shape=(40, 48, 64), lesions=())
SCAN, LUNGS, LOBES = PHANTOM.scan, PHANTOM.lungs, PHANTOM.lobes.array

TOTAL_SEGMENTATOR = {
    Lobe.LEFT_UPPER: "lung_upper_lobe_left",
    Lobe.LEFT_LOWER: "lung_lower_lobe_left",
    Lobe.RIGHT_UPPER: "lung_upper_lobe_right",
    Lobe.RIGHT_MIDDLE: "lung_middle_lobe_right",
    Lobe.RIGHT_LOWER: "lung_lower_lobe_right",
}


def numbered(convention, lobes=LOBES):
    """The phantom's lobes with the numbers of a convention."""
    numbers = np.zeros(lobes.shape, np.uint16)
    for number, lobe in convention.items():
        numbers[lobes == int(lobe)] = number
    return numbers


def saved(path, numbers, orientation="FPL", geometry=SCAN.voxels):
    """A NIfTI file of the numbers, stored in another orientation."""
    volume = geometry.with_array(numbers.astype(np.uint8)).to_patient_orientation(orientation)
    nib.save(volume.to_nibabel(), path)
    return path


def assert_lobes(given, expected=LOBES):
    np.testing.assert_array_equal(given.lobes.array, expected)
    assert given.lobes.same_grid(LUNGS)


@pytest.mark.parametrize("name", CONVENTIONS)
def test_every_known_convention_is_recognised(name, tmp_path):
    given = read_lobes(saved(tmp_path / "lobes.nii.gz", numbered(CONVENTIONS[name])), SCAN, LUNGS)
    assert_lobes(given)
    assert given.source == f"numbers of {name}"
    assert given.notes == ()


@pytest.mark.parametrize("orientation", ["RAS", "LPS", "HAR", "PFL"])
def test_a_mask_in_any_orientation_gives_the_same_lobes(orientation, tmp_path):
    file = saved(tmp_path / "lobes.nii", numbered(CONVENTIONS["groundglass"]), orientation)
    assert_lobes(read_lobes(file, SCAN, LUNGS))


@pytest.mark.parametrize("name", ["lobes.nrrd", "lobes.mha"])
def test_other_formats_give_the_same_lobes(name, tmp_path):
    numbers = numbered(CONVENTIONS["lungmask LTRCLobes"]).astype(np.uint8)
    image = SCAN.voxels.with_array(numbers).to_simpleitk()
    SimpleITK.WriteImage(image, str(tmp_path / name))
    assert_lobes(read_lobes(tmp_path / name, SCAN, LUNGS))


def test_names_of_segments_in_nrrd_tell_the_lobes(tmp_path):
    own = {7: Lobe.RIGHT_UPPER, 8: Lobe.LEFT_LOWER, 1: Lobe.RIGHT_MIDDLE}
    own |= {2: Lobe.RIGHT_LOWER, 9: Lobe.LEFT_UPPER}
    image = SCAN.voxels.with_array(numbered(own).astype(np.uint8)).to_simpleitk()
    for index, (number, lobe) in enumerate(own.items()):
        image.SetMetaData(f"Segment{index}_Name", lobe.title)
        image.SetMetaData(f"Segment{index}_LabelValue", str(number))
    SimpleITK.WriteImage(image, str(tmp_path / "lobes.seg.nrrd"))
    given = read_lobes(tmp_path / "lobes.seg.nrrd", SCAN, LUNGS)
    assert_lobes(given)
    assert given.source == "named in the mask"


def test_our_own_dicom_segmentation_of_the_lobes_is_read(tmp_path):
    phantom = make_phantom(3, shape=(40, 48, 64))
    report = report_of(store(tmp_path / "scan", "HAR"), lobes=True)
    dicom_seg.write(report, tmp_path)
    findings = report.findings
    given = read_lobes(tmp_path / dicom_seg.LOBES_FILE, findings.scan, findings.lungs)
    np.testing.assert_array_equal(given.lobes.array, phantom.lobes.array)
    assert given.source == "named in the mask"
    assert given.notes == ()  # slices without a lobe are left out of the file and no other grid


def test_a_folder_of_one_file_for_each_lobe_is_read(tmp_path):
    for lobe, name in TOTAL_SEGMENTATOR.items():
        saved(tmp_path / f"{name}.nii.gz", int(lobe) == LOBES, "LAS")
    saved(tmp_path / "heart.nii.gz", LOBES == 99)
    given = read_lobes(tmp_path, SCAN, LUNGS)
    assert_lobes(given)
    assert given.source == "named in the mask"


def test_what_was_tolerated_of_the_files_of_a_folder_is_noted_once(tmp_path):
    for lobe, name in TOTAL_SEGMENTATOR.items():
        file = saved(tmp_path / f"{name}.nii.gz", int(lobe) == LOBES, "LAS")
        image = nib.load(file)
        image.set_qform(image.affine @ np.diag([1, -1, 1, 1]), code=1)
        nib.save(image, file)
    with pytest.raises(UnreadableScanError, match="tolerate conflicting-affines"):
        read_lobes(tmp_path, SCAN, LUNGS)
    given = read_lobes(tmp_path, SCAN, LUNGS, tolerate=("conflicting-affines",))
    assert [note.name for note in given.notes] == ["conflicting-affines"]


def test_a_folder_without_lobes_is_refused(tmp_path):
    saved(tmp_path / "heart.nii.gz", LOBES == 1)
    with pytest.raises(UnreadableScanError, match=r"lung_upper_lobe_left\.nii\.gz"):
        read_lobes(tmp_path, SCAN, LUNGS)


def test_other_organs_in_the_mask_do_not_matter(tmp_path):
    numbers = numbered(CONVENTIONS["TotalSegmentator 2 total"])
    numbers[LUNGS.array == 0] = 5
    assert_lobes(read_lobes(saved(tmp_path / "total.nii", numbers), SCAN, LUNGS))


def test_lobes_beyond_the_lungs_are_cut_off(tmp_path):
    numbers = numbered(CONVENTIONS["groundglass"])
    numbers[:, :3] = 1
    assert_lobes(read_lobes(saved(tmp_path / "lobes.nii", numbers), SCAN, LUNGS))


def test_lung_without_a_lobe_goes_to_the_nearest_lobe_of_its_lung():
    numbers = numbered(CONVENTIONS["groundglass"])
    gap = np.zeros(LOBES.shape, bool)
    gap[20:22] = LUNGS.array[20:22] > 0
    numbers[gap] = 0
    given = place_lobes(numbers, SCAN, LUNGS)
    np.testing.assert_array_equal(given.lobes.array > 0, LUNGS.array > 0)
    np.testing.assert_array_equal(given.lobes.array[~gap], LOBES[~gap])
    right = np.isin(given.lobes.array, [int(lobe) for lobe in list(Lobe)[:3]])
    np.testing.assert_array_equal(right[gap], LUNGS.array[gap] == int(Lung.RIGHT))
    assert (given.lobes.array == LOBES)[gap].mean() > 0.9
    percent = 100 * gap.sum() / np.count_nonzero(LUNGS.array)
    assert [note.name for note in given.notes] == ["lobes-filled"]
    assert f"{percent:.1f} %" in given.notes[0].message


def test_too_much_lung_without_a_lobe_is_refused():
    numbers = numbered(CONVENTIONS["groundglass"])
    numbers[22:] = 0
    with pytest.raises(GeometryError, match=f"at most {MOST_WITHOUT_LOBE_PERCENT:.0f} %"):
        place_lobes(numbers, SCAN, LUNGS)


@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param(LUNGS.array.astype(np.uint16), id="lungs in place of lobes"),
        pytest.param(numbered(CONVENTIONS["groundglass"])[:, :, ::-1], id="mirrored"),
        pytest.param(numbered(CONVENTIONS["lungmask LTRCLobes"])[::-1], id="upside down"),
        pytest.param(numbered({n + 40: lobe for n, lobe in enumerate(Lobe)}), id="unknown"),
    ],
)
def test_numbers_that_fit_no_convention_are_refused_and_listed(numbers):
    with pytest.raises(UnreadableScanError, match="found the numbers") as refused:
        place_lobes(np.ascontiguousarray(numbers), SCAN, LUNGS)
    listed = str(refused.value).split("found the numbers ")[1].split(" in the mask")[0]
    assert listed == ", ".join(str(n) for n in np.unique(numbers) if n)


def test_an_empty_mask_is_refused():
    with pytest.raises(UnreadableScanError, match="background alone"):
        place_lobes(np.zeros(LOBES.shape, np.uint16), SCAN, LUNGS)


def test_names_that_contradict_the_anatomy_are_refused():
    swapped = {number: (Lobe((number + 2) % 5 + 1).title,) for number in range(1, 6)}
    with pytest.raises(UnreadableScanError, match="than their names say"):
        place_lobes(numbered(CONVENTIONS["groundglass"]), SCAN, LUNGS, swapped)


def test_a_finer_grid_is_brought_onto_the_scan_and_noted(tmp_path):
    fine = np.kron(numbered(CONVENTIONS["groundglass"]), np.ones((2, 1, 2), np.uint16))
    affine = SCAN.voxels.affine.copy()
    affine[:3, 0], affine[:3, 2] = affine[:3, 0] / 2, affine[:3, 2] / 2
    affine[:3, 3] = SCAN.voxels.affine[:3, 3] - affine[:3, 0] / 2 - affine[:3, 2] / 2
    geometry = hd.Volume(fine, affine, "PATIENT")
    given = read_lobes(saved(tmp_path / "fine.nii", fine, "FPL", geometry), SCAN, LUNGS)
    assert_lobes(given)
    assert [note.name for note in given.notes] == ["lobes-resampled"]


def test_a_larger_field_of_view_is_brought_onto_the_scan(tmp_path):
    numbers = np.pad(numbered(CONVENTIONS["groundglass"]), 4)
    larger = SCAN.voxels.pad(4)
    given = read_lobes(saved(tmp_path / "large.nii", numbers, "RAS", larger), SCAN, LUNGS)
    assert_lobes(given)


def test_a_mask_that_ends_within_the_lungs_is_refused(tmp_path):
    part = SCAN.voxels[:25]
    numbers = numbered(CONVENTIONS["groundglass"])[:25]
    with pytest.raises(GeometryError, match=r"ends .* within the lungs"):
        read_lobes(saved(tmp_path / "part.nii", numbers, "FPL", part), SCAN, LUNGS)


def test_a_mask_of_another_place_is_refused(tmp_path):
    affine = SCAN.voxels.affine.copy()
    affine[2, 3] += 500.0
    elsewhere = hd.Volume(SCAN.slices, affine, "PATIENT")
    file = saved(tmp_path / "lobes.nii", numbered(CONVENTIONS["groundglass"]), "FPL", elsewhere)
    with pytest.raises(GeometryError, match="covers them"):
        read_lobes(file, SCAN, LUNGS)


def test_regions_follow_the_given_lobes():
    given = place_lobes(numbered(CONVENTIONS["lungmask LTRCLobes"]), SCAN, LUNGS)
    found = find_regions(SCAN, LUNGS, given.lobes)
    np.testing.assert_array_equal(found.regions.array > 0, LUNGS.array > 0)
    for region in Region:
        inside = found.regions.array == int(region)
        assert set(np.unique(LOBES[inside])) == {region.lobe}


def test_one_lung_alone_needs_its_own_lobes_only():
    left = np.where(LUNGS.array == int(Lung.LEFT), LUNGS.array, 0)
    numbers = numbered(CONVENTIONS["lungmask LTRCLobes"], np.where(left > 0, LOBES, 0))
    given = place_lobes(numbers, SCAN, Mask.on(SCAN, left, Lung))
    assert given.source == "numbers of lungmask LTRCLobes"
    np.testing.assert_array_equal(given.lobes.array, np.where(left > 0, LOBES, 0))


@pytest.mark.parametrize(
    ("name", "lobe"),
    [
        ("lung_upper_lobe_left", Lobe.LEFT_UPPER),
        ("Middle lobe of right lung", Lobe.RIGHT_MIDDLE),
        ("right lower lobe", Lobe.RIGHT_LOWER),
        ("LLL", Lobe.LEFT_LOWER),
        ("left middle lobe", None),
        ("lesion in the right upper lobe", None),
        ("right lung", None),
        ("", None),
    ],
)
def test_names_of_lobes_are_understood(name, lobe):
    assert lobe_named(name) is lobe


def test_a_scan_in_place_of_a_mask_is_refused(tmp_path):
    nib.save(SCAN.voxels.to_nibabel(), tmp_path / "scan.nii")
    with pytest.raises(UnreadableScanError, match="give the mask, not the scan"):
        read_lobes(tmp_path / "scan.nii", SCAN, LUNGS)


def test_a_text_file_is_refused(tmp_path):
    (tmp_path / "lobes.txt").write_text("right upper lobe")
    with pytest.raises(UnreadableScanError, match="a text file"):
        read_lobes(tmp_path / "lobes.txt", SCAN, LUNGS)


def test_the_mask_belongs_to_the_scan_it_was_read_for():
    assert isinstance(SCAN, CTScan)
    given = place_lobes(numbered(CONVENTIONS["groundglass"]), SCAN, LUNGS)
    assert given.lobes.labels is Lobe

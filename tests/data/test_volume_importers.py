"""Volumes of 5 slices of 32 x 48 stand in for those that are downloaded."""

from pathlib import Path

import highdicom as hd
import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from groundglass.data import volume_importers
from groundglass.data.case import Case
from groundglass.data.cohort import Cohort, write_cohort
from groundglass.data.importers import import_cases
from groundglass.errors import CohortError, UnreadableScanError
from groundglass.geometry.frame import Box
from groundglass.intensity import window_hu
from groundglass.labels import Lesion, Lung
from groundglass.systems.slice_segmenter import LUNG_MARGIN

SHAPE = (5, 32, 48)
RIGHT, LEFT = np.s_[1:, 8:26, 6:18], np.s_[1:, 8:28, 28:42]
INFECTION = np.s_[2:4, 12:18, 32:37]
FPL_MM = np.array(
    [[0.0, 0.0, 2.0, -47.0], [0.0, 2.0, 0.0, -31.0], [-6.0, 0.0, 0.0, 12.0], [0.0, 0.0, 0.0, 1.0]]
)
"""Slices of 6 mm to the feet, rows to the back, columns to the left, in LPS."""

LUNGS = np.zeros(SHAPE, np.uint8)
LUNGS[RIGHT], LUNGS[LEFT] = 2, 1
LESIONS = np.zeros(SHAPE, np.uint8)
LESIONS[INFECTION] = 1
HU = np.full(SHAPE, 40.0, np.int16)
HU[:, :3] = -1000
HU[LUNGS > 0], HU[LESIONS > 0] = -800, -300
GRAY = np.rint(255 * window_hu(HU)).astype(np.uint8)
BOX = Box.around((LUNGS > 0).any(0), LUNG_MARGIN)


def write_nifti(
    path: Path, array: NDArray[np.generic], axes: str = "RAS", shift_mm: float = 0.0
) -> None:
    """Write what is given from head to feet with its axes turned another way."""
    affine = FPL_MM.copy()
    affine[0, 3] += shift_mm
    turned = hd.Volume(array, affine, coordinate_system="PATIENT").to_patient_orientation(axes)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(
        nib.Nifti1Image(
            np.ascontiguousarray(turned.array), np.diag([-1.0, -1, 1, 1]) @ turned.affine
        ),
        path,
    )


def write_covid_ct_seg(folder: Path, name: str, image=HU, axes: str = "RAS", **masks) -> None:
    parts = {
        "COVID-19-CT-Seg_20cases": image,
        "Lung_Mask": masks.get("lungs", LUNGS),
        "Infection_Mask": masks.get("lesions", LESIONS),
    }
    for part, array in parts.items():
        write_nifti(folder / part / f"{name}.nii.gz", array, axes)


def imported(name: str, folder: Path, **options) -> dict[str, Case]:
    """Cases after a turn through a table that checks every file."""
    slices = folder.with_name("slices")
    table = folder.with_name("cohort.csv")
    write_cohort(import_cases(name, folder, slices, **options), table)
    return {case.case: case for case in Cohort.read([table]).cases}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "downloaded"


@pytest.mark.parametrize("axes", ["RAS", "LPI", "LAS", "SRA", "PIR"])
def test_masks_lie_on_their_pixels_and_lungs_on_their_sides_however_a_volume_is_stored(
    folder: Path, axes: str
) -> None:
    write_covid_ct_seg(folder, "coronacases_001", axes=axes)
    cases = imported("covid-ct-seg", folder)
    cut = np.s_[BOX.top : BOX.bottom, BOX.left : BOX.right]
    numbers = {k: len(GRAY) - 1 - k for k in (4, 3, 2, 1)}  # from the feet up
    assert list(cases) == [f"coronacases_001_{n:04d}" for n in numbers.values()], "0 has no lung"
    assert BOX.top == 7
    assert BOX.left == 5
    for k, case in zip(numbers, cases.values(), strict=True):
        assert (case.series, case.number) == ("coronacases_001", numbers[k])
        np.testing.assert_array_equal(case.read_image(), GRAY[k][cut])
        sides = case.read_sides()
        assert ((sides == Lung.LEFT) == (LUNGS[k][cut] == 1)).all()
        assert ((sides == Lung.RIGHT) == (LUNGS[k][cut] == 2)).all()
        np.testing.assert_array_equal(case.read_lesions(), LESIONS[k][cut] * Lesion.UNSPECIFIED)
        assert (case.lesions == "none") == (k in (1, 4))


def test_a_volume_in_gray_is_written_as_it_stands(folder: Path) -> None:
    write_covid_ct_seg(folder, "radiopaedia_4_85506_1", GRAY.astype(np.float64))
    case = imported("covid-ct-seg", folder)[f"radiopaedia_4_85506_1_{len(GRAY) - 4:04d}"]
    cut = np.s_[BOX.top : BOX.bottom, BOX.left : BOX.right]
    np.testing.assert_array_equal(case.read_image(), GRAY[3][cut])
    assert (case.patient, case.series) == ("radiopaedia_4", "radiopaedia_4_85506_1")


def test_both_masks_in_one_file_tell_the_same(folder: Path) -> None:
    write_covid_ct_seg(folder, "coronacases_001")
    both = np.where(LESIONS > 0, 3, LUNGS).astype(np.uint8)
    write_nifti(folder / "Lung_and_Infection_Mask" / "coronacases_001.nii.gz", both)
    imported("covid-ct-seg", folder)
    (folder / "Lung_Mask").rename(folder / "elsewhere")
    (folder.with_name("slices")).rename(folder.with_name("first slices"))
    table = folder.with_name("cohort.csv")
    table.write_text(table.read_text().replace("/slices/", "/first slices/"))
    separate = {case.case: case for case in Cohort.read([table]).cases}
    together = imported("covid-ct-seg", folder)
    assert list(together) == list(separate)
    healthy = [name for name, case in together.items() if case.lesions == "none"]
    assert healthy == [f"coronacases_001_{len(GRAY) - 1 - k:04d}" for k in (4, 1)]
    for name, case in together.items():
        np.testing.assert_array_equal(case.read_lungs(), separate[name].read_lungs())
        np.testing.assert_array_equal(case.read_lesions(), separate[name].read_lesions())
        np.testing.assert_array_equal(case.read_sides(), separate[name].read_sides())


def test_a_volume_is_a_patient_and_two_of_one_case_are_one(folder: Path) -> None:
    names = {
        "coronacases_001": ("coronacases_001", "train"),
        "coronacases_002": ("coronacases_002", "val"),
        "coronacases_003": ("coronacases_003", "test"),
        "radiopaedia_7_85703_0": ("radiopaedia_7", "test"),
        "radiopaedia_10_85902_1": ("radiopaedia_10", "train"),
        "radiopaedia_10_85902_3": ("radiopaedia_10", "train"),
    }
    for name in names:
        write_covid_ct_seg(folder, name)
    (folder / "COVID-19-CT-Seg_20cases" / "._coronacases_001.nii.gz").write_bytes(b"of a Mac")
    cases = imported("covid-ct-seg", folder).values()
    assert {case.series: (case.patient, case.split) for case in cases} == names


def test_a_volume_without_mask_is_refused_and_leaves_no_slice(folder: Path) -> None:
    write_covid_ct_seg(folder, "coronacases_001")
    write_covid_ct_seg(folder, "coronacases_002")
    (folder / "Infection_Mask" / "coronacases_002.nii.gz").unlink()
    with pytest.raises(CohortError, match=r"no 'Infection_Mask/coronacases_002\.nii\.gz'"):
        imported("covid-ct-seg", folder)
    assert not folder.with_name("slices").exists()


def test_a_mask_with_a_value_of_no_meaning_is_refused_and_leaves_no_slice(folder: Path) -> None:
    write_covid_ct_seg(folder, "coronacases_001")
    write_covid_ct_seg(folder, "coronacases_002", lesions=LESIONS * 4)
    with pytest.raises(CohortError, match=r"Infection_Mask/coronacases_002\.nii\.gz' .* values 4"):
        imported("covid-ct-seg", folder)
    assert not folder.with_name("slices").exists()


def test_a_mask_on_another_grid_is_refused(folder: Path) -> None:
    write_covid_ct_seg(folder, "coronacases_001")
    mask = folder / "Infection_Mask" / "coronacases_001.nii.gz"
    write_nifti(mask, LESIONS, shift_mm=3.0)
    with pytest.raises(CohortError, match=r"1\.5 voxels away"):
        imported("covid-ct-seg", folder)
    write_nifti(mask, LESIONS[1:])
    with pytest.raises(CohortError, match=r"of \(4, 32, 48\) voxels"):
        imported("covid-ct-seg", folder)


def test_lungs_on_the_wrong_side_are_refused(folder: Path) -> None:
    write_covid_ct_seg(folder, "coronacases_001", lungs=LUNGS[:, :, ::-1].copy())
    with pytest.raises(CohortError, match="left lung of 'coronacases_001' on the patient's right"):
        imported("covid-ct-seg", folder)


def test_a_volume_that_does_not_tell_left_from_right_is_refused_unless_tolerated(
    folder: Path,
) -> None:
    write_covid_ct_seg(folder, "coronacases_001", axes="RAS")
    for path in folder.glob("*/*.nii.gz"):
        image = nib.load(path)
        array = np.asarray(image.dataobj)
        bare = nib.Nifti1Image(array, None)
        bare.header.set_zooms(image.header.get_zooms())
        nib.save(bare, path)
    with pytest.raises(UnreadableScanError, match=r"coronacases_001.*--tolerate no-orientation"):
        imported("covid-ct-seg", folder)
    # the format's own axes run to the left, those of this file to the right: lungs are on the
    # wrong side then, and their labels say so
    with pytest.raises(CohortError, match="on the patient's right"):
        imported("covid-ct-seg", folder, tolerate=["no-orientation"])


def test_a_volume_of_another_name_tells_no_patient(folder: Path) -> None:
    write_covid_ct_seg(folder, "mosmed_1")
    with pytest.raises(CohortError, match="'COVID-19-CT-Seg_20cases/mosmed_1"):
        imported("covid-ct-seg", folder)


def test_slices_go_to_a_new_folder(folder: Path) -> None:
    write_covid_ct_seg(folder, "coronacases_001")
    folder.with_name("slices").mkdir()
    with pytest.raises(CohortError, match="found 'slices' in the place"):
        imported("covid-ct-seg", folder)
    assert folder.with_name("slices").is_dir()


def test_medseg_tells_pleural_effusion_from_both_opacities(folder: Path) -> None:
    kinds = np.zeros(SHAPE, np.uint8)
    kinds[1, 10:14, 8:12], kinds[2, 10:14, 30:34], kinds[3, 20:25, 30:40] = 1, 2, 3
    write_nifti(folder / "tr_im.nii.gz", HU.astype(np.float32), "LAS")
    write_nifti(folder / "tr_mask.nii.gz", kinds.astype(np.float64), "LAS")
    write_nifti(folder / "val_im.nii.gz", HU)
    cases = imported("medseg", folder)
    assert len(cases) == 5
    assert {(case.patient, case.split) for case in cases.values()} == {("medseg", "train")}
    for k, case in enumerate(cases.values()):
        np.testing.assert_array_equal(case.read_image(), GRAY[k])
        np.testing.assert_array_equal(case.read_lesions(), np.array([0, 1, 2, 4])[kinds[k]])
    assert cases["medseg_slice_000"].lesions == "none"
    folder.with_name("slices").rename(folder.with_name("elsewhere"))
    write_nifti(folder / "tr_mask.nii.gz", kinds + 1)
    with pytest.raises(CohortError, match=r"tr_mask\.nii\.gz' with the values 4"):
        imported("medseg", folder)


@pytest.mark.parametrize("missing", ["tr_im", "tr_mask"])
def test_medseg_without_one_of_its_files_is_refused(folder: Path, missing: str) -> None:
    for name in ("tr_im", "tr_mask"):
        if name != missing:
            write_nifti(folder / f"{name}.nii.gz", HU)
    folder.mkdir(exist_ok=True)
    with pytest.raises(CohortError, match=rf"'{missing}\.nii\.gz'"):
        imported("medseg", folder)


def test_slices_show_as_much_around_the_lungs_as_systems_see() -> None:
    assert volume_importers.LUNG_MARGIN == LUNG_MARGIN

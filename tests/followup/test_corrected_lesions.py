import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - the name its own manual uses

from groundglass.errors import ConfigError, GeometryError, UnreadableScanError
from groundglass.followup.corrected_lesions import known_labels, read_lesions
from groundglass.labels import Lesion
from tests.followup.results import edited, lesions_of, result
from tests.write.dicom_series import PHANTOM

GEOMETRY = PHANTOM.lungs.voxels.get_geometry()
TRUE = PHANTOM.lesions.array


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made, _ = result(tmp_path_factory.mktemp("drawn"), formats=("json", "nifti", "seg"))
    return made


def slicer(folder, name, segments, *, crop=True, factor=1):
    """A .seg.nrrd as 3D Slicer writes it, cut to what is drawn."""
    image = lesions_of(folder) * factor
    if crop:
        where = np.argwhere(sitk.GetArrayFromImage(image))
        low, high = where.min(axis=0), where.max(axis=0) + 1
        image = image[low[2] : high[2], low[1] : high[1], low[0] : high[0]]
    for index, (label, number) in enumerate(segments.items()):
        image.SetMetaData(f"Segment{index}_Name", label)
        image.SetMetaData(f"Segment{index}_LabelValue", str(number))
    file = folder.parent / name
    sitk.WriteImage(image, str(file), True)
    return file


def test_numbers_without_names_are_those_of_our_masks(folder):
    lesions, notes = read_lesions(folder / "lesions.nii.gz", GEOMETRY)
    assert np.array_equal(lesions, TRUE)
    assert notes == ()


@pytest.mark.parametrize("crop", [True, False])
def test_segments_of_slicer_go_by_their_names(folder, crop):
    names = {"Consolidation": 1, "GGO": 2, "pleural-effusion": 4}
    lesions, _ = read_lesions(slicer(folder, "a.seg.nrrd", names, crop=crop), GEOMETRY)
    swapped = np.array([0, Lesion.CONSOLIDATION, Lesion.GROUND_GLASS, 3, 4], np.uint8)[TRUE]
    assert np.array_equal(lesions, swapped)


def test_our_own_dicom_segmentation_gives_the_lesions_back(folder):
    lesions, (note,) = read_lesions(folder / "segmentation.dcm", GEOMETRY)
    assert np.array_equal(lesions, TRUE)
    assert "right lung, left lung" in note.message


def test_a_segmentation_without_lesions_is_refused_and_not_taken_for_health(folder):
    with pytest.raises(UnreadableScanError, match="no lesion among the segments"):
        read_lesions(folder / "segmentation_lobes.dcm", GEOMETRY)


def test_unknown_numbers_are_refused_until_they_are_named(folder):
    def times_five(numbers, _lungs):
        numbers *= 5

    file = edited(folder, times_five, "five.nii.gz")
    with pytest.raises(UnreadableScanError, match="found the labels 5, 10, 20 in") as refused:
        read_lesions(file, GEOMETRY)
    assert '--labels "5=ground-glass"' in str(refused.value)
    labels = known_labels("5=ground-glass 10=consolidation, 20=none")
    lesions, (note,) = read_lesions(file, GEOMETRY, labels)
    assert np.array_equal(lesions, np.where(TRUE == 4, 0, TRUE))
    assert "label 20" in note.message


def test_unknown_names_are_refused_even_where_the_number_would_do(folder):
    file = slicer(folder, "b.seg.nrrd", {"Segment_1": 1, "consolidation": 2, "effusion": 4})
    with pytest.raises(UnreadableScanError, match=r"1 \('Segment_1'\)"):
        read_lesions(file, GEOMETRY)
    lesions, _ = read_lesions(file, GEOMETRY, {"Segment_1": "lesion"})
    assert np.array_equal(lesions == Lesion.UNSPECIFIED, TRUE == Lesion.GROUND_GLASS)


def test_a_meaning_that_is_no_lesion_is_refused(folder):
    with pytest.raises(ConfigError, match="'tumor' as meaning of the label 1"):
        read_lesions(folder / "lesions.nii.gz", GEOMETRY, {"1": "tumor"})


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", {}),
        ("1=ground-glass 2=consolidation", {"1": "ground-glass", "2": "consolidation"}),
        ("1=ground-glass,2=none", {"1": "ground-glass", "2": "none"}),
        ("Segment_1=lesion", {"Segment_1": "lesion"}),
    ],
)
def test_labels_are_pairs_of_names_and_meanings(words, expected):
    assert known_labels(words) == expected


def test_labels_without_a_meaning_are_refused():
    with pytest.raises(ConfigError, match="NAME=MEANING"):
        known_labels("1=lesion 2")


def test_a_label_outside_the_scan_is_refused(folder):
    image = sitk.ConstantPad(lesions_of(folder), [2, 0, 0], [0, 0, 0], 0)
    sitk.WriteImage(image, str(folder.parent / "wide.nii.gz"))
    lesions, _ = read_lesions(folder.parent / "wide.nii.gz", GEOMETRY)
    assert np.array_equal(lesions, TRUE)
    image[0, 5, 5] = 1
    sitk.WriteImage(image, str(folder.parent / "wide.nii.gz"))
    with pytest.raises(GeometryError, match="labels outside the scan"):
        read_lesions(folder.parent / "wide.nii.gz", GEOMETRY)


def test_a_mask_half_a_voxel_away_is_refused(folder):
    image = lesions_of(folder)
    x, y, z = image.GetOrigin()
    image.SetOrigin((x + 1.5, y, z))
    sitk.WriteImage(image, str(folder.parent / "moved.nii.gz"))
    with pytest.raises(GeometryError, match="beside those of the result"):
        read_lesions(folder.parent / "moved.nii.gz", GEOMETRY)

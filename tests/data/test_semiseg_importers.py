from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from groundglass.data.case import Case
from groundglass.data.cohort import Cohort, write_cohort
from groundglass.data.importers import import_cases
from groundglass.errors import CohortError

LESION, KINDS = np.zeros((32, 48), np.uint8), np.zeros((32, 48), np.uint8)
LESION[8:20, 6:16] = 255
KINDS[8:20, 6:16], KINDS[12:15, 8:11] = 1, 2
COLORS = (0, 0, 0, 128, 0, 0, 0, 128, 0)
"""Background, dark red, dark green."""

FOLDERS = {
    "train": ("TrainingSet/LungInfection-Train/Doctor-label", "MultiClassInfection-Train"),
    "test": ("TestingSet/LungInfection-Test", "MultiClassInfection-Test"),
}
UNLABELED = "TrainingSet/LungInfection-Train/Pseudo-label"


def write_picture(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


def write_palette(path: Path, numbers: np.ndarray, colors: tuple[int, ...] = COLORS) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(numbers, mode="P")
    image.putpalette(colors)
    image.save(path)


def imported(name: str, folder: Path) -> list[Case]:
    """Cases after a turn through a table that checks every file."""
    write_cohort(import_cases(name, folder), folder / "cohort.csv")
    return list(Cohort.read([folder / "cohort.csv"]).cases)


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """Three slices to learn from and two to test on, and three that a network labeled."""
    for split, names in (("train", (0, 1, 2)), ("test", (6, 7))):
        lesion, kinds = FOLDERS[split]
        kinds = f"{lesion.partition('/')[0]}/{kinds}"
        for name in names:
            for part in (lesion, kinds):
                gray = np.full((32, 48, 3), 90 + name, np.uint8)
                write_picture(tmp_path / "Dataset" / part / "Imgs" / f"{name}.jpg", gray)
            write_picture(tmp_path / "Dataset" / lesion / "GT" / f"{name}.png", LESION)
            write_palette(tmp_path / "Dataset" / kinds / "GT" / f"{name}.png", KINDS)
    for name in (
        "Data-1_coronacases_org_003_12",
        "Data-1_coronacases_org_003_13",
        "Data-1_radiopaedia_org_covid-19-pneumonia-10_85902_3-dcm_7",
    ):
        write_picture(tmp_path / "Dataset" / UNLABELED / "Imgs" / f"{name}.jpg", LESION)
        write_picture(tmp_path / "Dataset" / UNLABELED / "GT" / f"{name}.png", LESION)
    return tmp_path


@pytest.mark.parametrize("below", [".", "Dataset"])
def test_lesion_of_semiseg_keeps_its_published_split(release: Path, below: str) -> None:
    cases = imported("covid-semiseg", release / below)
    assert [(case.case, case.patient, case.split) for case in cases] == [
        (f"semiseg_{k}", f"semiseg_{k}", split)
        for k, split in ((0, "train"), (1, "train"), (2, "train"), (6, "test"), (7, "test"))
    ]
    for case in cases:
        np.testing.assert_array_equal(case.read_lesions(), 3 * (LESION > 0))


def test_red_is_ground_glass_and_green_consolidation(release: Path) -> None:
    cases = imported("covid-semiseg-kinds", release)
    assert [case.split for case in cases] == ["train"] * 3 + ["test"] * 2
    for case in cases:
        np.testing.assert_array_equal(case.read_lesions(), KINDS)


@pytest.mark.parametrize("palette", [True, False])
def test_another_color_is_refused(release: Path, palette: bool) -> None:
    mask = release / "Dataset" / "TestingSet" / "MultiClassInfection-Test" / "GT" / "6.png"
    colors = np.array(COLORS, np.uint8).reshape(3, 3)[KINDS]
    write_picture(mask, np.ascontiguousarray(colors[..., ::-1]))
    assert len(imported("covid-semiseg-kinds", release)) == 5, "colors without a palette are known"
    if palette:
        write_palette(mask, KINDS, (*COLORS[:6], 0, 0, 128))
    else:
        write_picture(mask, np.where(KINDS == 2, 113, 0))
    with pytest.raises(CohortError, match=r"'semiseg_6': lesions with .* lesions_values does not"):
        imported("covid-semiseg-kinds", release)


@pytest.mark.parametrize("name", ["covid-semiseg", "covid-semiseg-kinds"])
def test_a_slice_without_mask_is_refused(release: Path, name: str) -> None:
    for place in FOLDERS["test"]:
        folder = place if "/" in place else f"TestingSet/{place}"
        (release / "Dataset" / folder / "GT" / "7.png").unlink()
    with pytest.raises(CohortError, match=r"Imgs/7\.jpg' without a mask"):
        import_cases(name, release)


def test_slices_labeled_by_a_network_come_without_labels_and_with_their_patients(
    release: Path,
) -> None:
    cases = imported("covid-semiseg-unlabeled", release)
    assert [(c.patient, c.series, c.number, c.split) for c in cases] == [
        ("coronacases_003", "coronacases_003", 12, "test"),
        ("coronacases_003", "coronacases_003", 13, "test"),
        ("radiopaedia_10", "radiopaedia_10_85902_3", 7, "train"),
    ]
    assert {case.lesions for case in cases} == {None}


def test_an_unlabeled_slice_whose_name_tells_no_patient_is_refused(release: Path) -> None:
    write_picture(release / "Dataset" / UNLABELED / "Imgs" / "12.jpg", LESION)
    with pytest.raises(CohortError, match=r"Imgs/12\.jpg', expected a name"):
        import_cases("covid-semiseg-unlabeled", release)

from pathlib import Path

import cv2
import numpy as np
import pytest

from groundglass.data.cohort import Cohort, write_cohort
from groundglass.data.importers import import_cases
from groundglass.errors import CohortError


def write_picture(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


def imported(name: str, folder: Path):
    """Cases of a stand-in, after a turn through a table that checks every file."""
    write_cohort(import_cases(name, folder), folder / "cohort.csv")
    return Cohort.read([folder / "cohort.csv"]).cases


@pytest.fixture
def lesions(tmp_path: Path) -> Path:
    """Ten patients of two slices each, as CNCB has them."""
    mask = np.zeros((6, 8), np.uint8)
    mask[1:5, 1:7] = 1
    mask[2, 2:5] = 2
    mask[3, 3] = 3
    for patient in range(10):
        for k in (17, 18):
            write_picture(tmp_path / "image" / str(patient) / f"{k}.jpg", 60 * mask)
            write_picture(tmp_path / "mask" / str(patient) / f"{k}.png", mask)
    return tmp_path


def test_lung_ground_glass_and_consolidation_are_told_apart(lesions: Path) -> None:
    cases = imported("cncb-lesions", lesions)
    assert len(cases) == 20
    assert len({case.patient for case in cases}) == 10
    assert {case.split for case in cases} == {"train", "val", "test"}
    found, lungs = cases[0].read_lesions(), cases[0].read_lungs()
    assert np.bincount(found.ravel()).tolist() == [44, 3, 1]
    assert lungs.sum() == 24


def test_what_a_mac_leaves_beside_pictures_is_no_slice(lesions: Path) -> None:
    for name in (".DS_Store", "._17.jpg", "Thumbs.db"):
        (lesions / "image" / "3" / name).write_bytes(b"no picture")
    assert len(imported("cncb-lesions", lesions)) == 20


def test_a_slice_without_mask_is_refused(lesions: Path) -> None:
    (lesions / "mask" / "3" / "17.png").unlink()
    with pytest.raises(CohortError, match=r"image/3/17\.jpg' without a mask"):
        import_cases("cncb-lesions", lesions)


def test_a_folder_without_such_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="CNCB-NCOV"):
        import_cases("cncb-lesions", tmp_path)


@pytest.fixture
def covidx(tmp_path: Path) -> Path:
    """A slice or two of each class in three split files."""
    lines = {
        "train": "NCP_96_1328_0032.png 2 9 9 500 400\nCP_5_3511_0004.png 1 9 9 500 400\n",
        "val": "Normal_1779_617_0021.png 0 9 9 500 400\n\n",
        "test": "NCP_97_1329_0001.png 2 9 9 500 400\nvolume-covid19-A-0001_0004.png 2 0 0 1 1\n",
    }
    for split, text in lines.items():
        (tmp_path / f"{split}_COVIDx_CT-2A.txt").write_text(text)
        for line in filter(None, text.splitlines()):
            write_picture(tmp_path / "2A_images" / line.split()[0], np.zeros((4, 4), np.uint8))
    return tmp_path


def test_covidx_ct_keeps_its_split_its_classes_and_its_patients(covidx: Path) -> None:
    cases = {case.case: case for case in imported("covidx-ct", covidx)}
    one = cases["NCP_96_1328_0032"]
    assert (one.patient, one.series, one.split, one.label) == (
        "NCP_96",
        "NCP_96_1328",
        "train",
        "COVID-19",
    )
    assert cases["CP_5_3511_0004"].label == "pneumonia"
    assert (cases["Normal_1779_617_0021"].label, cases["Normal_1779_617_0021"].split) == (
        "control",
        "val",
    )
    assert cases["volume-covid19-A-0001_0004"].patient == "volume-covid19-A-0001"


@pytest.mark.parametrize(
    ("name", "patient", "series"),
    [
        (
            "137covid_patient59_SR_3_IM00027",
            "137covid_patient59",
            "137covid_patient59_SR_3",
        ),
        ("COVIDCTMD-normal073-IM0113", "COVIDCTMD-normal073", "COVIDCTMD-normal073"),
        ("HUST-Patient12-0031", "HUST-Patient12", "HUST-Patient12"),
        ("A000801-CT-CHEST-5-0012", "A000801", "A000801-CT-CHEST-5"),
        ("coronacases_001_0034", "coronacases_001", "coronacases_001"),
    ],
)
def test_slices_of_the_other_sources_of_covidx_ct_have_the_patient_of_their_name(
    covidx: Path, name: str, patient: str, series: str
) -> None:
    with (covidx / "train_COVIDx_CT-2A.txt").open("a") as file:
        file.write(f"{name}.png 2 0 0 512 404\n")
    write_picture(covidx / "2A_images" / f"{name}.png", np.zeros((4, 4), np.uint8))
    cases = {case.case: case for case in imported("covidx-ct", covidx)}
    assert (cases[name].patient, cases[name].series) == (patient, series)


@pytest.mark.parametrize("line", ["NCP_1_1_0001.png 2", "NCP_96_1328_0032.png 7", "nonsense"])
def test_a_wrong_line_is_refused(covidx: Path, line: str) -> None:
    with (covidx / "val_COVIDx_CT-2A.txt").open("a") as file:
        file.write(line)
    with pytest.raises(CohortError, match="val_COVIDx_CT-2A"):
        import_cases("covidx-ct", covidx)


def test_split_files_of_two_versions_are_refused(covidx: Path) -> None:
    (covidx / "train_COVIDx-CT.txt").write_text("")
    with pytest.raises(CohortError, match="found 2 files"):
        import_cases("covidx-ct", covidx)

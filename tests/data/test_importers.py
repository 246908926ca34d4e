from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from groundglass.data.case import Case
from groundglass.data.cohort import Cohort, write_cohort
from groundglass.data.file_check import find_faults
from groundglass.data.importers import (
    IMPORTERS,
    REMARKS,
    VOLUME_IMPORTERS,
    VOLUME_REMARKS,
    import_cases,
)
from groundglass.errors import CohortError
from tests.data.real_data import data_folder


def layout(folder: Path, table: str, rows: str, *files: str) -> Path:
    """A stand-in of a data set: its own table, and files of 6 x 7 pixels."""
    (folder / table).write_text(rows)
    for name in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in {".png", ".jpg"}:
            value = 255 if "union" in name else 0
            cv2.imwrite(str(path), np.full((6, 7), value, np.uint8))
        else:
            path.touch()
    return folder


def imported(name: str, folder: Path) -> list[Case]:
    """Cases of a stand-in, after a turn through a table that checks every file."""
    write_cohort(import_cases(name, folder), folder / "cohort.csv")
    return list(Cohort.read([folder / "cohort.csv"]).cases)


def test_covid_ct_keeps_its_official_split(tmp_path: Path) -> None:
    rows = (
        "file,label,official_split,patient\n"
        "images/COVID/a%0.jpg,COVID,train,p1\n"
        "images/NonCOVID/a%0.jpg,NonCOVID,test,p2\n"
    )
    layout(tmp_path, "index.csv", rows, "images/COVID/a%0.jpg", "images/NonCOVID/a%0.jpg")
    cases = imported("covid-ct", tmp_path)
    assert [(c.case, c.label, c.split, c.patient) for c in cases] == [
        ("COVID/a%0", "COVID", "train", "p1"),
        ("NonCOVID/a%0", "NonCOVID", "test", "p2"),
    ]


def test_radiographs_are_split_by_patient_and_laterals_left_out(tmp_path: Path) -> None:
    rows = ["file,patientid,finding,view"]
    rows += [f"images/{k}.jpg,{k // 2},{'todo' if k == 0 else 'COVID-19'},PA" for k in range(20)]
    rows += ["images/20.jpg,3,COVID-19,L", "images/21.jpg,,SARS,AP"]
    layout(tmp_path, "index.csv", "\n".join(rows), *(f"images/{k}.jpg" for k in range(22)))
    cases = imported("cxr-ieee8023", tmp_path)
    assert {case.case for case in cases} == {str(k) for k in range(22)} - {"20"}
    assert {case.modality for case in cases} == {"radiograph"}
    assert cases[0].label == ""
    assert cases[-1].patient == "21"
    assert len({case.split for case in cases}) == 3


def test_pictures_that_are_not_there_are_left_out(tmp_path: Path) -> None:
    rows = "patientid,finding,view,imagename\nA1,No finding,PA,x.png\nA2,,AP,y.png\n"
    layout(tmp_path, "metadata.csv", rows, "images/x.jpg")
    (case,) = imported("cxr-actualmed", tmp_path)
    assert (case.case, case.patient, case.label, case.split) == ("x", "A1", "No finding", "test")


def test_pictures_of_one_patient_are_told_by_their_letter(tmp_path: Path) -> None:
    rows = "patientid,finding,view\nCOVID-00003a,COVID-19,AP\nCOVID-00003b,,AP\n"
    layout(tmp_path, "metadata.csv", rows, "images/COVID-00003a.jpg", "images/COVID-00003b.jpg")
    assert {c.patient for c in imported("cxr-figure1", tmp_path)} == {"COVID-00003"}


def test_a_series_is_a_case(tmp_path: Path) -> None:
    rows = "volume,diagnosis,file\nP001,COVID-19,a.dcm\nP001,COVID-19,b.dcm\nN1,Normal,c.dcm\n"
    layout(tmp_path, "labels.csv", rows, "P001/a.dcm", "P001/b.dcm", "N1/c.dcm")
    cases = imported("covid-ct-md", tmp_path)
    assert [(case.case, case.label, case.is_series) for case in cases] == [
        ("P001", "COVID-19", True),
        ("N1", "Normal", True),
    ]


def test_nodules_have_what_any_reader_marked(tmp_path: Path) -> None:
    names = [f"images/LIDC-{p}_1_7{end}.png" for p in (1, 2) for end in ("", "_union", "_dif")]
    layout(tmp_path, "unused.csv", "", *names)
    cases = imported("lidc-nodule-patches", tmp_path)
    assert [case.patient for case in cases] == ["LIDC-1", "LIDC-2"]
    lesions = cases[0].read_lesions()
    assert lesions is not None
    assert (lesions == 3).all()


@pytest.mark.parametrize("name", sorted(IMPORTERS))
def test_a_folder_of_another_layout_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="check the folder"):
        import_cases(name, tmp_path)


def test_a_table_with_other_columns_is_refused(tmp_path: Path) -> None:
    layout(tmp_path, "index.csv", "name\na\n")
    with pytest.raises(CohortError, match="found no column"):
        import_cases("covid-ct", tmp_path)


def test_remarks_are_about_importers() -> None:
    assert REMARKS.keys() <= IMPORTERS.keys()
    assert VOLUME_REMARKS.keys() <= VOLUME_IMPORTERS.keys() <= IMPORTERS.keys()


REAL_SETS = {
    "covid-ct-seg": (1133, {"train": 828, "val": 111, "test": 194}),
    "covid-ct": (746, {"train": 425, "val": 118, "test": 203}),
    "covid-ct-md": (2, {"test": 2}),
    "cxr-ieee8023": (606, None),
    "cxr-actualmed": (54, {"test": 54}),
    "cxr-figure1": (55, {"test": 55}),
    "lidc-nodule-patches": (71, None),
    "medseg": (98, {"train": 49, "val": 17, "test": 32}),
}


@pytest.mark.reference
@pytest.mark.parametrize("name", REAL_SETS)
def test_the_real_folder_becomes_a_sound_cohort(name: str) -> None:
    cases = import_cases(name, data_folder(name))
    number, splits = REAL_SETS[name]
    assert len(cases) == number
    assert splits is None or Counter(case.split for case in cases) == splits
    assert Cohort(cases).cases, "no patient in two splits"
    assert find_faults(cases) == []

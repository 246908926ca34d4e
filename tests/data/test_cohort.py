from pathlib import Path

import cv2
import numpy as np
import pytest

from groundglass.data.cohort import Case, Cohort, write_cohort
from groundglass.errors import CohortError


def picture(path: Path, value: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((8, 9), value, np.uint8))
    return path


def case(folder: Path, name: str, patient: str, split: str, **more: object) -> Case:
    return Case.model_validate(
        {
            "case": name,
            "patient": patient,
            "split": split,
            "image": picture(folder / f"{name}.png"),
            **more,
        }
    )


def test_a_written_table_reads_back_the_same(tmp_path: Path) -> None:
    cases = [
        case(tmp_path, "a", "p1", "train", lesions="none"),
        case(
            tmp_path,
            "b",
            "p2",
            "test",
            lungs=picture(tmp_path / "l.png"),
            lungs_values="255:both",
            lesions=picture(tmp_path / "m.png"),
            lesions_values="1:1 2:2",
        ),
    ]
    write_cohort(cases, tmp_path / "cohort.csv")
    assert list(Cohort.read([tmp_path / "cohort.csv"]).cases) == cases


def test_files_are_relative_to_the_table(tmp_path: Path) -> None:
    picture(tmp_path / "pictures" / "a.png")
    (tmp_path / "t.csv").write_text("case,patient,split,image\na,p,train,pictures/a.png\n")
    assert Cohort.read([tmp_path / "t.csv"]).cases[0].read_image().shape == (8, 9)


def test_values_become_lesion_numbers(tmp_path: Path) -> None:
    path = tmp_path / "m.png"
    cv2.imwrite(str(path), np.array([[0, 128, 255]], np.uint8))
    lesions = case(
        tmp_path, "a", "p", "train", lesions=path, lesions_values="128:1 255:2"
    ).read_lesions()
    assert lesions is not None
    assert lesions.tolist() == [[0, 1, 2]]


def test_a_patient_in_two_splits_is_refused(tmp_path: Path) -> None:
    cases = [case(tmp_path, "a", "p1", "train"), case(tmp_path, "b", "p1", "test")]
    with pytest.raises(CohortError, match=r"patient 'p1' in splits \['test', 'train'\]"):
        Cohort(cases)


def test_a_repeated_case_is_refused(tmp_path: Path) -> None:
    cases = [case(tmp_path, "a", "p1", "train"), case(tmp_path, "a", "p1", "train")]
    with pytest.raises(CohortError, match="case 'a' 2 times"):
        Cohort(cases)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    made = case(tmp_path, "a", "p1", "train")
    write_cohort([made], tmp_path / "cohort.csv")
    made.image.unlink()
    with pytest.raises(CohortError, match=r"'a': image file '.*a\.png' missing"):
        Cohort.read([tmp_path / "cohort.csv"])


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("a,p,train,a.png,,,4", "line 2, stage"),
        ("a,p,train,a.png,a.png,255:lobe,", "'255:lobe' is not VALUE:MEANING"),
        ("a,p,train,a.png,a.png,300:both,", "'300:both' is not VALUE:MEANING"),
        ("a,,train,a.png,,,", "line 2, patient"),
    ],
)
def test_a_cell_that_means_nothing_is_refused(tmp_path: Path, row: str, words: str) -> None:
    picture(tmp_path / "a.png")
    table = tmp_path / "t.csv"
    table.write_text(f"case,patient,split,image,lungs,lungs_values,stage\n{row}\n")
    with pytest.raises(CohortError, match=words):
        Cohort.read([table])


def test_class_stage_and_modality_are_read_back(tmp_path: Path) -> None:
    made = case(tmp_path, "a", "p1", "train", label="COVID", stage=2, modality="radiograph")
    write_cohort([made], tmp_path / "cohort.csv")
    (found,) = Cohort.read([tmp_path / "cohort.csv"]).cases
    assert (found.label, found.stage, found.modality) == ("COVID", 2, "radiograph")


def test_an_empty_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="no case in split 'test'"):
        Cohort([case(tmp_path, "a", "p1", "train")]).split("test")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("a,p,training,a.png,,", "line 2, split"),
        ("a,p,train,a.png,m.png,", "given together"),
        ("a,p,,a.png,,", "line 2, split"),
    ],
)
def test_a_wrong_row_is_refused_with_its_place(tmp_path: Path, row: str, words: str) -> None:
    picture(tmp_path / "a.png")
    table = tmp_path / "t.csv"
    table.write_text(f"case,patient,split,image,lesions,lesions_values\n{row}\n")
    with pytest.raises(CohortError, match=words):
        Cohort.read([table])


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="groundglass data import"):
        Cohort.read([tmp_path / "none.csv"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_table_is_read_with_and_without_a_mark_of_its_encoding(
    tmp_path: Path, encoding: str
) -> None:
    picture(tmp_path / "a.png")
    text = "case,patient,split,image\r\na,Jürgen,train,a.png\r\n"
    (tmp_path / "t.csv").write_text(text, encoding=encoding, newline="")
    (found,) = Cohort.read([tmp_path / "t.csv"]).cases
    assert (found.case, found.patient) == ("a", "Jürgen")


@pytest.mark.parametrize(
    ("text", "encoding", "words"),
    [
        ("case;patient;split;image\na;p;train;a.png\n", "utf-8", "semicolons between the columns"),
        ('"case"\t"patient"\na\tp\n', "utf-8-sig", "tabs between the columns"),
        ("case,patient,split,image\na,Jürgen,train,a.png\n", "cp1252", "encoding than UTF-8"),
        ("name,patient\na,p\n", "utf-8", r"columns \['name', 'patient'\]"),
    ],
)
def test_a_table_saved_in_another_way_is_refused_with_the_way_to_save_it(
    tmp_path: Path, text: str, encoding: str, words: str
) -> None:
    (tmp_path / "t.csv").write_text(text, encoding=encoding)
    with pytest.raises(CohortError, match=f"{words}.* save it as 'CSV UTF-8'"):
        Cohort.read([tmp_path / "t.csv"])

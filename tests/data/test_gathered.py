from pathlib import Path

import cv2
import numpy as np
import pytest

from groundglass.data.cohort import Case, Cohort
from groundglass.data.gathered import gather
from groundglass.errors import CohortError, EmptyMaskError, OutputError


def picture(folder: Path, name: str, patient: str, gray: int, label: str = "ill") -> Case:
    file = folder / f"{name}.jpg"
    cv2.imwrite(str(file), np.full((70, 80), gray, np.uint8))
    return Case(case=name, patient=patient, split="val", image=file, label=label)


def test_the_pictures_of_a_patient_become_a_series_in_their_order(tmp_path: Path) -> None:
    cases = [
        picture(tmp_path, "b", "first man", 10),
        picture(tmp_path, "c", "second", 20, "well"),
        picture(tmp_path, "a", "first man", 30),
        picture(tmp_path, "d", "third", 40, ""),
    ]
    gather(cases, tmp_path / "series")
    first, second = Cohort.read([tmp_path / "series" / "cohort.csv"]).cases
    assert (first.case, first.patient, first.label, first.split) == (
        *("ill-first_man", "first man", "ill", "val"),
    )
    assert second.case == "well-second"
    grays = [cv2.imread(str(file))[0, 0, 0] for file in sorted(first.image.iterdir())]
    assert grays == [10, 30]


def test_a_series_that_cannot_be_used_is_left_out_with_its_reason(tmp_path: Path) -> None:
    def refuse_dark(series: Path) -> None:
        if cv2.imread(str(series / "001.png")).max() < 5:
            raise EmptyMaskError("found no lung")

    cases = [picture(tmp_path, "a", "dark", 1), picture(tmp_path, "b", "light", 9)]
    made, left_out = gather(cases, tmp_path / "series", refuse_dark)
    assert [case.case for case in made] == ["ill-light"]
    assert left_out == {"ill-dark": "found no lung"}
    assert not (tmp_path / "series" / "ill-dark").exists()


def test_a_picture_that_cannot_be_written_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [picture(tmp_path, "a", "one", 1)]
    monkeypatch.setattr(cv2, "imwrite", lambda *_: False)
    with pytest.raises(OutputError, match=r"cannot write '.*001\.png'"):
        gather(cases, tmp_path / "series")
    assert not (tmp_path / "series" / "cohort.csv").exists()


def test_names_that_come_to_one_folder_are_refused(tmp_path: Path) -> None:
    cases = [picture(tmp_path, "a", "one man", 1), picture(tmp_path, "b", "one,man", 2)]
    with pytest.raises(CohortError, match="one,man"):
        gather(cases, tmp_path / "series")


def test_pictures_without_a_label_are_no_series(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="no picture with a label"):
        gather([picture(tmp_path, "a", "one", 1, "")], tmp_path / "series")

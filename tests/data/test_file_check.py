from pathlib import Path

import cv2
import numpy as np
import pytest

from groundglass.data.case import Case, read_gray
from groundglass.data.file_check import find_faults, refuse_faults
from groundglass.errors import CohortError


def write(path: Path, shape: tuple[int, int] = (8, 9), value: int = 0) -> Path:
    cv2.imwrite(str(path), np.full(shape, value, np.uint8))
    return path


def case(folder: Path, **files: Path) -> Case:
    given = {"image": write(folder / "image.png"), **files}
    values = {"lesions_values": "1:1 2:2"} if "lesions" in files else {}
    return Case.model_validate({"case": "a", "patient": "p", "split": "train", **given, **values})


def test_sound_files_have_no_fault(tmp_path: Path) -> None:
    assert find_faults([case(tmp_path, lesions=write(tmp_path / "m.png", value=2))]) == []


def test_a_mask_of_another_size_is_a_fault(tmp_path: Path) -> None:
    made = case(tmp_path, lesions=write(tmp_path / "m.png", (9, 8)))
    assert find_faults([made]) == ["case 'a': lesions of 9 x 8 pixels, an image of 8 x 9"]


def test_a_value_without_meaning_is_a_fault(tmp_path: Path) -> None:
    made = case(tmp_path, lesions=write(tmp_path / "m.png", value=7))
    assert find_faults([made]) == ["case 'a': lesions with 7, which lesions_values does not name"]


def test_a_file_that_is_no_picture_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "m.png").write_text("not a picture")
    (fault,) = find_faults([case(tmp_path, lesions=tmp_path / "m.png")])
    assert fault.startswith("case 'a': lesions file")
    assert fault.endswith("which is no picture")


@pytest.mark.parametrize("kind", ["image", "lesions"])
def test_values_of_16_bits_are_a_fault_and_not_an_empty_mask(tmp_path: Path, kind: str) -> None:
    deep = tmp_path / "deep.png"
    cv2.imwrite(str(deep), np.full((8, 9), 2, np.uint16))
    made = case(tmp_path, **{kind: deep})
    assert find_faults([made]) == [f"case 'a': {kind} file '{deep}' with 16 bits a value, not 8"]
    with pytest.raises(CohortError, match="16 bits a value, expected 8; write a mask"):
        made.read_image() if kind == "image" else made.read_lesions()


@pytest.mark.parametrize("name", ["color.png", "color.jpg", "gray.jpg", "gray.png"])
def test_pictures_of_8_bits_come_out_as_gray_as_before(tmp_path: Path, name: str) -> None:
    shape = (8, 9, 3) if name.startswith("color") else (8, 9)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    cv2.imwrite(str(tmp_path / name), pixels)
    expected = cv2.imread(str(tmp_path / name), cv2.IMREAD_GRAYSCALE)
    np.testing.assert_array_equal(read_gray(tmp_path / name), expected)


def test_the_folder_of_a_series_must_hold_something(tmp_path: Path) -> None:
    folder = tmp_path / "series"
    folder.mkdir()
    series = Case(case="a", patient="p", split="test", image=folder, label="COVID-19")
    assert find_faults([series]) == ["case 'a': the folder of its series is empty"]
    (folder / "1.dcm").touch()
    assert find_faults([series]) == []


def test_faults_are_counted_when_they_are_refused() -> None:
    refuse_faults([])
    with pytest.raises(CohortError, match=r"found one and 2 more faults, .* data check"):
        refuse_faults(["one", "two", "three"])

"""Neighbors of slices, and series laid on one grid."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundglass.data.cohort import Case, Cohort
from groundglass.data.derived import paste, reformat
from groundglass.data.stacks import Stack, find_neighbors, find_runs, find_shift, lay
from groundglass.errors import CohortError, OutputError
from groundglass.labels import Lesion


def rough(shape, seed=0):
    """A picture with structure at every place."""
    noise = np.random.default_rng(seed).uniform(0, 255, shape).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def case_of(folder, number, pixels, series="s", lesions=None, **fields):
    name = f"{series}-{number}"
    cv2.imwrite(str(folder / f"{name}.png"), pixels)
    if lesions is not None:
        cv2.imwrite(str(folder / f"{name}-lesions.png"), lesions)
        fields |= {"lesions": folder / f"{name}-lesions.png", "lesions_values": "1:3"}
    cv2.imwrite(str(folder / f"{name}-lungs.png"), np.ones_like(pixels))
    fields |= {"lungs": folder / f"{name}-lungs.png", "lungs_values": "1:both"}
    return Case(
        case=name,
        patient="p",
        series=series,
        number=number,
        split="test",
        image=folder / f"{name}.png",
        **fields,
    )


def test_neighbors_are_those_of_the_series_and_none_lies_across_a_gap(tmp_path: Path):
    pixels = rough((20, 20))
    cases = [case_of(tmp_path, n, pixels) for n in (7, 5, 6, 9)]
    cases += [case_of(tmp_path, 8, pixels, series="other"), case_of(tmp_path, 1, pixels, series="")]
    assert find_neighbors(cases) == [
        (2, None),
        (None, 2),
        (1, 0),
        (None, None),
        (None, None),
        (None, None),
    ]
    assert [[c.number for c in run] for run in find_runs(cases)] == [[5, 6, 7], [9], [8]]


@settings(max_examples=25, deadline=None)
@given(top=st.integers(0, 15), left=st.integers(0, 15), rows=st.integers(50, 60))
def test_a_crop_is_laid_back_where_it_came_from(top, left, rows):
    whole = rough((80, 90))
    crop = whole[top : top + rows, left : left + 70]
    shift = find_shift(crop, whole)
    assert shift == (top, left)
    laid = lay(crop, shift, whole.shape, 0)
    np.testing.assert_array_equal(laid[top : top + rows, left : left + 70], crop)
    back = find_shift(whole, crop)
    assert back == (-top, -left)
    np.testing.assert_array_equal(lay(whole, back, crop.shape, 0), crop)


def test_slices_cropped_each_by_itself_come_to_lie_on_each_other(tmp_path: Path):
    whole = rough((60, 70))
    crops = [(0, 0), (2, 1), (3, 5)]
    cases = [
        case_of(tmp_path, n, whole[top : 50 + top - n, left : 60 + left])
        for n, (top, left) in enumerate(crops)
    ]
    stack = Stack.of(cases)
    assert stack.gray.shape == (3, 51, 65)
    for pixels in stack.gray:
        np.testing.assert_array_equal(pixels[5:48, 10:55], whole[5:48, 10:55])
    assert stack.lungs[2, 0, 0] == 0
    assert stack.lungs[2, 10, 10] == 1


def test_a_coronal_view_shows_the_slices_from_top_to_bottom(tmp_path: Path):
    pixels = [np.full((12, 20), 3 * n, np.uint8) for n in range(50)]
    lesions = [np.uint8(n >= 25) * np.ones((12, 20), np.uint8) for n in range(50)]
    cases = [case_of(tmp_path, n, pixels[n], lesions=lesions[n]) for n in range(50)]
    made = reformat(cases, "coronal", tmp_path / "views", every=4)
    assert len(made) == 3
    read = Cohort.read([tmp_path / "views" / "cohort.csv"]).cases
    image, mask = read[0].read_image(), read[0].read_lesions()
    assert image.shape == (75, 20)
    assert image[3, 5] < image[40, 5] < image[70, 5]
    assert not mask[:36].any()
    assert (mask[39:] == Lesion.UNSPECIFIED).all()
    assert {c.split for c in read} == {"test"}


def test_views_in_a_relative_folder_are_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    cases = [case_of(tmp_path, n, rough((12, 20), n)) for n in range(50)]
    monkeypatch.chdir(tmp_path)
    reformat(cases, "sagittal", Path("runs") / "views")
    assert len(Cohort.read([Path("runs") / "views" / "cohort.csv"]).cases) == 5


def test_a_view_that_cannot_be_written_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cases = [case_of(tmp_path, n, rough((12, 20), n)) for n in range(50)]
    monkeypatch.setattr("groundglass.data.case.cv2.imwrite", lambda *_: False)
    with pytest.raises(OutputError, match="cannot write"):
        reformat(cases, "sagittal", tmp_path / "views")
    assert not (tmp_path / "views" / "cohort.csv").exists()


def test_series_of_one_name_do_not_take_each_others_place(tmp_path: Path):
    cases = []
    for patient in ("a", "b"):
        (tmp_path / patient).mkdir()
        for number in range(50):
            case = case_of(tmp_path / patient, number, rough((12, 20), number))
            cases.append(case.model_copy(update={"patient": patient, "case": f"{patient}{number}"}))
    made = reformat(cases, "sagittal", tmp_path / "views")
    assert (
        len({case.case for case in made}) == len({case.image for case in made}) == len(made) == 10
    )


def test_too_short_a_series_has_no_other_view(tmp_path: Path):
    with pytest.raises(CohortError, match="series and number"):
        reformat([case_of(tmp_path, 1, rough((20, 20)))], "sagittal", tmp_path / "views")


def test_pasted_slices_lie_side_by_side_with_their_lesions(tmp_path: Path):
    lesions = np.zeros((30, 60), np.uint8)
    lesions[10:20, 20:40] = 1
    cases = [case_of(tmp_path, 1, rough((30, 60)), lesions=lesions)]
    (made,) = paste(cases, tmp_path / "pasted", 1)
    assert made.read_image().shape == (30, 60)
    columns = made.read_lesions().any(0)
    assert set(columns.reshape(3, 20).sum(1)) in ({6}, {7})

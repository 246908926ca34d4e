import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from groundglass.data import leaks
from groundglass.data.case import Case
from groundglass.data.importers import import_cases
from groundglass.data.leaks import check_cohort, thumbnail
from tests.data.real_data import data_folder


def smooth_noise(seed: int) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).normal(size=(12, 16)).astype(np.float32)
    large = cv2.resize(noise, (160, 120), interpolation=cv2.INTER_CUBIC)
    return np.clip(128 + 40 * large, 0, 255).astype(np.uint8)


def case(folder: Path, name: str, split: str, picture: NDArray[np.uint8], **more: object) -> Case:
    cv2.imwrite(str(folder / f"{name}.png"), picture)
    return Case.model_validate(
        {
            "case": name,
            "patient": name,
            "split": split,
            "image": folder / f"{name}.png",
            **more,
        }
    )


def test_a_picture_in_another_size_and_window_looks_the_same() -> None:
    picture = smooth_noise(1)
    other = cv2.resize(picture, (200, 150), interpolation=cv2.INTER_AREA)
    darker = np.asarray(other * 0.6 + 20, np.uint8)
    assert thumbnail(picture) @ thumbnail(darker) > 0.97
    assert thumbnail(picture) @ thumbnail(smooth_noise(2)) < 0.5
    assert thumbnail(picture) @ thumbnail(np.ascontiguousarray(picture[:, ::-1])) < 0.5


def test_a_near_duplicate_across_splits_is_reported_with_its_pair(tmp_path: Path) -> None:
    picture = smooth_noise(1)
    cases = [
        case(tmp_path, "a", "train", picture),
        case(tmp_path, "b", "train", smooth_noise(2)),
        case(tmp_path, "c", "test", np.asarray(picture * 0.8, np.uint8)),
        case(tmp_path, "d", "test", smooth_noise(3)),
    ]
    check = check_cohort(cases)
    assert [(leak.case, leak.other) for leak in check.look_alikes] == [("c", "a")]
    (warning,) = check.warnings()
    assert warning.startswith("1 of 2 test cases look like cases of an earlier split ('c' and 'a'")


def test_many_pictures_are_compared_in_little_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of 1500 by 4000 pictures, every judged one is the double of a learned one."""
    learned, judged = 4000, 1500
    random = np.random.default_rng(0).normal(size=(learned, 16)).astype(np.float32)
    vectors = iter([*random, *random[:judged]])
    monkeypatch.setattr(leaks, "thumbnail", lambda _: next(vectors) / 10)
    monkeypatch.setattr(Case, "read_image", lambda _: None)
    monkeypatch.setattr(leaks, "ALIKE", -100.0)
    cases = [
        Case(case=f"{number}", patient=f"{number}", split=split, image=tmp_path)
        for number, split in enumerate(["train"] * learned + ["test"] * judged)
    ]
    monkeypatch.setattr(Case, "is_series", False)
    tracemalloc.start()
    found = check_cohort(cases, known_sound=True).look_alikes
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    expected = (random[:judged] @ random.T).argmax(1)
    assert [int(leak.other) for leak in found] == expected.tolist()
    assert peak < 4 * learned * judged / 2, "all at once"


def test_near_duplicates_inside_a_split_are_no_leak(tmp_path: Path) -> None:
    cases = [
        case(tmp_path, name, split, smooth_noise(seed))
        for name, split, seed in (("a", "train", 1), ("b", "train", 1), ("c", "test", 2))
    ]
    assert check_cohort(cases).warnings() == []


def test_a_group_across_splits_is_reported(tmp_path: Path) -> None:
    cases = [
        case(tmp_path, name, split, smooth_noise(k), group=group)
        for k, (name, split, group) in enumerate(
            [("a", "train", "g"), ("b", "val", "g"), ("c", "test", ""), ("d", "test", "h")]
        )
    ]
    check = check_cohort(cases)
    assert [(leak.case, leak.other, leak.shared) for leak in check.shared_groups] == [
        ("b", "a", "g")
    ]


@pytest.mark.reference
def test_the_published_split_of_medseg_leaks_and_the_grouped_one_does_not() -> None:
    folder = data_folder("medseg")
    published = check_cohort(import_cases("medseg-published", folder))
    assert len(published.shared_groups) == 16
    assert published.cases["test"] == 48
    found = {leak.case for leak in published.look_alikes}
    assert len(found) >= 4
    assert found <= {leak.case for leak in published.shared_groups}, "no false alarm"
    assert check_cohort(import_cases("medseg", folder)).warnings() == []


@pytest.mark.reference
def test_the_two_copies_in_covid_ct_are_found() -> None:
    check = check_cohort(import_cases("covid-ct", data_folder("covid-ct")))
    copies = [leak for leak in check.look_alikes if (leak.correlation or 0) > 0.95]
    assert len(copies) == 2
    assert check.faults == ()

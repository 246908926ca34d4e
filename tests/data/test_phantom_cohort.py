import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from groundglass.data.cohort import Cohort
from groundglass.data.phantom_cohort import PhantomCohort, write_phantom_cohort
from groundglass.errors import OutputError
from groundglass.read import read

MADE_OF = PhantomCohort(volumes=14, shape=(36, 90, 90), seed=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms") / "cohort"
    write_phantom_cohort(MADE_OF, folder)
    return folder


def test_half_are_diseased_and_every_slice_has_a_label(folder: Path) -> None:
    cases = Cohort.read([folder / "cohort.csv"]).cases
    assert sorted(case.label for case in cases) == ["healthy"] * 7 + ["pneumonia"] * 7
    with (folder / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for case in cases:
        own = [row for row in rows if row["volume"] == case.case]
        scan = read(case.image)
        assert len(own) == len(scan.slices)
        infected = np.array([row["infected"] == "1" for row in own])
        assert infected.any() == (case.label == "pneumonia")
        locations = [float(row["slice_location"]) for row in own]
        assert locations == sorted(locations, reverse=True)


def test_every_split_has_both_classes_in_equal_numbers(folder: Path) -> None:
    cases = Cohort.read([folder / "cohort.csv"]).cases
    counts = Counter((case.split, case.label) for case in cases)
    assert counts == {
        **dict.fromkeys((("train", label) for label in ("healthy", "pneumonia")), 5),
        **dict.fromkeys((("val", label) for label in ("healthy", "pneumonia")), 1),
        **dict.fromkeys((("test", label) for label in ("healthy", "pneumonia")), 1),
    }


def test_the_cohort_tells_nothing_but_the_class(folder: Path) -> None:
    for case in Cohort.read([folder / "cohort.csv"]).cases:
        assert case.lesions is None
        assert case.lungs is None
        assert [path.name for path in case.image.iterdir()] == ["scan.nii.gz"]


def test_the_same_seed_is_the_same_cohort(folder: Path, tmp_path: Path) -> None:
    write_phantom_cohort(PhantomCohort(volumes=2, shape=(36, 90, 90), seed=4), tmp_path / "a")
    write_phantom_cohort(PhantomCohort(volumes=2, shape=(36, 90, 90), seed=4), tmp_path / "b")
    first, second = (read(tmp_path / name / "phantom-0001").slices for name in "ab")
    np.testing.assert_array_equal(first, second)


def test_a_folder_in_use_is_refused(folder: Path) -> None:
    with pytest.raises(OutputError, match="choose an empty folder"):
        write_phantom_cohort(MADE_OF, folder)

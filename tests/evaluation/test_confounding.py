from pathlib import Path

import cv2
import numpy as np
import pytest

from groundglass.data.cohort import Case, Cohort, write_cohort
from groundglass.errors import CohortError
from groundglass.evaluation import confounding
from groundglass.evaluation.confounding import lung_free_features, measure_confounding, tell
from groundglass.labels import Lung
from groundglass.mask import Mask
from groundglass.scan import CTSlices


def write_source(folder: Path, source: str, labels: tuple[str, ...], mark: int) -> Path:
    """Pictures of one source, one for each label, with a mark beyond the lungs of some gray."""
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(ord(source))
    cases = []
    for number, label in enumerate(labels):
        gray = random.integers(150, 200, (60, 80)).astype(np.uint8)
        lungs = np.zeros_like(gray)
        lungs[15:45, 12:32] = lungs[15:45, 48:68] = 255
        gray[lungs > 0] = 40 if label == "healthy" else 90
        gray[:8, :8] = mark
        name = f"{source}{number}"
        for kind, pixels in (("image", gray), ("lungs", lungs)):
            cv2.imwrite(str(folder / f"{name}-{kind}.png"), pixels)
        cases.append(
            Case(
                case=name,
                patient=name,
                split="train",
                image=Path(f"{name}-image.png"),
                lungs=Path(f"{name}-lungs.png"),
                lungs_values="255:both",
                label=label,
            )
        )
    write_cohort(cases, folder / f"{source}.csv")
    return folder / f"{source}.csv"


def test_sources_that_look_unlike_are_told_and_classes_in_the_lungs_are_not(
    tmp_path: Path,
) -> None:
    both = ("healthy", "pneumonia") * 6
    tables = [write_source(tmp_path, "a", both, 0), write_source(tmp_path, "b", both, 255)]
    found = measure_confounding(tables, "unlike")
    assert found.source is not None
    assert found.label is not None
    assert found.source.accuracy == 1.0
    assert found.label.accuracy < 0.85
    assert found.sources == ("a", "b")
    assert not found.label_is_source


def test_a_source_of_one_class_each_is_said(tmp_path: Path) -> None:
    tables = [
        write_source(tmp_path, "a", ("healthy",) * 4, 0),
        write_source(tmp_path, "b", ("pneumonia",) * 4, 255),
    ]
    found = measure_confounding(tables, "torn")
    assert found.label_is_source
    assert found.label is not None
    assert found.label.accuracy == 1.0


def test_cases_without_a_label_tell_the_source_alone(tmp_path: Path) -> None:
    tables = [
        write_source(tmp_path, "a", ("healthy", "pneumonia") * 3, 0),
        write_source(tmp_path, "b", ("",) * 6, 255),
    ]
    found = measure_confounding(tables, "half")
    assert found.source is not None
    assert found.source.classes == {"a": 6, "b": 6}
    assert found.label is not None
    assert found.label.classes == {"healthy": 3, "pneumonia": 3}
    assert not found.label_is_source


def test_what_is_in_the_lungs_is_not_seen(tmp_path: Path) -> None:
    write_source(tmp_path, "a", ("healthy",), 0)
    picture = tmp_path / "a0-image.png"
    case = Case(
        case="a",
        patient="a",
        split="train",
        image=picture,
        lungs=tmp_path / "a0-lungs.png",
        lungs_values="255:both",
    )
    before = lung_free_features(case)
    gray = cv2.imread(str(picture), cv2.IMREAD_GRAYSCALE)
    gray[16:44, 13:31] = 255
    cv2.imwrite(str(picture), gray)
    np.testing.assert_array_equal(lung_free_features(case), before)


def test_too_few_patients_of_a_class_tell_nothing() -> None:
    features = np.random.default_rng(0).random((4, 3))
    assert tell(features, ["a", "a", "a", "b"], ["p", "q", "r", "s"]) is None


def test_a_patient_is_never_in_two_folds() -> None:
    """One patient alone looks like its class: unseen, it cannot be told."""
    features = np.vstack([np.eye(4), np.eye(4)])
    names, patients = ["a", "a", "b", "b"] * 2, ["p", "q", "r", "s"] * 2
    found = tell(features, names, patients)
    assert found is not None
    assert found.accuracy <= 0.5


def test_lungs_of_a_radiograph_are_not_looked_for(tmp_path: Path) -> None:
    table = write_source(tmp_path, "a", ("healthy", "pneumonia") * 2, 0)
    cases = [
        case.model_copy(update={"modality": "radiograph", "lungs": None, "lungs_values": ""})
        for case in Cohort.read([table]).cases
    ]
    write_cohort(cases, tmp_path / "rays.csv")
    with pytest.raises(CohortError, match="found 4 radiographs without a mask of the lungs"):
        measure_confounding([tmp_path / "rays.csv"], "rays")


def test_a_series_without_lungs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Blind:
        def find_lungs(self, scan: CTSlices) -> Mask:
            return Mask.on(scan, [np.zeros_like(pixels) for pixels in scan.slices], Lung)

    monkeypatch.setattr(confounding, "lung_finder", lambda *_: Blind())
    for number in range(2):
        gray = np.arange(64 * 64).reshape(64, 64) % 251
        cv2.imwrite(str(tmp_path / f"{number}.png"), gray.astype(np.uint8))
    case = Case(case="belly", patient="p", split="train", image=tmp_path, label="healthy")
    with pytest.raises(CohortError, match="no lung on any picture of 'belly'"):
        lung_free_features(case)


def test_no_label_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="no case with a label"):
        measure_confounding([write_source(tmp_path, "a", ("",), 0)], "none")


def test_sources_of_one_name_are_refused(tmp_path: Path) -> None:
    tables = []
    for folder, shade in (("a", 90), ("b", 120)):
        tables.append(write_source(tmp_path / folder, folder, ("healthy",), shade))
    with pytest.raises(CohortError, match="a name of its own for each"):
        measure_confounding([t.rename(t.with_name("table.csv")) for t in tables], "both")

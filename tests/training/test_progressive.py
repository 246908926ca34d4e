"""Labels that a system gives itself, round by round."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from groundglass.data.cohort import Case, Cohort, write_cohort
from groundglass.errors import CohortError, ConfigError
from groundglass.systems.card import home
from groundglass.training import progressive
from groundglass.training.progressive import last_round, learn_progressively
from groundglass.training.run import Run
from tests.systems.system_tester import cohort_table

__all__ = ["cohort_table"]

SMOKE = home("ss_inf_net") / "smoke.yaml"


@pytest.fixture
def unlabeled(cohort_table: Path, tmp_path: Path) -> Path:
    """Three slices of a patient who is in no other table."""
    cases = [
        case.model_copy(
            update={
                "case": f"unlabeled/{case.case}",  # no name for a file
                "patient": "somebody",
                "lesions": None,
                "lesions_values": "",
            }
        )
        for case in Cohort.read([cohort_table]).split("train")
    ]
    write_cohort(cases, tmp_path / "unlabeled.csv")
    return tmp_path / "unlabeled.csv"


def test_each_round_learns_from_the_labels_of_the_last(
    cohort_table: Path, unlabeled: Path, tmp_path: Path
) -> None:
    run = learn_progressively(
        "ss_inf_net",
        [cohort_table],
        unlabeled,
        tmp_path / "runs",
        group=2,
        recipe=SMOKE,
        overrides=["epochs=1", "draws_per_epoch=4"],
    )
    assert run.folder.name == "round-002"
    learned = Cohort.read([run.folder / "cohort.csv"]).split("train")
    made = [case for case in learned if case.patient == "somebody"]
    assert len(made) == 3
    for case in made:
        assert isinstance(case.lesions, Path)
        mask = cv2.imread(str(case.lesions), cv2.IMREAD_GRAYSCALE)
        assert mask.shape == case.read_image().shape
        assert set(np.unique(mask)) <= {0, 255}
    first = Cohort.read([tmp_path / "runs" / "round-001" / "cohort.csv"]).split("train")
    assert sum(case.patient == "somebody" for case in first) == 2
    assert "round-001/weights.safetensors" in (run.folder / "config.yaml").read_text()
    assert len({case.lesions for case in made}) == 3


def test_the_last_round_is_that_of_the_largest_number(tmp_path: Path) -> None:
    assert last_round(tmp_path).folder.name == "round-000"
    for number in (0, 998, 999, 1000):
        (tmp_path / f"round-{number:03d}").mkdir()
    assert last_round(tmp_path).folder.name == "round-1000"


def test_rounds_are_not_mixed_with_those_of_other_arguments(
    cohort_table: Path, unlabeled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[Path] = []

    class StopError(Exception):
        pass

    def stop(_system: str, _tables: object, folder: Path, **_: object) -> None:
        trained.append(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.yaml").touch()
        raise StopError

    def learn(**changed: object) -> None:
        arguments = {"group": 2, "recipe": SMOKE, "overrides": ["epochs=1"], **changed}
        learn_progressively("ss_inf_net", [cohort_table], unlabeled, tmp_path / "runs", **arguments)

    monkeypatch.setattr("groundglass.training.progressive.train", stop)
    for changed in ({}, {}, {"overrides": ["epochs=1", "threads=1"]}):
        with pytest.raises(StopError):
            learn(**changed)
    assert len(trained) == 3
    for changed, named in (
        ({"group": 3}, "group"),
        ({"seed": 1}, "seed"),
        ({"recipe": None}, "recipe_sha256"),
        ({"overrides": ["epochs=2"]}, "settings"),
    ):
        with pytest.raises(ConfigError, match=f"found other {named} than .* name a new folder"):
            learn(**changed)
    with pytest.raises(ConfigError, match=r"found no 'none\.yaml'"):
        learn(recipe=tmp_path / "none.yaml")
    assert len(trained) == 3


def test_rounds_go_on_with_the_settings_of_the_machine(
    cohort_table: Path, unlabeled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[object] = []

    class StopError(Exception):
        pass

    def stop(_system: str, _tables: object, folder: Path, **options: object) -> None:
        given.append(options["overrides"])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.yaml").touch()
        raise StopError

    monkeypatch.setattr("groundglass.training.progressive.train", stop)
    settings = ["epochs=1", "threads=1", "devices=cpu"]
    for _ in range(2):
        with pytest.raises(StopError):
            learn_progressively(
                "ss_inf_net", [cohort_table], unlabeled, tmp_path / "runs", overrides=settings
            )
    assert given == [settings, ["threads=1", "devices=cpu"]]


def test_a_table_of_labels_is_there_whole_or_not_at_all(
    cohort_table: Path, unlabeled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PulledPlugError(Exception):
        pass

    def stop(*_: object) -> None:
        raise PulledPlugError

    def label(_run: Run, cases: list[Case], folder: Path) -> list[Case]:
        folder.mkdir(parents=True)
        return cases

    monkeypatch.setattr(progressive, "_train", lambda *_: Run(tmp_path))
    monkeypatch.setattr(progressive, "_label", label)
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", stop)  # written, and not yet in its place
        patch.setattr(progressive, "_keep_arguments", lambda *_: None)
        with pytest.raises(PulledPlugError):
            learn_progressively("ss_inf_net", [cohort_table], unlabeled, tmp_path / "runs")
    assert not list((tmp_path / "runs").rglob("*.csv"))


def test_a_patient_with_labeled_slices_is_refused(cohort_table: Path, tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="phantom 0"):
        learn_progressively("ss_inf_net", [cohort_table], cohort_table, tmp_path / "runs")


def test_a_group_of_nothing_is_refused(cohort_table: Path, unlabeled: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="group of 0"):
        learn_progressively("ss_inf_net", [cohort_table], unlabeled, tmp_path / "runs", group=0)


def test_a_system_that_could_label_nothing_is_refused_before_it_is_trained(
    cohort_table: Path, unlabeled: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="'covid_attention_net' that maps no lesion"):
        learn_progressively("covid_attention_net", [cohort_table], unlabeled, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()

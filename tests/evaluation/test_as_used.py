import csv
from pathlib import Path

import numpy as np
import pytest

from groundglass.errors import NotMeasurableError
from groundglass.evaluation.as_used import Evaluation, find_cases, found_cases, structure_results
from groundglass.evaluation.evaluate import configuration_digest, write_cases
from groundglass.evaluation.result import PatientBootstrap
from groundglass.evaluation.seeds import group_seeds
from groundglass.labels import Lesion
from tests.evaluation.slices import SHAPE, KnownSystem, block, write_case

TRUTH = block(np.s_[2:4], np.s_[3:8])  # ten pixels
FOUND = block(np.s_[2:4], np.s_[3:9]).astype(np.float32)  # twelve, the ten among them


def test_volume_and_opacity_errors_are_as_worked_by_hand(tmp_path: Path) -> None:
    lungs = block(np.s_[0:5], np.s_[0:10])  # fifty pixels, of which the system finds all eighty
    case = write_case(tmp_path, "a", TRUTH, lungs=lungs)
    found = find_cases(KnownSystem([FOUND]), [case])
    lesion = structure_results(found)["lesion"]
    assert lesion.summary["volume_error"].mean == pytest.approx(2 / 10)
    assert lesion.summary["opacity_error"].mean == pytest.approx(100 * (10 / 50 - 12 / 80))
    assert lesion.summary["mcc"].mean == pytest.approx(
        (10 * 68) / np.sqrt(12 * 10 * 70 * 68), abs=1e-4
    )


def test_effusion_is_no_opacity(tmp_path: Path) -> None:
    """A system that finds all opacity and none of an effusion beside it."""
    truth = TRUTH + block(np.s_[5:8], np.s_[0:10], Lesion.PLEURAL_EFFUSION)
    lungs = block(np.s_[0:8], np.s_[0:10])
    case = write_case(tmp_path, "a", truth, lungs=lungs, values="1:1 4:4")
    lesion = structure_results(find_cases(KnownSystem([TRUTH.astype(np.float32)]), [case]))[
        "lesion"
    ]
    assert lesion.summary["dice"].mean == 1.0
    assert lesion.summary["opacity_error"].mean == 0.0


def test_slices_of_which_nothing_is_known_are_not_measured(tmp_path: Path) -> None:
    case = write_case(tmp_path, "a").model_copy(update={"lesions": None})
    with pytest.raises(NotMeasurableError, match="whose lungs or lesions are known"):
        find_cases(KnownSystem([FOUND]), [case])


def test_the_voxels_of_a_patient_are_pooled(tmp_path: Path) -> None:
    cases = [write_case(tmp_path, name, TRUTH) for name in ("a", "b")]
    found = find_cases(KnownSystem([FOUND, np.zeros(SHAPE, np.float32)]), cases)
    lesion = structure_results(found)["lesion"]
    assert lesion.patients == {"p": pytest.approx(2 * 10 / (12 + 20), abs=1e-4)}
    assert lesion.summary["dice_per_slice"].mean == pytest.approx(20 / 22 / 2, abs=1e-4)
    assert lesion.summary["volume_error"].mean == pytest.approx(-8 / 20)


def test_where_there_is_no_true_volume_there_is_no_volume_error(tmp_path: Path) -> None:
    found = find_cases(KnownSystem([FOUND]), [write_case(tmp_path, "a")])
    lesion = structure_results(found)["lesion"]
    assert "volume_error" not in lesion.summary
    assert "opacity_error" not in lesion.summary


def test_means_are_over_the_patients_that_have_a_value(tmp_path: Path) -> None:
    """One with lesion that is missed, one without in whom some is found, one found by half."""
    cases = [
        write_case(tmp_path, "missed", TRUTH, patient="p"),
        write_case(tmp_path, "healthy", patient="q"),
        write_case(tmp_path, "half", TRUTH, patient="r"),
    ]
    nothing, half = np.zeros(SHAPE, np.float32), (TRUTH > 0).astype(np.float32)
    half[3] = 0  # five of ten pixels
    found = find_cases(KnownSystem([nothing, FOUND, half]), cases)
    summary = structure_results(found)["lesion"].summary
    assert summary["sensitivity"].mean == pytest.approx((0 + 0.5) / 2)
    assert summary["precision"].mean == pytest.approx((0 + 1) / 2)
    assert summary["dice"].mean == pytest.approx((0 + 0 + 2 / 3) / 3, abs=1e-4)
    rows = {row.case: row.metrics for row in found_cases(found)}
    assert np.isnan(rows["missed"]["precision"])
    assert np.isnan(rows["healthy"]["sensitivity"])


def test_the_table_of_cases_leaves_empty_what_is_not_defined(tmp_path: Path) -> None:
    cases = [write_case(tmp_path, "a", TRUTH), write_case(tmp_path, "b")]
    rows = found_cases(find_cases(KnownSystem([FOUND, FOUND]), cases))
    write_cases(rows, tmp_path / "folder" / "cases.csv")
    with (tmp_path / "folder" / "cases.csv").open(newline="") as file:
        table = {(row["case"], row["structure"]): row for row in csv.DictReader(file)}
    assert table["a", "lesion"]["volume_error"] == "0.2"
    assert table["b", "lesion"]["volume_error"] == ""
    assert table["b", "lesion"]["dice"] == "0.0"


def test_a_configuration_is_the_same_for_every_seed_and_folder(tmp_path: Path) -> None:
    texts = (
        "seed: 0\nepochs: 3\nstart_weights: here/weights.safetensors\n",
        "seed: 1\nepochs: 3\nstart_weights: there/weights.safetensors\n",
        "seed: 1\nepochs: 4\nstart_weights: there/weights.safetensors\n",
    )
    digests = []
    for text in texts:
        (tmp_path / "config.yaml").write_text(text)
        digests.append(configuration_digest(tmp_path / "config.yaml"))
    assert digests[0] == digests[1] != digests[2]


def write_run(folder: Path, settings: str, cohort: str = "case,split\na,train\nb,val\n") -> Path:
    folder.mkdir()
    (folder / "cohort.csv").write_text(cohort)
    (folder / "config.yaml").write_text(settings)
    return folder / "config.yaml"


def test_runs_on_other_cases_are_another_configuration(tmp_path: Path) -> None:
    first = write_run(tmp_path / "first", "seed: 0\n")
    shuffled = write_run(tmp_path / "shuffled", "seed: 1\n", "case,split\nb,val\na,train\n")
    more = write_run(tmp_path / "more", "seed: 0\n", "case,split\na,train\nb,val\nc,train\n")
    split = write_run(tmp_path / "split", "seed: 0\n", "case,split\na,val\nb,train\n")
    digests = [configuration_digest(config) for config in (first, shuffled, more, split)]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_runs_that_start_from_another_configuration_are_another(tmp_path: Path) -> None:
    def digest(name: str, before: str) -> str:
        start = tmp_path / before / "weights.safetensors"
        config = write_run(tmp_path / name, f"seed: 0\nstart_weights: {start}\n")
        return configuration_digest(config)

    for name, settings in (
        ("coach-0", "seed: 0\nmasks: random\n"),
        ("coach-1", "seed: 1\nmasks: random\n"),
    ):
        write_run(tmp_path / name, settings)
    write_run(tmp_path / "other", "seed: 0\nmasks: coach\n")
    same, seed, other = digest("a", "coach-0"), digest("b", "coach-1"), digest("c", "other")
    assert same == seed != other


def test_results_of_one_seed_are_never_taken_for_two_seeds() -> None:
    def result(seed: int | None, loss: float) -> Evaluation:
        facts = {"system": "s", "weights_sha256": "", "configuration": "abc", "seed": seed}
        counts = {"cohort": "c", "split": "test", "cases": 1, "patients": 1}
        return Evaluation(**facts, **counts, loss=loss, structures={})

    results = [result(seed, loss) for seed, loss in ((0, 1.0), (1, 2.0), (0, 3.0), (1, 4.0))]
    assert [group.values("loss") for group in group_seeds(results)] == [[1.0, 2.0], [3.0, 4.0]]
    assert len(group_seeds([result(None, 1.0), result(None, 2.0)])) == 2


def test_a_bootstrap_leaves_out_what_is_not_defined() -> None:
    bootstrap = PatientBootstrap(["a", "b", "c"])
    estimate = bootstrap.mean([0.5, float("nan"), 1.0])
    assert (estimate.low, estimate.value, estimate.high) == (0.5, 0.75, 1.0)

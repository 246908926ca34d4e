from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from groundglass.cli import app
from groundglass.data.cohort import Case, write_cohort
from groundglass.errors import OutputError
from groundglass.evaluation.pictures import draw_pictures, training_curve
from groundglass.evaluation.protocols import PROTOCOLS, Measured
from groundglass.evaluation.sheet import FOUND_COLOR, TRUTH_COLOR
from tests.evaluation.slices import KnownSystem, block, write_case

TRUTH = block(np.s_[2:4], np.s_[0:4])  # on the left
FOUND = block(np.s_[2:4], np.s_[6:10]).astype(np.float32)  # on the right
FACTS = {
    "system": "baseline_unet",
    "weights_sha256": "0",
    "cohort": "blocks",
    "split": "test",
    "cases": 1,
    "patients": 1,
}


def measure(folder: Path, protocol: str) -> tuple[Measured, list[Case]]:
    cases = [write_case(folder, "a", TRUTH, values="1:3")]
    entries = PROTOCOLS[protocol].look(KnownSystem([FOUND]), cases, None)
    return PROTOCOLS[protocol].sum_up(FACTS, entries), cases


def draw(folder: Path, protocol: str, run: Path | None = None) -> dict[str, np.ndarray]:
    measured, cases = measure(folder, protocol)
    find = PROTOCOLS[protocol].finder(KnownSystem([FOUND]))
    files = draw_pictures(measured, cases, find, folder / "pictures", run)
    return {file.stem: cv2.imread(str(file)) for file in files}


def test_each_protocol_draws_what_it_has(tmp_path: Path) -> None:
    assert set(draw(tmp_path, "as-used")) == {"patients", "slices"}
    drawn = set(draw(tmp_path, "inf-net"))
    assert drawn == {"thresholds", "precision_recall", "patients", "slices"}


def test_lungs_alone_have_no_sheet_of_lesions(tmp_path: Path) -> None:
    lungs = block(np.s_[1:7], np.s_[1:9])
    known = write_case(tmp_path, "a", lungs=lungs).model_copy(update={"lesions": None})
    entries = PROTOCOLS["as-used"].look(KnownSystem([FOUND]), [known], None)
    measured = PROTOCOLS["as-used"].sum_up(FACTS, entries)
    find = PROTOCOLS["as-used"].finder(KnownSystem([FOUND]))
    files = draw_pictures(measured, [known], find, tmp_path / "pictures")
    assert [file.stem for file in files] == ["patients"]


def test_truth_and_prediction_are_outlined_where_they_are(tmp_path: Path) -> None:
    sheet = draw(tmp_path, "inf-net")["slices"]
    truth, found = column_of(sheet, TRUTH_COLOR), column_of(sheet, FOUND_COLOR)
    assert truth < found


def column_of(picture: np.ndarray, color: str) -> float:
    wanted = [int(color[i : i + 2], 16) for i in (5, 3, 1)]
    close = (np.abs(picture.astype(int) - wanted) < 12).all(-1)
    assert close.any(), f"nothing drawn in {color}"
    return float(np.flatnonzero(close.any(0)).mean())


def test_the_course_of_a_training_is_drawn(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text(
        "epoch,learning_rate,train/loss,val/lesion_dice\n0,0.1,2.0,\n1,0.1,1.5,0.25\n2,0.1,1.0,0.5\n"
    )
    losses, validation = training_curve(tmp_path / "metrics.csv").axes
    assert np.asarray(losses.lines[0].get_ydata()).tolist() == [2.0, 1.5, 1.0]
    assert np.asarray(validation.lines[0].get_xdata()).tolist() == [2, 3]
    assert "training" in draw(tmp_path, "as-used", tmp_path)


def evaluate(table: Path, folder: Path, *more: str) -> Result:
    given = ["--data", str(table), "--name", "blocks", "--results", str(folder), *more]
    return CliRunner().invoke(app, ["evaluate", "baseline_unet", *given])


@pytest.fixture
def measured_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cohort of one slice, measured by a system whose answer is known."""
    measured, cases = measure(tmp_path, "as-used")
    write_cohort(cases, tmp_path / "cohort.csv")
    module = "groundglass.evaluation.evaluate"
    monkeypatch.setattr(f"{module}.load_system", lambda *_: KnownSystem([FOUND]))
    monkeypatch.setattr(f"{module}.evaluate", lambda *_, **__: measured)
    return tmp_path / "cohort.csv"


def test_where_there_is_nothing_to_draw_nothing_is_measured(
    measured_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(
        "groundglass.evaluation.evaluate.evaluate", lambda *_, **__: asked.append(1)
    )
    for protocol in ("instances", "volumes", "classes"):
        more = ["--protocol", protocol, "--pictures", str(tmp_path / "pictures")]
        done = evaluate(measured_table, tmp_path / "results", *more)
        assert done.exit_code == 1
        assert "leave --pictures out" in " ".join(done.output.split())
    assert not asked
    assert not (tmp_path / "results").exists()


def test_a_result_is_stored_before_its_pictures_are_drawn(
    measured_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OutputError("no space left")

    monkeypatch.setattr("groundglass.evaluation.pictures.draw_pictures", fail)
    done = evaluate(measured_table, tmp_path / "results", "--pictures", str(tmp_path / "pictures"))
    assert done.exit_code == 1
    assert "no space left" in done.output
    assert [file.name for file in (tmp_path / "results").iterdir()] == [
        "evaluation-baseline_unet-blocks-test.json"
    ]

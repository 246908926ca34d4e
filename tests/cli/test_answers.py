"""``detect`` and ``classify`` from scan to files, with a system that answers at once."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from groundglass.classification import Classification
from groundglass.cli import app
from groundglass.data.phantom import make_phantom
from groundglass.data.phantom_files import write_phantom
from groundglass.detections import Detection, Detections
from groundglass.labels import Lesion
from groundglass.mask import Mask
from groundglass.systems import load_card


class Oracle:
    """Sees one lesion in the middle of the right lung on three slices."""

    card = load_card("baseline_unet").model_copy(
        update={"name": "oracle", "answers": ("segment", "detect", "classify"), "weights": None}
    )
    device = "cpu"

    def segment(self, scan, lungs, *_):
        return Mask.on(scan, np.zeros(lungs.array.shape, np.uint8), Lesion)

    def detect(self, scan, *_):
        middle = len(scan.slices) // 2
        items = [
            Detection(k, (60.0, 30.0, 72.0, 41.0), 0.75, Lesion.GROUND_GLASS)
            for k in range(middle, middle + 3)
        ]
        return Detections("oracle", "", scan, tuple(items))

    def classify(self, scan, lungs, *_):
        evidence = self.detect(scan, lungs).items[:1]
        return Classification(
            "oracle", "", {"control": 0.1, "COVID-19": 0.9}, exclusive=True, evidence=evidence
        )


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    made = make_phantom(0, shape=(32, 112, 112))
    return write_phantom(made, tmp_path_factory.mktemp("phantom"), "nifti")


@pytest.fixture
def oracle(monkeypatch, tmp_path):
    for module in ("analyze", "radiographs"):
        monkeypatch.setattr(f"groundglass.{module}.find_card", lambda _: (Oracle.card, tmp_path))
    monkeypatch.setattr("groundglass.analyze.load_system", lambda *_: Oracle())


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_detect_writes_boxes_and_the_lesion_they_make(oracle, scan, tmp_path):
    result = run("detect", scan, "--system", "oracle", "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)["detections"]
    assert [lesion["number"] for lesion in found["lesions"]] == [1]
    assert found["lesions"][0]["lung"] == "right lung"
    assert {box["lesion"] for box in found["boxes"]} == {1}
    assert (tmp_path / "out" / "detections.html").is_file()
    assert "ground-glass opacity" in result.stderr


def test_classify_prints_probabilities_and_what_carried_them(oracle, scan, tmp_path):
    result = run("classify", scan, "--system", "oracle")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    assert "COVID-19" in result.stderr
    assert "carried by: slice 17" in result.stderr
    result = run("classify", scan, "--system", "oracle", "--out", tmp_path, "--json")
    assert json.loads(result.stdout)["classification"]["most_likely"] == "COVID-19"
    assert (tmp_path / "classification.html").is_file()


def test_the_report_of_such_a_system_shows_both(oracle, scan, tmp_path):
    result = run(
        *("analyze", scan, "--system", "oracle", "--out", tmp_path, "--format", "html"),
        *("--format", "json"),
    )
    assert result.exit_code in {0, 3}, result.stderr
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "Lesions as boxes" in page
    assert "most likely shows" in page
    assert (
        len(json.loads((tmp_path / "report.json").read_text("utf-8"))["detections"]["boxes"]) == 3
    )


@pytest.mark.parametrize("command", ["detect", "classify"])
def test_a_system_that_does_not_answer_is_refused_before_anything_is_read(command, tmp_path):
    result = run(command, "no-such-scan", "--system", "baseline_unet", "--out", tmp_path)
    assert result.exit_code == 1
    assert f"baseline_unet', which does not {command} (it can segment)" in result.stderr


def test_a_series_of_a_radiograph_is_refused(oracle, monkeypatch, tmp_path):
    monkeypatch.setattr("groundglass.radiographs.wants_radiograph", lambda *_: True)
    result = run("classify", "chest.png", "--system", "oracle", "--series", "3")
    assert result.exit_code == 1
    assert "found the series '3' asked of a radiograph, which has none" in result.stderr


def test_a_way_to_find_the_lungs_of_volumes_is_refused_for_pictures(tmp_path):
    pictures = write_phantom(make_phantom(0, shape=(8, 96, 96)), tmp_path, "pictures")
    tolerate = ("--tolerate", "soft-tissue-window", "--tolerate", "radiograph")
    result = run("lungs", pictures, "--lungs", "hull", "--out", tmp_path / "out", *tolerate)
    assert result.exit_code == 1
    assert "the lungs of pictures asked for by 'hull', which needs a volume" in result.stderr
    assert not (tmp_path / "out").exists()

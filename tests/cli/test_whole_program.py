"""The command line from a phantom on disk to results on disk, with nothing put in between."""

import csv
import json

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from groundglass.cli import app
from groundglass.labels import Lung
from groundglass.systems import load_card

SIZE = ("60", "160", "160")

needs_weights = pytest.mark.skipif(
    load_card("baseline_unet").weights is None, reason="baseline_unet has no weights yet"
)


def run(*args):
    return CliRunner().invoke(app, [str(a) for a in args])


@pytest.fixture(scope="module", params=["dicom", "pictures"])
def phantom(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom")
    assert run("phantom", folder, "--format", request.param, "--size", *SIZE).exit_code == 0
    return request.param, folder


@pytest.fixture(scope="module")
def analysis(phantom, tmp_path_factory):
    kind, folder = phantom
    out = tmp_path_factory.mktemp("results") / "new"
    return kind, folder, out, run("analyze", folder / "scan", "--out", out, "--json")


@pytest.mark.parametrize("kind", ["dicom", "nifti"])
def test_the_lungs_of_a_phantom_are_where_they_are(kind, tmp_path, capfd):
    run("phantom", tmp_path / "p", "--format", kind, "--size", *SIZE)
    scan = next((tmp_path / "p" / "scan").glob("*.nii.gz"), tmp_path / "p" / "scan")
    result = run("lungs", scan, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    assert "lungs.nii.gz" in result.stderr
    assert capfd.readouterr() == ("", ""), "a library printed on its own"
    truth = json.loads((tmp_path / "p" / "truth" / "truth.json").read_text())
    mask = nib.load(tmp_path / "out" / "lungs.nii.gz")
    voxel_ml = np.prod(mask.header.get_zooms()) / 1000
    labels = np.asarray(mask.dataobj)
    for lung in Lung:
        expected = truth[f"{lung.title.replace(' ', '_')}_volume_ml"]
        assert np.sum(labels == lung) * voxel_ml == pytest.approx(expected, rel=0.08)


@needs_weights
def test_an_analysis_ends_well_and_prints_nothing_but_its_results(analysis, capfd):
    _, _, _, result = analysis
    assert result.exit_code == 0, result.stderr
    assert "arning" not in result.stderr
    assert "report.html" in result.stderr
    assert json.loads(result.stdout)["schema_version"] == 1


@needs_weights
def test_an_analysis_writes_every_format(analysis):
    kind, _, out, _ = analysis
    assert (out / "report.html").read_text().startswith("<!")
    assert len(list(csv.DictReader((out / "report.csv").read_text().splitlines()))) == 1
    if kind == "dicom":
        assert {p.name for p in out.glob("*.nii.gz")} == {
            f"{name}.nii.gz" for name in ("lungs", "lesions", "lobes", "regions")
        }
    else:
        names = {p.name for p in (out / "lungs").iterdir()}
        assert names == {p.name for p in (out / "lesions").iterdir()}
        assert len(names) == int(SIZE[0])


@needs_weights
def test_the_record_on_stdout_is_the_one_in_the_folder(analysis):
    _, _, out, result = analysis
    assert json.loads(result.stdout) == json.loads((out / "report.json").read_text())


@needs_weights
def test_pictures_have_percentages_and_a_note_but_no_volumes(analysis):
    kind, _, _, result = analysis
    record = json.loads(result.stdout)
    names = {score["name"] for score in record["scores"]}
    assert "percentage_of_opacity" in names
    assert ("lung_volume_ml" in names) == (kind == "dicom")
    assert any(note["name"] == "scores" for note in record["notes"]) == (kind == "pictures")


@needs_weights
def test_masks_of_pictures_have_the_size_of_their_picture(phantom, tmp_path):
    kind, folder = phantom
    if kind != "pictures":
        pytest.skip("volumes have no pictures")
    picture = sorted((folder / "scan").iterdir())[30]
    assert run("segment", picture, "--out", tmp_path).exit_code == 0
    for part in ("lungs", "lesions"):
        with Image.open(picture) as seen, Image.open(tmp_path / part / f"{picture.stem}.png") as m:
            assert m.size == seen.size


def test_a_folder_without_a_scan_is_one_line_and_leaves_nothing(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "letter.txt").write_text("Dear colleague")
    result = run("analyze", tmp_path / "in", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()

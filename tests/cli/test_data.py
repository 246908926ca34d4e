import csv
import json

import cv2
import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

from groundglass.cli import app

SMALL = ("--size", "16", "48", "48")


def run(*args):
    return CliRunner().invoke(app, [str(a) for a in args])


def test_a_phantom_is_written_with_its_truth(tmp_path):
    result = run("phantom", tmp_path / "p", "--format", "nifti", *SMALL)
    assert result.exit_code == 0
    assert (tmp_path / "p" / "scan").is_dir()
    truth = json.loads((tmp_path / "p" / "truth" / "truth.json").read_text())
    assert truth["opacity_percent"] > 0
    assert str(tmp_path / "p" / "scan") in result.stderr


def test_a_healthy_phantom_has_no_lesion(tmp_path):
    assert run("phantom", tmp_path, "--healthy", "--format", "mha", *SMALL).exit_code == 0
    truth = json.loads((tmp_path / "truth" / "truth.json").read_text())
    assert truth["opacity_percent"] == 0


def test_another_seed_is_another_patient(tmp_path):
    for seed in (1, 2):
        out = tmp_path / str(seed)
        assert run("phantom", out, "--seed", seed, "--format", "nifti", *SMALL).exit_code == 0
    one, two = (
        json.loads((tmp_path / str(seed) / "truth" / "truth.json").read_text()) for seed in (1, 2)
    )
    assert one != two


def test_a_table_is_never_lost_to_a_new_one(tmp_path):
    from tests.training.tiny import write_tiny_cohort

    table = write_tiny_cohort(tmp_path)
    table = table.rename(tmp_path / "cohort.csv")
    before = table.read_bytes()
    for command in (("paste",), ("reformat", "coronal"), ("gather",)):
        result = run("data", *command, table, "--out", tmp_path)
        assert result.exit_code == 1
        assert "expected no table of that name" in result.stderr
    assert table.read_bytes() == before


def test_an_unknown_phantom_format_is_refused(tmp_path):
    result = run("phantom", tmp_path, "--format", "vhs", *SMALL)
    assert result.exit_code == 1
    assert "nifti" in result.stderr


@pytest.mark.parametrize("wrong", [("--size", 0, 9, 9), ("--size", 9, -9, 9), ("--seed", -1)])
def test_an_impossible_phantom_is_wrong_usage(tmp_path, wrong):
    assert run("phantom", tmp_path, *wrong).exit_code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command", [("phantom",), ("data", "import", "medseg", "somewhere", "--out")]
)
def test_a_place_that_cannot_be_written_is_refused_in_one_line(tmp_path, command):
    (tmp_path / "file").touch()
    result = run(*command, tmp_path / "file" / "inside" / "it")
    assert result.exit_code == 1
    assert result.stderr.startswith("cannot write")
    assert result.stderr.count("\n") == 1


def test_a_phantom_does_not_overwrite(tmp_path):
    assert run("phantom", tmp_path, "--format", "nifti", *SMALL).exit_code == 0
    assert run("phantom", tmp_path, "--format", "nifti", *SMALL).exit_code == 1


def test_a_public_data_set_becomes_a_table(tmp_path):
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    (tmp_path / "images" / "01.png").touch()
    (tmp_path / "masks" / "01.png").touch()
    (tmp_path / "index.csv").write_text("id,group,grouped_split\n1,a,test\n")
    result = run("data", "import", "medseg", tmp_path, "--out", tmp_path / "cohort.csv")
    assert result.exit_code == 0
    rows = list(csv.DictReader((tmp_path / "cohort.csv").read_text().splitlines()))
    assert [row["split"] for row in rows] == ["test"]
    assert "1 cases" in result.stderr
    table = tmp_path / "cohort.csv"
    assert run("data", "import", "medseg", tmp_path, "--out", table).exit_code == 0
    table.write_text(table.read_text().replace(",test,", ",train,"))  # by hand
    assert run("data", "import", "medseg", tmp_path, "--out", table).exit_code == 1
    assert ",train," in table.read_text()


def test_slices_of_volumes_go_beside_the_table(tmp_path):
    hu = np.full((48, 32, 3), 40, np.int16)
    hu[8:40, 6:20] = -900
    (tmp_path / "medseg").mkdir()
    for name, array in (("tr_im", hu), ("tr_mask", (hu < 0).astype(np.uint8))):
        nib.save(nib.Nifti1Image(array, np.diag([2, 2, 2, 1])), tmp_path / f"medseg/{name}.nii.gz")
    table = tmp_path / "tables" / "medseg.csv"
    result = run("data", "import", "medseg", tmp_path / "medseg", "--out", table)
    assert result.exit_code == 0
    assert "does not tell patients" in result.stderr
    assert len(list((table.parent / "medseg-slices" / "image").iterdir())) == 3
    assert run("data", "check", table).exit_code == 0


def test_an_unknown_data_set_is_refused(tmp_path):
    result = run("data", "import", "imagenet", tmp_path, "--out", tmp_path / "cohort.csv")
    assert result.exit_code == 1
    assert "medseg" in result.stderr


def test_a_check_lists_every_fault_and_stores_what_it_found(tmp_path):
    table = tmp_path / "cohort.csv"
    table.write_text("case,patient,split,image\na,p,train,a.png\nb,q,test,b.png\n")
    result = run("data", "check", table)
    assert result.exit_code == 1
    assert result.stderr.count("missing") == 2
    assert len(json.loads((tmp_path / "cohort.check.json").read_text())["faults"]) == 2


def test_a_sound_cohort_passes_the_check(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((4, 5), np.uint8))
    table = tmp_path / "cohort.csv"
    table.write_text("case,patient,split,image\na,p,train,a.png\n")
    result = run("data", "check", table, "--out", tmp_path / "found.json")
    assert result.exit_code == 0
    assert json.loads((tmp_path / "found.json").read_text())["cases"] == {"train": 1}

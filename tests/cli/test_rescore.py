import json

from typer.testing import CliRunner

from groundglass.cli import app
from tests.followup.results import edited, result, withheld


def run(*args):
    return CliRunner().invoke(app, [str(a) for a in args])


def test_rescore_keeps_the_first_version_and_methods_tells_of_the_correction(tmp_path):
    folder, _ = result(tmp_path)

    def emptied(numbers, _lungs):
        numbers[:] = 0

    mask = edited(folder, emptied)
    options = ("--by", "A. Reader", "--format", "json", "--format", "nifti", "--json")
    done = run("rescore", folder, "--lesions", mask, *options)
    assert done.exit_code == 0, done.stderr
    (correction,) = json.loads(done.stdout)["provenance"]["corrections"]
    assert correction["by"] == "A. Reader"
    assert (folder / "versions/1/report.json").is_file()
    told = run("methods", folder)
    assert told.exit_code == 0
    assert "corrected by A. Reader" in told.stdout
    assert told.stderr == ""


def test_a_withheld_result_is_said_to_be_so_by_rescore_and_compare(tmp_path):
    folder, _ = result(tmp_path, change=withheld)
    mask = edited(folder, lambda numbers, _lungs: numbers.fill(0))
    done = run("rescore", folder, "--lesions", mask, "--out", tmp_path / "out")
    assert done.exit_code == 3, done.stderr
    assert "scores withheld" in done.stderr
    assert (tmp_path / "out" / "report.json").is_file()
    done = run("compare", folder, folder, "--out", tmp_path / "compared")
    assert done.exit_code == 3, done.stderr
    assert "quality control withheld the scores" in done.stderr
    assert not (tmp_path / "compared").exists()


def test_a_folder_without_results_is_refused_in_one_line(tmp_path):
    done = run("rescore", tmp_path, "--lesions", tmp_path / "edited.nii.gz")
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert "report.json" in done.stderr


def test_a_series_without_a_scan_is_wrong_usage(tmp_path):
    done = run("rescore", tmp_path, "--lesions", tmp_path / "edited.nii.gz", "--series", "3")
    assert done.exit_code == 2
    assert "--series needs --scan" in done.stderr

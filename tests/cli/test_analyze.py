import inspect
import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from groundglass.analyze import analyze as analyze_function
from groundglass.cli import app
from groundglass.cli.options import DEFAULT_LUNGS, DEFAULT_SYSTEM
from groundglass.errors import GeometryError, UnreadableScanError
from groundglass.labels import Lesion, Lung
from groundglass.provenance import describe
from groundglass.report import Outcome, Quality, QualityCheck, Report
from groundglass.scan import Note
from groundglass.severity import score_all
from groundglass.write import DEFAULT_FORMATS, FORMATS
from tests.severity.findings import volume

NOTE = Note("gap", "found a gap, read as it is")


def hand_report():
    right, left = Lung.RIGHT, Lung.LEFT
    findings = volume([[[right, right, 0, left]]], [[[Lesion.GROUND_GLASS, 0, 0, 0]]])
    scores, _ = score_all(findings)
    made = describe(findings.scan.source, system="hand", weights_sha256="", lungs_method="hand")
    return Report(findings, scores, made, (NOTE,))


@pytest.fixture
def report():
    return hand_report()


@pytest.fixture
def asked(monkeypatch, report):
    """Stand-ins for the work; what they were asked for."""
    asked = {}

    def note_down(name, answer):
        def stand_in(*args, **options):
            progress = options.pop("progress", None)
            if progress:
                progress("reading", 1.0)
            if check := options.pop("check", None):
                check(report.findings.scan)
            asked[name] = (args, options)
            return answer

        return stand_in

    findings, notes = report.findings, report.notes
    for where, answer in {
        "groundglass.analyze.analyze": report,
        "groundglass.analyze.segment": (findings, notes),
        "groundglass.analyze.find_lungs_in": (findings.scan, findings.lungs, notes),
        "groundglass.write.write": [Path("results/report.html")],
        "groundglass.write.write_masks": [Path("results/lesions.nii.gz")],
        "groundglass.write.write_lungs": [Path("results/lungs.nii.gz")],
    }.items():
        name = where.rpartition(".")[2]
        monkeypatch.setattr(where, note_down(name, answer), raising=False)
    return asked


def run(*args):
    return CliRunner().invoke(app, [str(a) for a in args])


def test_analyze_passes_on_every_option(asked, report, tmp_path):
    result = run(
        *("analyze", "scan", "--out", tmp_path, "--system", "mine", "--format", "html"),
        *("--format", "json", "--series", "3", "--tolerate", "gap", "--tolerate", "tilt"),
        *("--device", "cuda", "--lobes", "lobes.nii.gz", "--radiomics", "--uncertainty"),
    )
    assert result.exit_code == 0
    (path,), options = asked["analyze"]
    assert path == Path("scan")
    assert options == {
        "system": "mine",
        "series": "3",
        "tolerate": ["gap", "tilt"],
        "device": "cuda",
        "lobes": "lobes.nii.gz",
        "lungs": "threshold+network",
        "classifier": None,
        "uncertainty": True,
    }
    assert asked["write"][0] == (report, tmp_path, ["html", "json", "radiomics"])


def test_analyze_writes_what_every_scan_allows_unless_told_otherwise(asked, tmp_path):
    assert run("analyze", "scan", "--out", tmp_path).exit_code == 0
    assert asked["write"][0][2] == list(DEFAULT_FORMATS)


def test_a_format_that_the_scan_does_not_allow_is_refused_once_it_is_read(asked, tmp_path):
    result = run("analyze", "scan", "--out", tmp_path, "--format", "json", "--format", "seg")
    assert result.exit_code == 1
    assert "no series that seg could refer to" in " ".join(result.stderr.split())
    assert asked == {}


def test_a_nameless_result_is_not_written_beside_earlier_versions(asked, tmp_path):
    (tmp_path / "versions" / "1").mkdir(parents=True)
    result = run("analyze", "scan", "--out", tmp_path, "--deidentify")
    assert result.exit_code == 1
    assert "found results from before a correction" in result.stderr
    assert asked == {}
    assert run("analyze", "scan", "--out", tmp_path).exit_code == 0


def test_the_defaults_are_those_of_the_library():
    parameters = inspect.signature(analyze_function).parameters
    assert parameters["system"].default == DEFAULT_SYSTEM
    assert parameters["lungs"].default == DEFAULT_LUNGS


def test_withheld_scores_end_with_code_3_and_the_reason_in_one_line(
    asked, monkeypatch, report, tmp_path
):
    check = QualityCheck(
        name="lungs-cut",
        title="lung on the first or last slice, of its largest section",
        outcome=Outcome.WITHHELD,
        measured="71 %",
        limit="withheld above 50 %",
        source="own limit",
        message="The scan ends within the lungs.",
    )
    withheld = replace(report, scores=(), quality=Quality(checks=(check,)))
    monkeypatch.setattr("groundglass.analyze.analyze", lambda *_args, **_options: withheld)
    result = run("analyze", "scan", "--out", tmp_path, "--json")
    assert result.exit_code == 3
    last = result.stderr.splitlines()[-1]
    assert last.startswith("scores withheld: found lung on the first or last slice")
    assert "71 %" in last
    assert "withheld above 50 %" in last
    assert asked["write"][0][0] is withheld
    record = json.loads(result.stdout)
    assert record["scores"] == record["slices"] == []
    assert record["quality"]["outcome"] == "withheld"


def test_people_see_scores_notes_and_files_on_stderr_and_programs_nothing(asked, tmp_path):
    result = run("analyze", "scan", "--out", tmp_path)
    assert result.stdout == ""
    for words in ("percentage of opacity", "33.3", "right lung", "CT-2", "gap", "report.html"):
        assert words in result.stderr
    assert "not a medical device" in result.stderr


def test_programs_get_the_record_on_stdout(asked, tmp_path):
    result = run("analyze", "scan", "--out", tmp_path, "--json")
    record = json.loads(result.stdout)
    opacity = next(s for s in record["scores"] if s["name"] == "percentage_of_opacity")
    assert opacity["value"] == pytest.approx(100 / 3)
    assert opacity["parts"] == {"right lung": 50.0, "left lung": 0.0}
    assert record["notes"] == [{"name": "gap", "message": "found a gap, read as it is"}]


def test_an_unknown_format_is_wrong_usage_before_any_work(asked, tmp_path):
    result = run("analyze", "scan", "--out", tmp_path, "--format", "docx")
    assert result.exit_code == 2
    assert all(name in result.stderr for name in FORMATS)
    assert asked == {}


@pytest.mark.parametrize("command", ["analyze", "segment", "lungs"])
def test_an_output_folder_that_cannot_be_written_is_refused_before_any_work(
    command, asked, tmp_path
):
    in_the_way = tmp_path / "file"
    in_the_way.write_text("mine")
    result = run(command, "scan", "--out", in_the_way)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert asked == {}


@pytest.mark.parametrize("command", ["analyze", "segment", "lungs"])
def test_a_folder_for_the_results_is_asked_for(command):
    assert run(command, "scan").exit_code == 2


def test_a_failed_analysis_leaves_nothing_behind(monkeypatch, tmp_path):
    def refuse(*_args, **_options):
        raise UnreadableScanError("found no scan, expected one; name another file")

    monkeypatch.setattr("groundglass.analyze.analyze", refuse)
    result = run("analyze", "scan", "--out", tmp_path / "results")
    assert result.exit_code == 1
    assert result.stderr == "found no scan, expected one; name another file\n"
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_is_one_line(asked, monkeypatch, tmp_path):
    def refuse(*_args, **_options):
        raise GeometryError("found another grid")

    monkeypatch.setattr("groundglass.write.write", refuse)
    result = run("analyze", "scan", "--out", tmp_path)
    assert (result.exit_code, result.stderr) == (1, "found another grid\n")


def test_segment_writes_the_masks_alone(asked, report, tmp_path):
    result = run("segment", "scan", "--out", tmp_path, "--system", "mine", "--tolerate", "gap")
    assert result.exit_code == 0
    assert asked["segment"][1]["system"] == "mine"
    assert asked["write_masks"][0] == (report.findings, tmp_path)
    assert "write" not in asked
    assert "gap" in result.stderr
    assert "lesions.nii.gz" in result.stderr


def test_lungs_writes_the_lungs_alone(asked, report, tmp_path):
    result = run("lungs", "scan", "--out", tmp_path, "--series", "3")
    assert result.exit_code == 0
    assert asked["find_lungs_in"][1]["series"] == "3"
    assert asked["write_lungs"][0] == (report.findings.scan, report.findings.lungs, tmp_path)
    assert set(asked) == {"find_lungs_in", "write_lungs"}
    assert "lungs.nii.gz" in result.stderr


def test_c_plus_plus_libraries_are_told_to_be_quiet(asked, tmp_path):
    import gdcm
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalWarningDisplay(True)
    gdcm.Trace.WarningOn()
    assert run("segment", "scan", "--out", tmp_path).exit_code == 0
    assert not SimpleITK.ProcessObject.GetGlobalWarningDisplay()
    assert not gdcm.Trace.GetWarningFlag()

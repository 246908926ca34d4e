import gzip
import subprocess
import sys
from importlib.util import find_spec

import nibabel as nib
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from groundglass.errors import OutputError, UnknownNameError
from groundglass.write import FORMATS, earlier_results, html, write, write_lungs, write_masks
from tests.followup.results import withheld
from tests.write.dicom_series import report_of, store
from tests.write.samples import PATIENT, dicom_volume, pictures, report, volume

ALL = ["report.html", "report.json", "report.csv", "lungs.nii.gz", "lesions.nii.gz", "labels.json"]


def test_every_format_by_default_in_order(tmp_path):
    files = write(report(), tmp_path / "out")
    assert [f.name for f in files] == ALL
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(ALL)


def test_only_what_is_asked_for_once(tmp_path):
    files = write(report(), tmp_path, ["csv", "json", "csv"])
    assert [f.name for f in files] == ["report.csv", "report.json"]
    assert len(list(tmp_path.iterdir())) == 2


def test_no_format_writes_nothing(tmp_path):
    assert write(report(), tmp_path / "out", []) == []
    assert not (tmp_path / "out").exists()


def test_an_unknown_format_names_the_known_ones(tmp_path):
    with pytest.raises(UnknownNameError, match=r"unknown format 'docx'; known: csv, .*html, json"):
        write(report(), tmp_path / "out", ["html", "docx"])
    assert not (tmp_path / "out").exists()


def test_a_writer_that_raises_leaves_nothing(tmp_path, monkeypatch):
    def fails(*_):
        raise RuntimeError("a bug in the page")

    monkeypatch.setattr(html, "write", fails)
    with pytest.raises(RuntimeError):
        write(report(), tmp_path / "out", ["nifti", "json", "html"])
    assert list(tmp_path.iterdir()) == []


def test_a_second_run_replaces_the_first(tmp_path):
    write(report(), tmp_path)
    later = report(volume(lesions=np.zeros((24, 40, 48), np.uint8)))
    write(later, tmp_path)
    assert "No opacity found" in (tmp_path / "report.html").read_text("utf-8")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(ALL)


def test_results_in_other_formats_go_and_files_of_the_user_stay(tmp_path):
    write(report(pictures(names=("smith_1", "smith_2", "smith_3"))), tmp_path)
    (tmp_path / "lungs" / "expert.png").write_bytes(b"mine")
    (tmp_path / "lesions.csv").write_bytes(b"mine")
    later = report(pictures(names=("a", "b", "c")))
    files = write(later, tmp_path, ["nifti"])
    mine = [tmp_path / "lungs" / "expert.png", tmp_path / "lesions.csv"]
    assert {p for p in tmp_path.rglob("*") if p.is_file()} == {*files, *mine}
    write(later, tmp_path, ["json"])
    assert not (tmp_path / "lesions").exists()
    assert {p for p in tmp_path.rglob("*") if p.is_file()} == {tmp_path / "report.json", *mine}


def test_answers_and_comparisons_of_an_earlier_run_go(tmp_path):
    answers = ["detections.html", "detections.json", "detections.csv", "detected_lesions.csv"]
    answers += ["classification.html", "classification.json", "class_map.png"]
    answers += ["comparison.html", "comparison.json", "comparison.csv"]
    for name in answers:
        (tmp_path / name).write_bytes(b"of another scan, by groundglass")
    write(report(), tmp_path, ["csv"])
    assert [p.name for p in tmp_path.iterdir()] == ["report.csv"]


def redrawn(file):
    """One voxel or pixel more, by a program that keeps the header."""
    if file.suffix == ".png":
        with Image.open(file) as picture:
            pixels, told = np.array(picture), PngImagePlugin.PngInfo()
            told.add_text("Software", picture.info["Software"])
        pixels[0, 0] = 1
        Image.fromarray(pixels).save(file, pnginfo=told)
        return
    image = nib.load(file)
    voxels = np.asarray(image.dataobj).copy()
    voxels[0, 0, 0] = 1
    nib.save(nib.Nifti1Image(voxels, image.affine, image.header), file)


@pytest.mark.parametrize(
    ("found", "name"), [(volume(), "lesions.nii.gz"), (pictures(("a",)), "lesions/a.png")]
)
def test_a_mask_that_was_changed_since_is_never_overwritten(tmp_path, found, name):
    mask = tmp_path / name
    write_masks(found, tmp_path)
    redrawn(mask)
    drawn = mask.read_bytes()
    for _ in range(2):
        with pytest.raises(OutputError, match="or which was changed since"):
            write(report(found), tmp_path)
        assert mask.read_bytes() == drawn
        write(report(found), tmp_path, ["json"])
        assert {p for p in tmp_path.rglob("*") if p.is_file()} == {mask, tmp_path / "report.json"}


@pytest.mark.parametrize("masks", ["both", "lungs"])
def test_masks_alone_leave_no_report_of_another_scan_beside_them(tmp_path, masks):
    write(report(), tmp_path, ["html", "json", "csv", "nifti"])
    (tmp_path / "mine.txt").write_text("mine")
    found = volume()
    if masks == "both":
        write_masks(found, tmp_path)
    else:
        write_lungs(found.scan, found.lungs, tmp_path)
    kept = {"mine.txt", "lungs.nii.gz", "labels.json"}
    left = {f.name for f in tmp_path.iterdir()}
    assert kept <= left
    assert not {name for name in left if name.startswith("report")}
    assert ("lesions.nii.gz" in left) == (masks == "both")


def test_withheld_numbers_take_those_of_an_earlier_run_away(tmp_path):
    write(report(), tmp_path, ["fhir"])
    assert write(withheld(report()), tmp_path, ["fhir"]) == []
    assert list(tmp_path.iterdir()) == []


def test_a_failure_keeps_the_results_in_other_formats(tmp_path, monkeypatch):
    write(report(), tmp_path)
    before = {f: f.read_bytes() for f in tmp_path.iterdir()}
    (tmp_path / "report.pdf").write_bytes(b"mine")
    monkeypatch.setattr(html, "write", lambda _, folder: made(folder / "report.pdf"))
    with pytest.raises(OutputError, match="did not write"):
        write(report(), tmp_path, ["html"])
    assert {f: f.read_bytes() for f in before} == before


def made(file):
    file.write_bytes(b"groundglass")
    return [file]


def test_every_file_of_every_format_is_known_as_a_result(tmp_path):
    found = report_of(store(tmp_path / "scan"), lobes=True)
    formats = [name for name, format in FORMATS.items() if find_spec(format.package or "gzip")]
    files = write(found, tmp_path / "out", formats)
    assert [tmp_path / "out" / name for name in earlier_results(tmp_path / "out")] == sorted(files)


def test_the_same_report_gives_the_same_bytes(tmp_path):
    for folder in ("one", "two"):
        write(report(), tmp_path / folder)
    for name in ALL:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize("name", ALL)
def test_a_file_of_the_user_stops_everything(tmp_path, name):
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(OutputError, match="did not write"):
        write(report(), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"mine"


def test_an_experts_masks_beside_the_pictures_are_never_overwritten(tmp_path):
    (tmp_path / "lungs").mkdir()
    Image.fromarray(np.full((5, 5), 255, np.uint8)).save(tmp_path / "lungs" / "b.png")
    before = (tmp_path / "lungs" / "b.png").read_bytes()
    with pytest.raises(OutputError, match=r"b\.png', which groundglass did not write"):
        write_masks(pictures(), tmp_path)
    assert [p.name for p in tmp_path.rglob("*")] == ["lungs", "b.png"]
    assert (tmp_path / "lungs" / "b.png").read_bytes() == before


def test_masks_replace_masks_of_an_earlier_run(tmp_path):
    for _ in range(2):
        files = write_masks(pictures(("a",)), tmp_path)
    assert [f.relative_to(tmp_path).as_posix() for f in files] == [
        "lungs/a.png",
        "lesions/a.png",
        "labels.json",
    ]


def test_the_lungs_alone(tmp_path):
    findings = volume()
    files = write_lungs(findings.scan, findings.lungs, tmp_path)
    assert [f.name for f in files] == ["lungs.nii.gz", "labels.json"]


def test_the_patients_name_is_in_no_file(tmp_path):
    files = write(report(dicom_volume()), tmp_path)
    for file in files:
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        for secret in (PATIENT, "Okonkwo", "19700102"):
            assert secret.encode() not in content


@pytest.mark.parametrize("format", FORMATS.values(), ids=list(FORMATS))
def test_every_format_says_what_it_is_and_has_a_writer(format):
    assert format.meaning.endswith(".")
    assert callable(format.writer)


def test_the_list_of_formats_loads_nothing_heavy():
    code = (
        "import sys, groundglass.write as w; list(w.FORMATS); "
        "print(*{'numpy', 'highdicom', 'pydantic', 'PIL', 'jinja2'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_writing_needs_no_torch():
    code = (
        "import sys, groundglass.write as w; [f.writer for f in w.FORMATS.values()]; "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]

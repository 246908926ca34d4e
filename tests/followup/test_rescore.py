import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813 - the name its own manual uses

from groundglass.data.phantom import make_phantom
from groundglass.data.phantom_files import write_nifti
from groundglass.deidentify import deidentify
from groundglass.errors import GeometryError, OutputError, UnknownNameError, UnreadableScanError
from groundglass.followup.rescore import rescore, write_rescored
from groundglass.followup.result_folder import read_result
from groundglass.labels import Lesion, Lung
from groundglass.read import read
from groundglass.write.answer_record import ClassificationRecord
from groundglass.write.html import page
from groundglass.write.lesion_features import lesion_features
from groundglass.write.record import read_record
from tests.followup.results import FORMATS, edited, lesions_of, reoriented, result, withheld
from tests.write.dicom_series import PHANTOM, store


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return result(tmp_path_factory.mktemp("result"))


@pytest.fixture
def own(tmp_path, made):
    """A result that the test may change."""
    folder, _ = result(tmp_path, scan=made[1])
    return folder


def nothing(_numbers, _lungs):
    pass


def all_gone(numbers, _lungs):
    numbers[:] = 0


def right_lung_consolidated(numbers, lungs):
    numbers[lungs == Lung.RIGHT] = Lesion.CONSOLIDATION


def values(report_or_record):
    return {score.name: score.value for score in report_or_record.scores}


def test_a_result_is_read_back_as_it_was_found(made):
    folder, scan = made
    for back in (read_result(folder), read_result(folder, scan)):
        assert np.array_equal(back.findings.lungs.array, PHANTOM.lungs.array)
        assert np.array_equal(back.findings.lesions.array, PHANTOM.lesions.array)
        assert np.array_equal(back.findings.lobes.array, PHANTOM.lobes.array)


def test_with_the_scan_an_unchanged_mask_gives_every_score_unchanged(made, tmp_path):
    folder, scan = made
    report = rescore(folder, edited(folder, nothing), scan=scan, by="A. Reader")
    assert values(report) == pytest.approx(values(read_record(folder / "report.json")))
    change = report.provenance.corrections[0].changes["both lungs"]
    assert (change.dice, change.added_ml, change.removed_ml) == (1.0, 0.0, 0.0)


def test_without_the_scan_scores_in_hounsfield_units_are_left_out_with_a_note(made):
    folder, _ = made
    report = rescore(folder, edited(folder, nothing))
    before = values(read_record(folder / "report.json"))
    left_out = set(before) - set(values(report))
    assert left_out >= {
        "percentage_of_high_opacity",
        "lung_high_opacity_score",
        "percentage_of_well_aerated_lung",
        "well_aerated_volume_ml",
        "mean_lung_density_hu",
    }
    assert "percentage_of_opacity" not in left_out
    (note,) = [note for note in report.notes if note.name == "scores"]
    assert all(name in note.message for name in left_out)
    assert "masks without their scan" in note.message


def test_radiomics_need_the_scan(made, tmp_path):
    folder, scan = made
    file = edited(folder, nothing)
    out = {"of": folder, "spare": file, "formats": ("radiomics",)}
    with pytest.raises(OutputError, match=r"without their scan, .* name it with --scan"):
        write_rescored(rescore(folder, file), tmp_path / "out", **out)
    assert not (tmp_path / "out").exists()
    with pytest.raises(OutputError, match="name it with --scan"):
        lesion_features(rescore(folder, file).findings)
    (table,) = write_rescored(rescore(folder, file, scan=scan), tmp_path / "out", **out)
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert rows
    assert all(float(row["mean_hu"]) > -900 for row in rows)


def with_record(folder, **changes):
    """Write the record of a result again with other fields."""
    record = read_record(folder / "report.json")
    settings = changes.pop("settings", record.provenance.settings)
    changes["provenance"] = record.provenance.model_copy(update={"settings": settings})
    text = record.model_copy(update=changes).model_dump_json()
    (folder / "report.json").write_text(text)


def test_what_the_system_alone_can_say_is_left_out_with_a_note(own):
    said = ClassificationRecord(
        system="a",
        weights_sha256="",
        probabilities={"COVID-19": 1.0},
        exclusive=True,
        most_likely="COVID-19",
    )
    settings = {"tolerate": "thick-slices", "uncertainty": "yes", "classify": "a"}
    with_record(own, settings=settings, classification=said)
    report = rescore(own, edited(own, nothing))
    assert report.provenance.settings == {"tolerate": "thick-slices"}
    told = " ".join(note.message for note in report.notes)
    assert "Intervals are of the boundary alone" in told
    assert "Left out the classes that a system gave" in told
    assert "mirrored, brighter and darker" not in page(report)


def test_a_result_without_names_stays_without_them(tmp_path):
    scan = store(tmp_path / "Okonkwo_Ngozi")
    named = {"series": "okonkwo", "tolerate": "thick-slices"}
    folder, _ = result(tmp_path, scan=scan, change=lambda r: deidentify(with_settings(r, named)))
    file = edited(folder, right_lung_consolidated, name="okonkwo.nii.gz")
    report = rescore(folder, file, scan=scan, series="1", by="N. Okonkwo")
    out = {"of": folder, "spare": file}
    files = write_rescored(report, tmp_path / "out", formats=(*FORMATS, "html"), **out)
    before = read_record(folder / "report.json")
    assert report.findings.scan.source.name == before.scan.name
    assert report.provenance.input_uids == before.provenance.input_uids
    assert {"mean_lung_density_hu", "percentage_of_opacity"} <= set(values(report))
    stored = str(pydicom.dcmread(next(scan.iterdir())).StudyInstanceUID)
    for text in (f.read_text() for f in files if f.suffix != ".gz"):
        assert "okonkwo" not in text.lower()
        assert stored not in text
    for name in ("lungs.nii.gz", "lobes.nii.gz"):
        assert (tmp_path / "out" / name).read_bytes() == (folder / name).read_bytes()
    with pytest.raises(OutputError, match="without headers, and so no series"):
        write_rescored(report, tmp_path / "out", formats=("seg",), **out)


def test_a_nameless_result_of_one_series_needs_to_be_told_which(tmp_path):
    scan = store(tmp_path / "scan")
    lung = {"series": "phantom", "tolerate": "thick-slices"}
    folder, _ = result(tmp_path, scan=scan, change=lambda r: deidentify(with_settings(r, lung)))
    file = edited(folder, nothing)
    with pytest.raises(UnreadableScanError, match="name it with --series as when it was analyzed"):
        rescore(folder, file, scan=scan)
    with pytest.raises(UnknownNameError, match="unknown series 'soft tissue'"):
        rescore(folder, file, scan=scan, series="soft tissue")
    number = str(pydicom.dcmread(next(scan.iterdir())).SeriesNumber)
    assert "mean_lung_density_hu" in values(rescore(folder, file, scan=scan, series=number))
    assert values(rescore(folder, file))


def test_a_nameless_result_does_not_go_beside_versions_of_another(tmp_path):
    folder, _ = result(tmp_path, change=deidentify)
    file = edited(folder, nothing)
    (tmp_path / "out" / "versions" / "1").mkdir(parents=True)
    with pytest.raises(OutputError, match="may name the patient, expected none beside"):
        write_rescored(rescore(folder, file), tmp_path / "out", of=folder, spare=file)
    write_rescored(rescore(folder, file), folder, of=folder, spare=file, formats=FORMATS)
    write_rescored(rescore(folder, file), folder, of=folder, spare=file, formats=FORMATS)
    assert (folder / "versions" / "2" / "report.json").is_file()


def with_settings(report, settings):
    provenance = report.provenance.model_copy(update={"settings": settings})
    return replace(report, provenance=provenance)


def test_a_withheld_result_is_corrected_and_stays_withheld(tmp_path, made):
    folder, scan = result(tmp_path, scan=made[1], change=withheld)
    report = rescore(folder, edited(folder, all_gone), scan=scan)
    assert report.withheld
    assert report.scores == ()
    assert report.provenance.corrections[0].changes["both lungs"].after_ml == 0


def test_masks_of_other_slices_than_were_counted_are_refused(own):
    with_record(own, slices=read_record(own / "report.json").slices[1:])
    with pytest.raises(UnreadableScanError, match=r"masks of 40 slices .* expected the 39"):
        rescore(own, edited(own, nothing))


def test_an_empty_mask_makes_every_lesion_score_zero(made):
    folder, scan = made
    report = rescore(folder, edited(folder, all_gone), scan=scan)
    found = values(report)
    for name in ("percentage_of_opacity", "ct_severity_score", "lesion_count", "mosmed_category"):
        assert found[name] == 0
    change = report.provenance.corrections[0].changes["both lungs"]
    assert change.dice == 0
    assert change.removed_ml == pytest.approx(change.before_ml)


def test_the_change_is_counted_for_each_lung(made):
    folder, _ = made
    report = rescore(folder, edited(folder, right_lung_consolidated))
    changes = report.provenance.corrections[0].changes
    voxel_ml = PHANTOM.lungs.voxel_volume_ml
    right = PHANTOM.lungs.array == Lung.RIGHT
    opaque = np.isin(PHANTOM.lesions.array, [1, 2, 3])
    glass = right & (PHANTOM.lesions.array == Lesion.GROUND_GLASS)
    assert changes["right lung"].after_ml == pytest.approx(right.sum() * voxel_ml, abs=1e-3)
    assert changes["right lung"].added_ml == pytest.approx((right & ~opaque).sum() * voxel_ml)
    assert changes["right lung"].other_kind_ml == pytest.approx(glass.sum() * voxel_ml)
    both = (right & opaque).sum()
    assert changes["right lung"].dice == pytest.approx(2 * both / (both + right.sum()), abs=1e-4)
    assert changes["left lung"].dice == 1.0
    assert changes["left lung"].added_ml == changes["left lung"].removed_ml == 0
    assert values(report)["percentage_of_consolidation"] > 50
    parts = report.score("percentage_of_opacity").parts
    assert parts["right lung"] == 100.0
    assert parts["left lung"] < 50


def test_a_mask_with_its_axes_in_another_order_is_the_same_mask(made):
    folder, _ = made
    file = edited(folder, right_lung_consolidated)
    plain, turned = rescore(folder, file), rescore(folder, reoriented(file))
    assert np.array_equal(plain.findings.lesions.array, turned.findings.lesions.array)
    assert values(plain) == values(turned)


def test_lesions_outside_the_lungs_do_not_count_and_a_note_says_so(made):
    folder, _ = made

    def outside(numbers, lungs):
        numbers[lungs == 0] = Lesion.GROUND_GLASS

    report = rescore(folder, edited(folder, outside))
    assert report.provenance.corrections[0].changes["both lungs"].added_ml == 0
    assert any("outside the lungs and do not count" in note.message for note in report.notes)


def test_a_second_correction_tells_of_both_and_of_nothing_that_is_gone(own):
    def outside(numbers, lungs):
        numbers[lungs == 0] = Lesion.GROUND_GLASS

    odd = edited(own, outside).rename(own / "l\udce4sion.nii.gz")
    first = rescore(own, odd, by="First J\udcfcr")
    write_rescored(first, own, of=own, spare=odd)
    second = rescore(own, edited(own, all_gone), by="Second")
    told = [note.message for note in second.notes]
    assert sum("Lesions corrected by First J?r" in message for message in told) == 1
    assert sum("Lesions corrected by Second" in message for message in told) == 1
    assert not any("outside the lungs" in message for message in told)


def test_the_results_before_are_kept_and_nothing_of_them_stays_beside_the_new(own):
    (own / "mine.txt").write_text("mine")
    before = {f.name: f.read_bytes() for f in own.iterdir() if f.name != "mine.txt"}
    file = edited(own, right_lung_consolidated)
    for number in (1, 2):
        report = rescore(own, file, by="A. Reader")
        files = write_rescored(report, own, of=own, spare=file, formats=("json", "nifti"))
        assert all(f.parent == own for f in files)
        assert (own / "versions" / str(number)).is_dir()
    kept = {f.name: f.read_bytes() for f in (own / "versions/1").iterdir()}
    assert kept == before
    assert (own / "mine.txt").read_text() == "mine"
    assert not (own / "report.csv").exists()
    record = read_record(own / "report.json")
    assert [c.by for c in record.provenance.corrections] == ["A. Reader"] * 2
    assert record.provenance.corrections[1].changes["both lungs"].dice == 1.0
    assert values(record)["percentage_of_consolidation"] > 50
    lesions = read_result(own).findings.lesions.array
    assert np.all(lesions[PHANTOM.lungs.array == Lung.RIGHT] == Lesion.CONSOLIDATION)


def test_another_folder_leaves_the_result_as_it_is(made, tmp_path):
    folder, _ = made
    before = {f: f.read_bytes() for f in folder.iterdir()}
    file = edited(folder, all_gone)
    out = tmp_path / "out"
    write_rescored(rescore(folder, file), out, of=folder, spare=file, formats=FORMATS)
    assert {f: f.read_bytes() for f in folder.iterdir()} == before
    assert not (out / "versions").exists()
    assert json.loads((out / "report.json").read_text())["provenance"]["corrections"]


def test_a_failure_leaves_the_folder_as_it_was(own, monkeypatch):
    before = {f: f.read_bytes() for f in own.iterdir()}
    file = edited(own, all_gone)
    report = rescore(own, file)

    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("groundglass.followup.rescore.keep", full)
    with pytest.raises(OutputError, match="No space left"):
        write_rescored(report, own, of=own, spare=file, formats=FORMATS)
    assert {f: f.read_bytes() for f in own.iterdir()} == before


def test_the_corrected_mask_is_not_taken_for_an_earlier_result(own):
    inside = edited(own, all_gone).replace(own / "edited.nii.gz")
    write_rescored(rescore(own, inside), own, of=own, spare=inside, formats=FORMATS)
    assert inside.is_file()
    assert not (own / "versions/1/edited.nii.gz").exists()


def test_masks_of_other_readers_are_not_taken_for_earlier_results(own):
    theirs = {name: edited(own, all_gone, name) for name in ("a.nii.gz", "b.nii.gz")}
    inside = {name: file.replace(own / name) for name, file in theirs.items()}
    (own / "notes.txt").write_text("how groundglass did")
    spare = inside["a.nii.gz"]
    write_rescored(rescore(own, spare), own, of=own, spare=spare, formats=FORMATS)
    assert inside["b.nii.gz"].is_file()
    assert (own / "notes.txt").is_file()
    kept = sorted(file.name for file in (own / "versions/1").iterdir())
    assert kept == sorted(
        ["report.json", "report.csv", "labels.json"]
        + [f"{name}.nii.gz" for name in ("lungs", "lesions", "lobes", "regions")]
    )


def test_the_corrected_mask_is_never_overwritten(own, tmp_path):
    unchanged = own / "lesions.nii.gz"
    before = {f: f.read_bytes() for f in own.iterdir()}
    with pytest.raises(OutputError, match=r"found the corrected mask 'lesions\.nii\.gz'"):
        write_rescored(rescore(own, unchanged), own, of=own, spare=unchanged)
    assert {f: f.read_bytes() for f in own.iterdir()} == before
    (tmp_path / "out").mkdir()
    elsewhere = edited(own, all_gone).replace(tmp_path / "out" / "lesions.nii.gz")
    drawn, report = elsewhere.read_bytes(), rescore(own, elsewhere)
    with pytest.raises(OutputError, match="where a new result of that name belongs"):
        write_rescored(report, tmp_path / "out", of=own, spare=elsewhere)
    assert elsewhere.read_bytes() == drawn
    write_rescored(report, tmp_path / "out", of=own, spare=elsewhere, formats=("json",))
    assert sorted(f.name for f in (tmp_path / "out").iterdir()) == [
        "lesions.nii.gz",
        "report.json",
    ]


def test_results_of_an_earlier_run_in_another_folder_go(made, own, tmp_path):
    file = edited(made[0], all_gone, name="gone.nii.gz")
    write_rescored(rescore(made[0], file), own, of=made[0], spare=file, formats=("csv",))
    assert [f.name for f in own.iterdir()] == ["report.csv"]


def test_masks_that_were_edited_in_place_are_refused(own):
    edited(own, right_lung_consolidated).replace(own / "lesions.nii.gz")
    with pytest.raises(UnreadableScanError, match=r"differ from what report\.json counted"):
        rescore(own, own / "lesions.nii.gz")


def test_a_missing_mask_is_refused(own):
    file = edited(own, nothing)
    (own / "lungs.nii.gz").unlink()
    with pytest.raises(UnreadableScanError, match=r"no 'lungs\.nii\.gz'"):
        rescore(own, file)


def test_another_scan_is_refused(made, tmp_path):
    folder, _ = made
    other = read_other(tmp_path)
    with pytest.raises(GeometryError, match="another grid"):
        rescore(folder, edited(folder, nothing), scan=other)


def read_other(tmp_path: Path) -> Path:
    file = write_nifti(make_phantom(1, shape=(30, 48, 64)).scan, tmp_path)
    assert read(file, tolerate=("thick-slices",))
    return file


def test_a_resampled_mask_is_refused_in_words(made):
    folder, _ = made
    image = lesions_of(folder)
    size = [n // 2 for n in image.GetSize()[:2]] + [image.GetSize()[2]]
    spacing = [2 * s for s in image.GetSpacing()[:2]] + [image.GetSpacing()[2]]
    coarse = sitk.Resample(
        image, size, sitk.Transform(), 1, image.GetOrigin(), spacing, image.GetDirection()
    )
    sitk.WriteImage(coarse, str(folder.parent / "coarse.nii.gz"))
    with pytest.raises(GeometryError, match=r"expected .* as in the result"):
        rescore(folder, folder.parent / "coarse.nii.gz")

import json
import re
import subprocess
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pydicom
import pytest

from groundglass.labels import Lesion, Lobe, Lung
from groundglass.report import NOT_A_MEDICAL_DEVICE
from groundglass.write import FORMATS, dicom_key_images, dicom_seg, dicom_sr, write
from groundglass.write.dicom_segments import largest_lesions
from groundglass.write.dicom_source import source_series
from groundglass.write.record import read_record
from tests.write.dicom_series import ORIENTATIONS, errors_of, program, report_of, store

GEOMETRIES = [("axial", False), ("coronal", True), ("sagittal", False), ("oblique", True)]

UNITS = {"%": "%", "ml": "ml", "HU": "[hnsf'U]"}
"""UCUM codes; whatever else a score is counted in has no unit there."""


@pytest.fixture(scope="module", params=GEOMETRIES, ids=lambda g: f"{g[0]}{' multi' * g[1]}")
def written(request, tmp_path_factory):
    """A report and its files: the scores as JSON, and all that DICOM says about them."""
    name, multi_frame = request.param
    folder = tmp_path_factory.mktemp(name)
    found = report_of(store(folder / "scan", ORIENTATIONS[name], multi_frame=multi_frame))
    files = write(found, folder / "out", ["sr", "ko", "json", "seg"])
    return found, {file.name: file for file in files}


def items(container, concept=None):
    """Content items of a container, those of one concept where one is given."""
    for item in container.ContentSequence:
        code = item.ConceptNameCodeSequence[0] if "ConceptNameCodeSequence" in item else None
        if concept is None or (code is not None and code.CodeMeaning == concept):
            yield item


def text(coded):
    return coded.get("CodeValue") or coded.LongCodeValue


def groups_of(dataset):
    """Measurement groups by their tracking identifier."""
    (measurements,) = items(dataset, "Imaging Measurements")
    groups = list(items(measurements, "Measurement Group"))
    return {next(items(group, "Tracking Identifier")).TextValue: group for group in groups}


def numbers_of(group):
    """Every number of a group with its unit, by the code of what it measures."""
    found = {}
    for item in group.ContentSequence:
        if item.ValueType == "NUM":
            measured = item.MeasuredValueSequence[0]
            value = float(measured.get("FloatingPointValue", measured.NumericValue))
            unit = measured.MeasurementUnitsCodeSequence[0]
            assert unit.CodingSchemeDesignator == "UCUM"
            found[text(item.ConceptNameCodeSequence[0])] = (value, unit.CodeValue)
    return found


def test_the_validator_finds_no_error(written):
    assert errors_of(written[1]["structured_report.dcm"]) == []
    assert errors_of(written[1]["key_images.dcm"]) == []


def test_every_score_is_that_of_the_json(written):
    _, files = written
    record = read_record(files["report.json"])
    groups = groups_of(pydicom.dcmread(files["structured_report.dcm"]))
    for score in record.scores:
        name = "118565006" if score.name == "lung_volume_ml" else score.name
        unit = UNITS.get(score.unit, "1")
        assert numbers_of(groups["both lungs"])[name] == (score.value, unit)
        for part, value in score.parts.items():
            assert numbers_of(groups[part])[name] == (value, unit)
    assert len(numbers_of(groups["both lungs"])) == len(record.scores) > 5


def test_every_part_has_its_finding_site(written):
    groups = groups_of(pydicom.dcmread(written[1]["structured_report.dcm"]))
    for lung in Lung:
        (site,) = items(groups[lung.title], "Finding Site")
        assert site.ConceptCodeSequence[0].CodeValue == lung.code[0]
    (site,) = items(groups["both lungs"], "Finding Site")
    assert site.ConceptCodeSequence[0].CodeValue == "39607008"
    assert site.ContentSequence[0].ConceptCodeSequence[0].CodeMeaning == "Bilateral"


def test_what_made_the_numbers_is_told(written):
    dataset = pydicom.dcmread(written[1]["structured_report.dcm"])
    for group in groups_of(dataset).values():
        assert "baseline_unet" in next(items(group, "Algorithm Name")).TextValue
        assert next(items(group, "Algorithm Version")).TextValue == "0.1.0"
        parameters = [item.TextValue for item in items(group, "Algorithm Parameters")]
        assert f"weights_sha256={'ab' * 32}" in parameters
    comments = " ".join(item.TextValue for item in items(dataset, "Comment"))
    assert NOT_A_MEDICAL_DEVICE in comments
    assert dataset.VerificationFlag == "UNVERIFIED"


def test_parts_refer_to_the_segments_of_the_segmentation(written):
    _, files = written
    masks = pydicom.dcmread(files["segmentation.dcm"], stop_before_pixels=True)
    labels = {s.SegmentNumber: s.SegmentLabel for s in masks.SegmentSequence}
    groups = groups_of(pydicom.dcmread(files["structured_report.dcm"]))
    for lung in Lung:
        (segment,) = items(groups[lung.title], "Referenced Segment")
        reference = segment.ReferencedSOPSequence[0]
        assert reference.ReferencedSOPInstanceUID == masks.SOPInstanceUID
        assert labels[reference.ReferencedSegmentNumber] == lung.title


def test_without_a_segmentation_nothing_is_referred_to(tmp_path):
    (file,) = dicom_sr.write(report_of(store(tmp_path / "scan")), tmp_path)
    groups = groups_of(pydicom.dcmread(file))
    assert "right lung" in groups
    assert not any(list(items(group, "Referenced Segment")) for group in groups.values())
    assert errors_of(file) == []


def test_lesions_have_their_volume_and_their_place(written):
    found, files = written
    groups = groups_of(pydicom.dcmread(files["structured_report.dcm"]))
    masks = pydicom.dcmread(files["segmentation.dcm"], stop_before_pixels=True)
    tracked = {s.SegmentLabel: s.TrackingUID for s in masks.SegmentSequence}
    lesions = largest_lesions(found.findings)
    assert len(lesions) > 2
    for lesion in lesions:
        group = groups[lesion.name]
        (volume,) = [item for item in group.ContentSequence if item.ValueType == "NUM"]
        assert numbers_of(group)["118565006"] == (pytest.approx(lesion.volume_ml), "ml")
        (place,) = volume.ContentSequence
        np.testing.assert_allclose(place.GraphicData, lesion.center_mm, atol=1e-3)
        (uid,) = items(group, "Tracking Unique Identifier")
        assert tracked[lesion.name] == uid.UID


def test_a_healthy_scan_says_so_with_its_zeros(tmp_path):
    (file,) = dicom_sr.write(report_of(store(tmp_path / "scan"), lesions=False), tmp_path)
    groups = groups_of(pydicom.dcmread(file))
    assert not any(name.startswith("lesion") for name in groups)
    assert numbers_of(groups["both lungs"])["percentage_of_opacity"] == (0.0, "%")
    grades = [i for i in items(groups["both lungs"], "Mosmed category") if i.ValueType == "CODE"]
    assert grades[0].ConceptCodeSequence[0].CodeValue == "CT-0"
    assert errors_of(file) == []


def test_dcmqi_reads_the_same_numbers(written, tmp_path):
    reader = program("tid1500reader", "PyPI: dcmqi")
    found, files = written
    asked = ["--inputDICOM", str(files["structured_report.dcm"])]
    asked += ["--outputMetadata", str(tmp_path / "read.json")]
    subprocess.run([reader, *asked], check=True, capture_output=True)
    groups = json.loads((tmp_path / "read.json").read_text())["Measurements"]
    read = {
        (group["TrackingIdentifier"], item["quantity"]["CodeValue"]): float(item["value"])
        for group in groups
        for item in group["measurementItems"]
        if "value" in item
    }
    compared = 0
    for score in found.scores:
        for part, value in (("both lungs", score.value), *score.parts.items()):
            if (part, score.name) in read:
                compared += 1
                assert read[part, score.name] == pytest.approx(value)
    assert compared > 10


def test_key_images_are_slices_with_opacity(written):
    found, files = written
    dataset = pydicom.dcmread(files["key_images.dcm"])
    series = source_series(found.findings.scan)
    placed = series.place(found.findings.lesions.voxels)
    chosen = dicom_key_images.key_stored_slices(found, series)
    images = [item for item in dataset.ContentSequence if item.ValueType == "IMAGE"]
    assert len(chosen) > 2
    assert all(
        np.isin(placed[i], (Lesion.GROUND_GLASS, Lesion.CONSOLIDATION)).any() for i in chosen
    )
    if series.is_multi_frame:
        (reference,) = images[0].ReferencedSOPSequence
        groups = found.findings.scan.source.headers[0].PerFrameFunctionalGroupsSequence
        frames = [groups[n - 1].PlanePositionSequence[0] for n in reference.ReferencedFrameNumber]
        positions = [frame.ImagePositionPatient for frame in frames]
    else:
        headers = {h.SOPInstanceUID: h for h in found.findings.scan.source.headers}
        uids = [item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in images]
        positions = [headers[uid].ImagePositionPatient for uid in uids]
    indices = np.array([[i, 0, 0] for i in chosen])
    expected = series.geometry.map_indices_to_reference(indices)
    np.testing.assert_allclose(np.array(positions, float), expected, atol=0.01)


def damage(dataset):
    """What anonymizers and old scanners leave behind."""
    dataset.StudyInstanceUID = "1.02.3"
    dataset.SOPInstanceUID = f"{dataset.SOPInstanceUID[:40]}.007.{dataset.InstanceNumber}"
    dataset.PatientSex = "male"
    dataset.StudyDate = "03.04.2020"
    dataset.PatientID = "x" * 70
    dataset.PatientName = "Okonkwo"
    del dataset.PatientBirthDate, dataset.FrameOfReferenceUID, dataset.StudyID
    del dataset.ReferringPhysicianName


@pytest.mark.parametrize("multi_frame", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_headers_that_do_not_conform_give_objects_that_do(tmp_path, caplog, multi_frame):
    found = report_of(store(tmp_path / "scan", multi_frame=multi_frame, change=damage))
    formats = [
        name for name, f in FORMATS.items() if f.needs_series and find_spec(f.package or "os")
    ]
    files = {file.name: file for file in write(found, tmp_path / "out", formats)}
    studies = set()
    for name, file in files.items():
        dataset = pydicom.dcmread(file)
        assert name.startswith("labelmap") or errors_of(file) == []
        studies.add(dataset.StudyInstanceUID)
        assert dataset.StudyInstanceUID.is_valid
        assert dataset.SOPInstanceUID.is_valid
        assert dataset.PatientName == "Okonkwo"
        assert not any((dataset.PatientSex, dataset.PatientID, dataset.StudyDate))
        if name != "report_pdf.dcm":  # has no place for comments
            comment = dataset.get("ImageComments")
            said = dataset.to_json() if comment is None else comment
            assert "StudyInstanceUID was not valid" in said, name
    assert len(studies) == 1
    told = pydicom.dcmread(files["segmentation.dcm"]).ImageComments
    assert "PatientSex was not valid and was left empty" in told
    assert "PatientBirthDate was missing and was left empty" in told
    assert re.search(r"StudyInstanceUID was not valid .*'1\.02\.3'", told)
    assert multi_frame or "(40 times)" in told
    comments = items(pydicom.dcmread(files["structured_report.dcm"]), "Comment")
    assert any(told in item.TextValue for item in comments)
    assert "Okonkwo" not in caplog.text
    assert "StudyInstanceUID" in caplog.text


def test_scores_that_were_withheld_leave_a_report_that_says_so(tmp_path):
    found = replace(report_of(store(tmp_path / "scan")), scores=())
    files = write(found, tmp_path / "out", ["seg", "sr", "ko"])
    for file in files:
        assert errors_of(file) == []
    groups = groups_of(pydicom.dcmread(tmp_path / "out" / "structured_report.dcm"))
    assert "both lungs" not in groups


def test_an_identifier_is_always_replaced_by_the_same(tmp_path):
    objects = []
    for name in ("one", "two"):
        found = report_of(store(tmp_path / name / "scan", change=damage))
        (file,) = dicom_seg.write(found, tmp_path / name)
        objects.append(pydicom.dcmread(file))
    assert objects[0].StudyInstanceUID == objects[1].StudyInstanceUID
    assert objects[0].FrameOfReferenceUID == objects[1].FrameOfReferenceUID
    assert objects[0].FrameOfReferenceUID != objects[0].StudyInstanceUID


def test_lobes_have_their_segments_and_their_scores_refer_to_them(tmp_path):
    found = report_of(store(tmp_path / "scan"), lobes=True)
    names = ["structured_report.dcm", "segmentation.dcm", "segmentation_lobes.dcm"]
    files = {f.name: f for f in write(found, tmp_path / "out", ["sr", "seg"])}
    assert list(files) == names
    lobes = pydicom.dcmread(files["segmentation_lobes.dcm"])
    labels = {s.SegmentNumber: s.SegmentLabel for s in lobes.SegmentSequence}
    assert list(labels.values()) == [lobe.title for lobe in Lobe]
    groups = groups_of(pydicom.dcmread(files["structured_report.dcm"]))
    assert set(labels.values()) <= set(groups)
    for lobe in Lobe:
        (segment,) = items(groups[lobe.title], "Referenced Segment")
        reference = segment.ReferencedSOPSequence[0]
        assert reference.ReferencedSOPInstanceUID == lobes.SOPInstanceUID
        assert labels[reference.ReferencedSegmentNumber] == lobe.title
        (site,) = items(groups[lobe.title], "Finding Site")
        assert site.ConceptCodeSequence[0].CodeValue == lobe.code[0]
    for file in files.values():
        assert errors_of(file) == []

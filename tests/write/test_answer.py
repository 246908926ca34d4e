import csv
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from groundglass.classification import Classification, ClassMap, Manifestation
from groundglass.deidentify import deidentify
from groundglass.detections import Detection, Detections
from groundglass.errors import OutputError
from groundglass.labels import Lesion
from groundglass.report import Answer
from groundglass.scan import Note
from groundglass.write.answer import AnswerRecord, answer_page, write_answer
from groundglass.write.answer_record import classification_record
from groundglass.write.figures import axial
from groundglass.write.html import page
from groundglass.write.record import record_of
from tests.write import samples

VOLUME = samples.volume()
BOXES = (
    Detection(11, (20.0, 8.0, 31.0, 15.5), 0.91, Lesion.GROUND_GLASS, area_px=60),
    Detection(12, (20.0, 8.0, 31.0, 15.5), 0.85, Lesion.GROUND_GLASS, area_px=61),
    Detection(12, (18.0, 30.0, 22.0, 36.0), 0.65, Lesion.CONSOLIDATION, area_px=12),
)


def detected(boxes=BOXES, findings=VOLUME):
    found = Detections("some_system", "ab" * 32, findings.scan, boxes)
    return Answer(findings.scan, findings.lungs, samples.PROVENANCE, found, notes=(samples.GAP,))


def classified(**changes):
    shares = np.full(24, 1 / 24, np.float32)
    found = Classification(
        "some_system",
        "ab" * 32,
        {"control": 0.2, "COVID-19": 0.7, "other <pneumonia>": 0.1},
        exclusive=True,
        relevance=shares,
        evidence=BOXES[1:],
    )
    answer = Answer(VOLUME.scan, VOLUME.lungs, samples.PROVENANCE, None, found)
    return replace(answer, **changes)


def test_boxes_are_written_as_page_data_and_two_tables(tmp_path):
    files = write_answer(detected(), tmp_path / "out")
    assert [file.name for file in files] == [
        "detections.html",
        "detections.json",
        "detections.csv",
        "detected_lesions.csv",
    ]
    record = AnswerRecord.model_validate_json(files[1].read_bytes())
    assert [lesion.kind for lesion in record.detections.lesions] == [
        "ground-glass opacity",
        "consolidation",
    ]
    assert [box.lesion for box in record.detections.boxes] == [1, 1, 2]
    rows = list(csv.DictReader(files[2].read_text().splitlines()))
    assert [(row["slice"], row["lesion"]) for row in rows] == [
        ("11", "1"),
        ("12", "1"),
        ("12", "2"),
    ]
    (first, second) = csv.DictReader(files[3].read_text().splitlines())
    assert float(first["volume_ml"]) == pytest.approx(121 * 2.5 * 0.8 * 0.7 / 1000, abs=1e-4)
    assert first["lung"] == "right lung"
    assert second["lung"] == "left lung"


def test_results_are_replaced_and_files_of_the_user_are_not(tmp_path):
    write_answer(detected(), tmp_path)
    write_answer(detected(()), tmp_path)
    (tmp_path / "detections.csv").write_text("mine")
    with pytest.raises(OutputError, match=r"detections\.csv"):
        write_answer(detected(), tmp_path)


def test_a_scan_without_boxes_says_so():
    text = answer_page(detected(()))
    assert "No box." in text
    assert "<img" not in text


def test_the_page_shows_each_slice_with_its_boxes_in_color():
    text = answer_page(detected())
    assert len(re.findall("<img", text)) >= 1
    assert "linked through the slices to 2 lesions" in text
    assert "upper bounds" not in text
    boxes = tuple(replace(box, area_px=None) for box in BOXES)
    assert "upper bounds" in answer_page(detected(boxes))


def test_classes_are_written_with_the_boxes_behind_them(tmp_path):
    files = write_answer(classified(), tmp_path)
    assert [file.name for file in files] == ["classification.html", "classification.json"]
    data = json.loads(files[1].read_text("utf-8"))["classification"]
    assert data["most_likely"] == "COVID-19"
    assert [box["slice"] for box in data["evidence"]] == [12, 12]
    text = files[0].read_text("utf-8")
    assert "<pneumonia>" not in text
    assert "It is no diagnosis" in text


def test_signs_beside_the_class_are_said_to_be_shown_from_their_threshold_on():
    answer = classified()
    signs = (Manifestation("consolidation", 0.4, 0.3), Manifestation("effusion", 0.4, 0.41))
    warned = (Note("sources", "It may say where it comes from."),)
    found = replace(answer.classification, manifestations=signs, notes=warned)
    text = answer_page(replace(answer, classification=found))
    assert [bool(re.search(f"<td>{said} [(]from", text)) for said in ("shown", "not shown")] == [
        True,
        True,
    ]
    assert "It may say where it comes from." in text
    assert text.index("consolidation") < text.index("<td>shown") < text.index("effusion")
    record = classification_record(found, None)
    assert [sign.shown for sign in record.manifestations] == [True, False]
    assert "Signs looked for" not in answer_page(answer)


def test_the_report_says_on_how_many_slices_its_masks_mark_each_sign():
    signs = tuple(
        Manifestation(name, 0.6, 0.5) for name in ("consolidation", "pleural effusion", "air")
    )
    found = replace(classified().classification, manifestations=signs)
    told = replace(samples.report(), classification=found)
    cells = r'[^<]*</td><td class="number">([^<]*)</td>'
    assert re.findall(r"<td>shown [(]from" + cells, page(told)) == ["1 of 24", "0 of 24", ""]
    unknown = samples.lesions_array() // 2 * 3  # what was consolidation is of unknown kind
    told = replace(samples.report(samples.volume(lesions=unknown)), classification=found)
    assert re.findall(r"<td>shown [(]from" + cells, page(told))[0] == "kind not told"
    alone = answer_page(classified(classification=found))  # nothing was marked, nor looked for
    assert "Marked on" not in alone


def test_calibrated_probabilities_are_said_to_be_so():
    answer = classified()
    assert "calibrated" not in answer_page(answer)
    found = replace(answer.classification, calibrated=True, trained_on="some <phantoms>.")
    text = answer_page(replace(answer, classification=found))
    assert "were calibrated on the validation scans" in text
    assert re.search(
        "look most like[.]\\s+Its weights were trained on: some &lt;phantoms&gt;[.]\\s", text
    )
    record = classification_record(found, None)
    assert (record.calibrated, record.trained_on) == (True, "some <phantoms>.")


def test_the_report_shows_boxes_and_classes_where_the_system_gives_them():
    plain = samples.report()
    assert "Lesions as boxes" not in page(plain)
    found = Detections("some_system", "", plain.findings.scan, BOXES)
    full = replace(plain, detections=found, classification=classified().classification)
    text = page(full)
    assert "Lesions as boxes" in text
    assert "most likely shows" in text
    record = record_of(full)
    assert len(record.detections.boxes) == 3
    assert record.classification.probabilities["COVID-19"] == 0.7
    assert record_of(plain).detections is None


def test_boxes_of_a_deidentified_report_lie_on_the_scan_without_names():
    report = samples.report(samples.dicom_volume())
    found = Detections("some_system", "", report.findings.scan, BOXES)
    cleaned = deidentify(replace(report, detections=found))
    assert cleaned.detections.scan is cleaned.findings.scan
    assert samples.PATIENT.partition("^")[0] not in repr(cleaned.detections.scan.source)


def test_what_spoke_for_the_class_lies_on_the_slice_that_is_surest_of_it(tmp_path):
    spoke = np.zeros(VOLUME.scan.slices[5].shape, np.float32)
    spoke[3:9, 4:12] = 1
    found = replace(classified().classification, class_map=ClassMap(5, spoke))
    files = write_answer(classified(classification=found), tmp_path)
    assert [file.name for file in files][2:] == ["class_map.png"]
    stored = np.asarray(Image.open(files[2])).astype(int)
    colored = np.ptp(stored, axis=2) > 0
    assert colored[3:9, 4:12].all()
    assert colored.sum() == 6 * 8
    gray = axial(VOLUME, 5).gray
    np.testing.assert_array_equal(stored[~colored][:, 0], gray[~colored])
    page_of_classes = files[0].read_text("utf-8")
    assert "Slice 6 of 24, what spoke for &#39;COVID-19&#39;" in page_of_classes
    assert "not that there is disease" in page_of_classes
    assert "Grad-CAM" not in answer_page(classified())


def test_the_map_of_a_radiograph_does_not_stay_beside_the_classes_of_a_scan(tmp_path):
    for name in ("class_map.png", "report.csv"):
        (tmp_path / name).write_bytes(b"groundglass")
    (tmp_path / "mine.png").write_bytes(b"mine")
    write_answer(detected(), tmp_path)
    assert (tmp_path / "class_map.png").exists()
    write_answer(classified(), tmp_path)
    assert not (tmp_path / "class_map.png").exists()
    assert (tmp_path / "report.csv").exists()
    assert (tmp_path / "mine.png").exists()

import json
from importlib.util import find_spec

import numpy as np
import pytest

from groundglass.deidentify import deidentify
from groundglass.write import fhir, write
from groundglass.write.record import read_record
from tests.write.dicom_series import report_of, store
from tests.write.samples import lungs_array, pictures, report, volume


def resources(folder, found):
    (file,) = fhir.write(found, folder)
    bundle = json.loads(file.read_text())
    return bundle, [entry["resource"] for entry in bundle["entry"]]


def test_every_number_of_the_json_is_an_observation(tmp_path):
    files = {f.name: f for f in write(report(volume()), tmp_path, ["json", "fhir"])}
    record = read_record(files["report.json"])
    bundle = json.loads(files["report.fhir.json"].read_text())
    found = {}
    for entry in bundle["entry"]:
        if entry["resource"]["resourceType"] == "Observation":
            one = entry["resource"]
            key = one["code"]["coding"][0]["code"], one["bodySite"]["text"]
            found[key] = one["valueQuantity"]["value"]
    for score in record.scores:
        for part, value in (("both lungs", score.value), *score.parts.items()):
            assert found.pop((score.name, part)) == value
    assert found == {}


def test_units_and_places_are_coded(tmp_path):
    _, found = resources(tmp_path, report(volume()))
    observations = [one for one in found if one["resourceType"] == "Observation"]
    units = {one["valueQuantity"]["unit"]: one["valueQuantity"]["code"] for one in observations}
    assert units == {"%": "%", "ml": "mL", "grade": "1"}
    sites = {one["bodySite"]["text"]: one["bodySite"]["coding"][0] for one in observations}
    assert sites["right lung"]["code"] == "3341006"
    assert sites["left lung"]["system"] == "http://snomed.info/sct"


def test_the_report_refers_to_its_observations_and_to_nothing_outside(tmp_path):
    bundle, found = resources(tmp_path, report(pictures()))
    urls = [entry["fullUrl"] for entry in bundle["entry"]]
    assert len(set(urls)) == len(urls)
    results = [result["reference"] for result in found[0]["result"]]
    assert set(results) == set(urls[2:])
    assert all(one["device"]["reference"] == urls[1] for one in found[2:])
    assert "not a medical device" in found[0]["conclusion"]
    assert "gap" in found[0]["conclusion"]


def test_the_patient_is_not_named_but_the_study_is(tmp_path):
    stored = report_of(store(tmp_path / "scan"))
    provenance = stored.provenance.model_copy(update={"input_uids": {"StudyInstanceUID": "1.2.3"}})
    found = type(stored)(stored.findings, stored.scores, provenance, stored.notes)
    (file,) = fhir.write(found, tmp_path)
    assert "Phantom^Synthetic" not in file.read_text()
    _, (made, *_) = resources(tmp_path, found)
    assert made["imagingStudy"][0]["identifier"]["value"] == "urn:oid:1.2.3"


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({"AcquisitionDate": "20191224"}, "2019-12-24"),
        ({}, "2020-01-01"),
        ({"StudyDate": ""}, None),
    ],
    ids=["acquisition", "study", "not stated"],
)
def test_a_number_holds_of_the_day_of_the_scan(keywords, expected, tmp_path):
    found = report_of(store(tmp_path / "scan", change=lambda header: header.update(keywords)))
    _, (made, _, *observations) = resources(tmp_path, found)
    assert {one.get("effectiveDateTime") for one in observations} == {expected}
    assert made["issued"] == found.provenance.created


def test_a_removed_date_stands_in_no_number(tmp_path):
    pytest.importorskip("dicomanonymizer")
    found = deidentify(report_of(store(tmp_path / "scan")), "remove")
    (file,) = fhir.write(found, tmp_path)
    assert "effectiveDateTime" not in file.read_text()


def test_a_scan_without_a_date_has_numbers_without_one(tmp_path):
    _, (_, _, *observations) = resources(tmp_path, report(volume()))
    assert not any("effectiveDateTime" in one for one in observations)


def test_a_second_run_replaces_the_first_with_the_same_bytes(tmp_path):
    (file,) = write(report(), tmp_path, ["fhir"])
    before = file.read_bytes()
    assert write(report(), tmp_path, ["fhir"]) == [file]
    assert file.read_bytes() == before


def test_two_scans_of_one_name_and_second_are_told_apart(tmp_path):
    lungs = lungs_array()
    other = volume(lungs=np.roll(lungs, 1, 0))
    ids = [{one["id"] for one in resources(tmp_path, report(f))[1]} for f in (volume(), other)]
    again = {one["id"] for one in resources(tmp_path, report(volume()))[1]}
    assert not ids[0] & ids[1]
    assert again == ids[0]


def test_the_resources_are_valid_r4(tmp_path):
    if find_spec("fhir") is None:
        pytest.skip("fhir.resources is not installed (PyPI: fhir.resources)")
    from fhir.resources.R4B.bundle import Bundle

    (file,) = fhir.write(report(), tmp_path)
    parsed = Bundle.model_validate_json(file.read_text())
    assert len(parsed.entry) > 3

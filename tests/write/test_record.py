import json
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import BaseModel

from groundglass.errors import UnreadableScanError
from groundglass.report import NOT_A_MEDICAL_DEVICE, Change, Correction
from groundglass.write import record, write
from groundglass.write.record import ReportRecord, read_record, record_of, schema_text
from tests.write.samples import PROVENANCE, pictures, quality, report

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize("made", [report(), report(pictures())], ids=["volume", "pictures"])
def test_the_record_comes_back_as_it_was_written(tmp_path, made):
    write(made, tmp_path, ["json"])
    assert read_record(tmp_path / "report.json") == record_of(made)


def test_the_record_holds_every_score_with_its_parts(tmp_path):
    made = report()
    write(made, tmp_path, ["json"])
    data = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert [s["name"] for s in data["scores"]] == [s.name for s in made.scores]
    first = data["scores"][0]
    assert (first["value"], first["unit"]) == (12.34567, "%")
    assert first["parts"] == {"right lung": 20.0, "left lung": 0.04}
    assert data["schema_version"] == 1
    assert data["not_a_medical_device"] == NOT_A_MEDICAL_DEVICE
    assert data["notes"] == [{"name": "gap", "message": "One slice is missing at -102.5 mm."}]
    assert data["provenance"]["weights_sha256"] == "ab" * 32
    assert data["scan"]["spacing_mm"] == pytest.approx([2.5, 0.8, 0.7])
    assert data["scan"]["shape"] == [24, 40, 48]


def test_pictures_have_no_millimeters():
    made = record_of(report(pictures()))
    assert made.scan.kind == "pictures"
    assert made.scan.spacing_mm is None
    assert [row.position_mm for row in made.slices] == [None, None, None]
    assert [row.name for row in made.slices] == ["a", "b", "c"]


def test_scores_are_found_by_name():
    made = record_of(report())
    assert made.score("mosmed_category").value == 1.0
    assert made.score("missing") is None


def test_a_record_of_a_later_program_with_more_fields_still_reads(tmp_path):
    change = Change(dice=0.9, before_ml=2, after_ml=3, added_ml=1, removed_ml=0, other_kind_ml=0)
    correction = Correction(created="2026", file="a", file_sha256="0", changes={"lung": change})
    provenance = PROVENANCE.model_copy(update={"corrections": (correction,)})
    made = replace(report(), quality=quality(), provenance=provenance)
    data = json.loads(record_of(made).model_dump_json())
    corrected = data["provenance"]["corrections"][0]
    for part in (
        *(data, data["scan"], data["notes"][0], data["slices"][0], data["lesions"]["1"]),
        *(data["scores"][0], data["quality"], data["quality"]["checks"][0]),
        *(data["provenance"], corrected, corrected["changes"]["lung"]),
    ):
        part["something_new"] = 1
    file = tmp_path / "report.json"
    file.write_text(json.dumps(data), encoding="utf-8")
    assert read_record(file) == record_of(made)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "file: Invalid JSON"),
        (b"\x00\xff", "file: Invalid JSON"),
        (b'{"written_by": "groundglass 0.1.0"}', "schema_version: Field required"),
    ],
)
def test_what_is_no_record_is_refused(tmp_path, content, problem):
    file = tmp_path / "x.json"
    file.write_bytes(content)
    with pytest.raises(UnreadableScanError, match=f"no groundglass report .{problem}"):
        read_record(file)


def test_a_record_of_another_schema_version_is_refused(tmp_path):
    write(report(), tmp_path, ["json"])
    file = tmp_path / "report.json"
    text = file.read_text("utf-8").replace('"schema_version": 1', '"schema_version": 2')
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UnreadableScanError, match="schema_version"):
        read_record(file)


def test_a_missing_record_is_refused(tmp_path):
    with pytest.raises(UnreadableScanError, match="cannot read"):
        read_record(tmp_path / "report.json")


def test_the_schema_in_the_documentation_is_the_schema_in_the_code():
    remake = (
        "remake it: python -c 'from groundglass.write.record import schema_text as s; "
        'print(s(), end="")\' > docs/reference/report.schema.json'
    )
    file = REFERENCE / "report.schema.json"
    assert file.read_text(encoding="utf-8") == schema_text(), remake


def test_no_object_of_the_schema_refuses_further_fields():
    assert '"additionalProperties": false' not in schema_text()


def test_every_field_is_explained_in_the_schema():
    definitions = json.loads(schema_text())
    models = [v for v in vars(record).values() if isinstance(v, type) and issubclass(v, BaseModel)]
    ours = {m.__name__ for m in models if m.model_config.get("use_attribute_docstrings")}
    assert {"ReportRecord", "ScanRecord", "SliceRow", "NoteRecord", "LabelRecord"} <= ours
    for name in ours:
        place = definitions if name == "ReportRecord" else definitions["$defs"][name]
        for field, schema in place["properties"].items():
            kind = schema.get("$ref", "").removeprefix("#/$defs/")
            told = schema.get("description") or definitions["$defs"][kind].get("description")
            assert told, f"{name}.{field}"


def test_the_page_on_the_record_names_every_field():
    text = (REFERENCE / "report_json.md").read_text(encoding="utf-8")
    for field in ReportRecord.model_fields:
        assert f"`{field}`" in text, field

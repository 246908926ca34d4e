"""A header stuffed with secrets in every attribute of the profile; none may come out anywhere."""

import gzip
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import date
from importlib.util import find_spec

import numpy as np
import pydicom
import pytest
from dicomanonymizer.simpledicomanonymizer import initialize_actions
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.datadict import dictionary_VM, dictionary_VR

from groundglass.classification import Classification
from groundglass.data.phantom import make_phantom
from groundglass.deidentify import DATES, check, deidentify, read_key
from groundglass.deidentify.headers import EDITION, cleaned
from groundglass.deidentify.notes import without_names
from groundglass.deidentify.pseudonyms import Pseudonyms, shifted
from groundglass.errors import ConfigError, MissingExtraError, UnknownNameError
from groundglass.provenance import input_uids
from groundglass.read import read
from groundglass.scan import Note
from groundglass.write import FORMATS, write
from tests.read.tiny_chest import datasets, save
from tests.write.dicom_series import errors_of, report_of, store
from tests.write.samples import pictures, report

KEY = bytes(range(32))
SECRET, SECRET_UID = "zqxkj", "1.2.840.99999"
NAME, BIRTH_DATE, STUDY_DATE = "Okonkwo^Ngozi", "19330705", "19570911"
FOLDER = "Okonkwo_Ngozi_1933"
"""Every secret is one of these, begins with one, or is part of the name."""

SMALL = make_phantom(3, shape=(12, 48, 64))
LEAKS = re.compile(
    "|".join([SECRET, re.escape(SECRET_UID), "okonkwo", "ngozi", BIRTH_DATE]), re.IGNORECASE
)
NEEDED_TO_READ = ("SOPClassUID", "InstanceNumber", "ContentDate", "ContentTime")
NOT_TEXT = ("SQ", "OB", "OW", "UN", "FD", "FL", "SS", "US", "UL", "SL", "DS", "IS", "AT", "AS")


def secret(vr, number):
    known = {"UI": f"{SECRET_UID}.{number}", "DA": BIRTH_DATE, "TM": "051937.123"}
    known |= {"DT": f"{BIRTH_DATE}051937", "CS": f"{SECRET.upper()}{number}"}
    known |= {"UR": f"http://{SECRET}{number}.example", "OB": SECRET.encode()}
    return known.get(vr, f"{SECRET}{number}")


def stuff(dataset):
    """Every attribute of the table, in the data set and below it, and private ones."""
    uids = {
        keyword: f"{SECRET_UID}.77.{number}"
        for number, keyword in enumerate(
            ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"), 1
        )
    }
    nested = Dataset()
    for where in (dataset, nested):
        for number, tag in enumerate(t for t in initialize_actions() if len(t) == 2):
            if tag[0] <= 2 or dictionary_VR(tag) in NOT_TEXT or dictionary_VM(tag) == "0":
                continue
            where.add_new(tag, dictionary_VR(tag), secret(dictionary_VR(tag), number))
        where.PatientName, where.PatientBirthDate = NAME, BIRTH_DATE
        where.StudyDate = STUDY_DATE
        where.private_block(0x0011, SECRET, create=True).add_new(1, "LO", f"{SECRET} private")
        for keyword, uid in uids.items():
            setattr(where, keyword, uid)
    dataset.SOPInstanceUID = f"{SECRET_UID}.88.{dataset.InstanceNumber}"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.InstitutionName, dataset.AccessionNumber = f"{SECRET} hospital", f"{SECRET}42"
    deeper = Dataset()
    deeper.ViewModifierCodeSequence = [nested]
    dataset.ViewCodeSequence = [deeper]  # not in the table: kept, and cleaned within
    dataset.add_new(0x60004000, "LT", f"{SECRET} overlay comment")
    dataset.StudyID, dataset.PatientID = f"{SECRET}7", f"{SECRET} 4711"


@pytest.fixture(scope="module")
def stuffed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scans") / FOLDER
    with pydicom.config.disable_value_validation():
        found = report_of(store(folder, change=stuff, phantom=SMALL), phantom=SMALL)
    uid = f"{SECRET_UID}.77.2"
    notes = (Note("series", f"Chose series {uid}; left out 'Okonkwo 1.dcm'."), *found.notes)
    settings = {"series": f"{SECRET} chest", "tolerate": "gap"}
    uids = input_uids(found.findings.scan.source)
    assert uids["SeriesInstanceUID"] == uid
    provenance = found.provenance.model_copy(update={"settings": settings, "input_uids": uids})
    return replace(found, notes=notes, provenance=provenance)


def said_in(file):
    """All that a file says, as text."""
    raw = file.read_bytes()
    said = raw.decode("latin-1")
    if file.suffix == ".gz":
        return gzip.decompress(raw).decode("latin-1")
    if file.suffix == ".dcm":
        dataset = pydicom.dcmread(file)
        return f"{said}\n{dataset.file_meta}\n{dataset}"
    if file.suffix == ".pdf" and shutil.which("pdftotext"):
        read = subprocess.run(["pdftotext", file, "-"], capture_output=True, check=True)
        return said + read.stdout.decode()
    return re.sub(r"base64,[A-Za-z0-9+/=]+", "", said)


def test_the_stuffed_header_leaks_if_nothing_is_done(stuffed, tmp_path):
    """Or the test below could not fail."""
    leaking = {"json", "html", "csv", "seg", "sr", "ko", "sc", "rtstruct", "fhir", "seg-labelmap"}
    for name in leaking:
        files = write(stuffed, tmp_path / name, [name])
        assert any(LEAKS.search(said_in(file)) for file in files), name


@pytest.mark.parametrize(
    "dates", ["remove", *(pytest.param(name, marks=pytest.mark.slow) for name in ("shift", "keep"))]
)
def test_no_file_of_any_format_says_who_it_was(stuffed, tmp_path, dates):
    assert dates in DATES
    formats = [name for name, format in FORMATS.items() if find_spec(format.package or "gzip")]
    files = write(deidentify(stuffed, dates), tmp_path / "out", formats)
    assert len(files) >= len(formats)
    for file in files:
        said = said_in(file)
        found = LEAKS.search(said)
        assert found is None, f"{file.name}: {said[found.start() - 60 : found.end() + 20]}"
        assert dates == "keep" or STUDY_DATE not in said, file.name
        if file.suffix == ".dcm" and "labelmap" not in file.name:
            assert errors_of(file) == []


@pytest.mark.parametrize(
    ("dates", "codes", "modified"),
    [
        ("remove", ["113100"], "REMOVED"),
        ("shift", ["113100", "113107"], "MODIFIED"),
        ("keep", ["113100", "113106"], "UNMODIFIED"),
    ],
)
def test_every_object_says_what_was_done(stuffed, tmp_path, dates, codes, modified):
    formats = [name for name, f in FORMATS.items() if f.needs_series and not f.package]
    made = deidentify(stuffed, dates, KEY)
    study_dates = set()
    for file in write(made, tmp_path / "out", formats):
        dataset = pydicom.dcmread(file)
        assert dataset.PatientIdentityRemoved == "YES"
        used = [item.CodeValue for item in dataset.DeidentificationMethodCodeSequence]
        assert used == codes
        assert EDITION in dataset.DeidentificationMethod[0]
        assert dataset.LongitudinalTemporalInformationModified == modified
        assert not any((dataset.PatientBirthDate, dataset.AccessionNumber, dataset.StudyID))
        assert "StudyDescription" not in dataset
        assert dataset.PatientName == dataset.PatientID == made.findings.scan.source.name
        study_dates.add(dataset.StudyDate)
    (studied,) = study_dates
    assert (studied == STUDY_DATE) == (dates == "keep")
    assert (studied == "") == (dates == "remove")


def test_references_point_at_identifiers_computed_with_the_key(stuffed, tmp_path):
    made = deidentify(stuffed, key=KEY)
    (file,) = write(made, tmp_path / "out", ["seg"])
    dataset, pseudonyms = pydicom.dcmread(file), Pseudonyms(KEY)
    assert dataset.StudyInstanceUID == pseudonyms.uid(f"{SECRET_UID}.77.1")
    assert dataset.FrameOfReferenceUID == pseudonyms.uid(f"{SECRET_UID}.77.3")
    (series,) = dataset.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == pseudonyms.uid(f"{SECRET_UID}.77.2")
    referred = {i.ReferencedSOPInstanceUID for i in series.ReferencedInstanceSequence}
    assert referred <= {pseudonyms.uid(f"{SECRET_UID}.88.{n}") for n in range(1, 13)}
    assert made.provenance.input_uids["SeriesInstanceUID"] == series.SeriesInstanceUID
    assert "point at a de-identified copy of the series" in dataset.ImageComments
    assert str(series.SeriesInstanceUID) in made.notes[0].message


def test_one_key_gives_the_same_report_and_none_another_each_time(stuffed):
    def uids(made):
        return [h.SOPInstanceUID for h in made.findings.scan.source.headers]

    again = deidentify(stuffed, "shift", KEY)
    assert uids(deidentify(stuffed, "shift", KEY)) == uids(again)
    assert len(set(uids(again))) == len(SMALL.scan.slices)
    assert uids(deidentify(stuffed)) != uids(deidentify(stuffed))
    assert "the one given" in again.notes[-1].message
    assert "made for this run" in deidentify(stuffed).notes[-1].message


def test_the_given_report_stays_as_it_is(stuffed):
    before = [str(header) for header in stuffed.findings.scan.source.headers]
    made = deidentify(stuffed)
    assert [str(header) for header in stuffed.findings.scan.source.headers] == before
    np.testing.assert_array_equal(
        made.findings.lesions.array, stuffed.findings.lesions.array, strict=True
    )
    assert made.scores == stuffed.scores
    assert made.findings.scan.source.name != FOLDER


def test_functional_groups_are_cleaned_and_keep_their_geometry(tmp_path):
    def change(dataset):
        stuff(dataset)
        for group in dataset.PerFrameFunctionalGroupsSequence:
            content = Dataset()
            content.FrameAcquisitionDateTime = f"{BIRTH_DATE}051937"
            content.FrameComments = f"{SECRET} comment"
            group.FrameContentSequence = [content]

    with pydicom.config.disable_value_validation():
        found = report_of(
            store(tmp_path / FOLDER, multi_frame=True, change=change, phantom=SMALL), phantom=SMALL
        )
    made = deidentify(found)
    (header,) = made.findings.scan.source.headers
    assert not LEAKS.search(str(header))
    for file in write(made, tmp_path / "out", ["seg", "sr", "ko"]):
        assert not LEAKS.search(said_in(file))
        assert errors_of(file) == []


def test_pictures_and_files_without_headers_lose_their_names(tmp_path):
    found = report(pictures(names=("okonkwo_1", "okonkwo_2", "c")))
    made = deidentify(replace(found, notes=(Note("gap", "Found 'ngozi.png', the scan's last."),)))
    assert made.findings.scan.names == ("picture_001", "picture_002", "picture_003")
    files = write(made, tmp_path / "out", ["json", "html", "csv", "nifti"])
    assert (tmp_path / "out" / "lesions" / "picture_002.png") in files
    for file in files:
        assert not LEAKS.search(said_in(file))
        assert "teaching file" not in said_in(file)
    assert made.notes[0].message == "Found '...', the scan's last."


@pytest.mark.parametrize(
    ("message", "without"),
    [
        ("Found 'O'Brien 1.dcm', the scan's last.", "Found '...', the scan's last."),
        ("Chose 'O'Brien'; left out 'Ngozi's 2nd'.", "Chose '...'; left out '...'."),
        ("Left out 'James' CT'.", "Left out '...'."),
        ("No lung on 2 of the pictures: O'Brien, 2.", "No lung on 2 of the pictures: ..., 2."),
        ("The patients' lungs; O'Briens stay.", "The patients' lungs; O'Briens stay."),
    ],
)
def test_names_in_notes_go_quoted_or_not(message, without):
    assert without_names(message, ("O'Brien", "James' CT", "2")) == without


def test_notes_of_a_classification_lose_names_as_well():
    found = report(pictures(names=("okonkwo_1", "okonkwo_2", "c")))
    note = Note("no-lungs", "No lung on 1 of the pictures: okonkwo_2, seen in 'ngozi'.")
    said = Classification("a", "", {"COVID-19": 1.0}, exclusive=True, notes=(note,))
    made = deidentify(replace(found, classification=said, notes=(note,)))
    expected = "No lung on 1 of the pictures: ..., seen in '...'."
    assert made.classification.notes[0].message == made.notes[0].message == expected


def test_intervals_between_dates_of_a_patient_survive_the_shift():
    headers = []
    for day in ("20200131", "20200301"):
        header = Dataset()
        header.PatientID, header.StudyDate, header.StudyTime = "4711", day, "101112"
        header.AcquisitionDateTime = f"{day}101112.5"
        header.PatientBirthDate = "19500101"
        headers.append(header)
    one, other = (cleaned([header], "shift", Pseudonyms(KEY))[0] for header in headers)
    days = Pseudonyms(KEY).shift_days("4711", "")
    assert -3650 <= days <= -30
    assert one.StudyDate == shifted("20200131", days)
    assert other.StudyDate == shifted(one.StudyDate, 30)
    assert one.AcquisitionDateTime == f"{one.StudyDate}101112.5"
    assert one.StudyTime == "101112"
    assert not one.PatientBirthDate


@given(st.dates(min_value=date(1900, 1, 1)), st.integers(-3650, -30))
def test_a_shift_can_be_undone(day, days):
    value = day.strftime("%Y%m%d")
    assert shifted(shifted(value, days), -days) == value


@pytest.mark.parametrize("value", ["", "1957", "1957.09.11", "00000000", "no date"])
def test_what_is_no_whole_date_is_not_shifted_but_emptied(value):
    assert shifted(value, -100) == ""


@given(st.text(max_size=70))
def test_every_replacement_is_a_valid_identifier(text):
    uid = Pseudonyms(KEY).uid(text)
    assert uid.is_valid
    assert uid == Pseudonyms(KEY).uid(text) != Pseudonyms(KEY[::-1]).uid(text)


def test_what_cannot_be_done_is_refused_before_the_work(tmp_path, monkeypatch):
    with pytest.raises(UnknownNameError, match="unknown choice of dates 'blur'"):
        check("blur")
    with pytest.raises(ConfigError, match="found a key of 3 bytes, expected at least 16"):
        check(key=b"abc")
    with pytest.raises(ConfigError, match="cannot read"):
        read_key(tmp_path / "none.bin")
    (tmp_path / "key.bin").write_bytes(KEY)
    assert read_key(tmp_path / "key.bin") == KEY
    monkeypatch.setattr("groundglass.extras.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"groundglass\[deidentify\]"):
        check()


def test_a_file_name_with_an_apostrophe_at_its_end_goes_from_notes(tmp_path):
    folder, secret = save(datasets(), tmp_path), "James' Mary Smith.dcm"
    double = datasets()[5]
    double.PixelData = datasets()[7].PixelData
    double.save_as(folder / secret, enforce_file_format=True)
    (folder / "James' Mary Smith 2.dcm").write_bytes(b"damaged")
    scan = read(folder, tolerate=("duplicates", "broken-files"))
    told = {note.name: note.message for note in scan.source.notes}
    assert {"duplicates", "broken-files"} <= set(told)
    for message in told.values():
        assert ("Smith" in message) == ("James" in message)
        assert "Smith" not in without_names(message, (scan.source.name,))
    assert " first '...' at " in without_names(told["duplicates"])

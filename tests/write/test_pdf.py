import logging
import shutil
import subprocess
import sys

import pydicom
import pytest

from groundglass.errors import MissingExtraError
from groundglass.write import dicom_pdf, pdf, write
from tests.write.dicom_series import errors_of, report_of, store
from tests.write.samples import report


def text_of(file):
    reader = shutil.which("pdftotext")
    if reader is None:
        pytest.skip("pdftotext is not installed (Debian: poppler-utils)")
    run = subprocess.run([reader, str(file), "-"], capture_output=True, text=True, check=True)
    return run.stdout


def test_the_pdf_says_what_the_page_says(tmp_path):
    pytest.importorskip("weasyprint")
    (file,) = pdf.write(report(), tmp_path)
    said = text_of(file)
    for words in ("hand-made", "12.3", "CT-1", "One slice is missing", "not a medical device"):
        assert words in said


def test_a_second_run_replaces_the_first_with_the_same_bytes(tmp_path):
    pytest.importorskip("weasyprint")
    (file,) = write(report(), tmp_path, ["pdf"])
    before = file.read_bytes()
    assert write(report(), tmp_path, ["pdf"]) == [file]
    assert file.read_bytes() == before


@pytest.mark.parametrize("missing", [ImportError("no module"), OSError("no pango")])
def test_without_weasyprint_the_extra_is_named(monkeypatch, missing):
    class Gone:
        def find_spec(self, name, *_):
            if name == "weasyprint":
                raise missing

    monkeypatch.delitem(sys.modules, "weasyprint", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Gone(), *sys.meta_path])
    with pytest.raises(MissingExtraError, match=r"groundglass\[pdf\]"):
        pdf.pdf(report())


def test_a_missing_extra_is_told_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr("groundglass.write.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match="no weasyprint, expected it for the format pdf"):
        write(report(), tmp_path / "out", ["json", "pdf"])
    assert not (tmp_path / "out").exists()


def test_the_encapsulated_pdf_holds_the_same_pdf(tmp_path, caplog):
    pytest.importorskip("weasyprint")
    found = report_of(store(tmp_path / "scan"))
    with caplog.at_level(logging.WARNING):
        (file,) = dicom_pdf.write(found, tmp_path)
    made = pydicom.dcmread(file)
    document = made.EncapsulatedDocument[: made.EncapsulatedDocumentLength]
    assert document == pdf.pdf(found)
    assert made.StudyInstanceUID == found.findings.scan.source.headers[0].StudyInstanceUID
    assert len(made.SourceInstanceSequence) == 40
    assert errors_of(file) == []

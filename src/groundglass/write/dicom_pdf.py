"""The report page as Encapsulated PDF, for archives that take DICOM alone."""

from pathlib import Path

from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import EncapsulatedPDFStorage

from groundglass.report import Report
from groundglass.write.dicom_source import (
    SourceSeries,
    blank_object,
    burned_in,
    identity,
    reference,
    save,
    source_series,
)
from groundglass.write.pdf import pdf

FILE = "report_pdf.dcm"
SERIES_NUMBER = 9004
KIND = "report"


def write(report: Report, folder: Path) -> list[Path]:
    """Write ``report_pdf.dcm`` into an existing folder.

    Raises:
        OutputError: If the scan was not read from a DICOM series.
        MissingExtraError: If WeasyPrint is not installed.
    """
    series = source_series(report.findings.scan)
    made = encapsulated(pdf(report), report, series)
    return [save(made, report, series, folder / FILE)]


def encapsulated(document: bytes, report: Report, series: SourceSeries) -> Dataset:
    """A PDF as Encapsulated PDF Storage object (PS3.3 A.45)."""
    about = identity(report, series, KIND, SERIES_NUMBER)
    made = blank_object(series, EncapsulatedPDFStorage, "DOC", about)
    made.ConversionType = "WSD"
    made.AcquisitionDateTime = None
    # the page shows the name of the folder that was read, which may name the patient
    named = "deidentify" not in report.provenance.settings
    burned = burned_in(report.findings.scan.source.headers)
    made.BurnedInAnnotation = "YES" if named or burned else "NO"
    made.DocumentTitle = "groundglass: pneumonia on chest CT"
    title = Dataset()
    title.CodeValue, title.CodingSchemeDesignator, title.CodeMeaning = codes.LN.CTChestReport[:3]
    made.ConceptNameCodeSequence = [title]
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    made.EncapsulatedDocumentLength = len(document)
    made.EncapsulatedDocument = document + b"\0" * (len(document) % 2)
    made.SourceInstanceSequence = [reference(image) for image in series.images]
    return made

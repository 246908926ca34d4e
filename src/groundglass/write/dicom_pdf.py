"""The report page as Encapsulated PDF, for archives that take DICOM alone."""

from pathlib import Path

from highdicom.base import SOPClass
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian

from groundglass.report import Report
from groundglass.write.dicom_source import SourceSeries, identity, save, source_series
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
    first = series.images[0]
    made = SOPClass(
        study_instance_uid=first.StudyInstanceUID,
        sop_class_uid=EncapsulatedPDFStorage,
        modality="DOC",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        patient_id=first.PatientID,
        patient_birth_date=first.PatientBirthDate,
        patient_sex=first.PatientSex,
        accession_number=first.AccessionNumber,
        study_id=first.StudyID,
        study_date=first.StudyDate,
        study_time=first.StudyTime,
        referring_physician_name=first.ReferringPhysicianName,
        **identity(report, series, KIND, SERIES_NUMBER),
    )
    made.copy_patient_and_study_information(first)
    made.ConversionType = "WSD"
    made.AcquisitionDateTime = None
    made.BurnedInAnnotation = "YES"  # the name of the folder that was read may name the patient
    made.DocumentTitle = "groundglass: pneumonia on chest CT"
    title = Dataset()
    title.CodeValue, title.CodingSchemeDesignator, title.CodeMeaning = codes.LN.CTChestReport[:3]
    made.ConceptNameCodeSequence = [title]
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    made.EncapsulatedDocumentLength = len(document)
    made.EncapsulatedDocument = document + b"\0" * (len(document) % 2)
    made.SourceInstanceSequence = [_reference(image) for image in series.images]
    return made


def _reference(image: Dataset) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID = image.SOPClassUID
    reference.ReferencedSOPInstanceUID = image.SOPInstanceUID
    return reference

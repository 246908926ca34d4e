"""Key slices as secondary captures with the lesions drawn in, for viewers without overlays."""

import base64
import io
from pathlib import Path

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from groundglass.report import NOT_A_MEDICAL_DEVICE, Report
from groundglass.write import figures
from groundglass.write.dicom_source import (
    SourceSeries,
    burned_in,
    comments,
    derived_uid,
    identity,
    require_series,
    save,
    shorten,
    source_series,
)
from groundglass.write.key_slices import key_slices
from groundglass.write.slices import slice_table

SERIES_NUMBER = 9005
KIND = "key slices"
COUNT = 6


def write(report: Report, folder: Path) -> list[Path]:
    """Write ``key_slice_1.dcm`` and so on, from head to feet, into an existing folder.

    Raises:
        OutputError: If the scan was not read from a DICOM series.
    """
    scan, series = require_series(report.findings.scan), source_series(report.findings.scan)
    rows = slice_table(report.findings)
    box = figures.lung_box(report.findings)
    files = []
    for number, index in enumerate(key_slices(rows, COUNT, scan.spacing_mm[0]), start=1):
        place_mm = rows[index].position_mm
        plane = figures.axial(report.findings, index, box)
        made = capture(_pixels(figures.overlaid(plane, "")), report, series, number)
        told = f"Axial slice at {place_mm:.1f} mm. {NOT_A_MEDICAL_DEVICE} "
        made.ImageComments = shorten(told + comments(report, series), 10240).rstrip()
        files.append(save(made, report, series, folder / f"key_slice_{number}.dcm"))
    return files


def capture(
    pixels: NDArray[np.uint8], report: Report, series: SourceSeries, number: int
) -> Dataset:
    """A colored picture as Secondary Capture Image Storage object.

    Args:
        pixels: Red, green and blue, shape (row, column, 3).
        report: What is written.
        series: The series it was made from.
        number: Instance number within the series of captures.
    """
    about = identity(report, series, KIND, SERIES_NUMBER)
    about["instance_number"] = number
    about["sop_instance_uid"] = derived_uid("capture", about["sop_instance_uid"], number)
    del about["device_serial_number"], about["specific_character_set"]
    made: Dataset = hd.sc.SCImage.from_ref_dataset(
        ref_dataset=series.images[0],
        pixel_array=pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "P"),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        specific_character_set="ISO_IR 192",
        **about,
    )
    made.BodyPartExamined = "CHEST"
    made.ImageType = ["DERIVED", "SECONDARY"]
    # sides and lesions name nobody, what was burned into the slices may
    made.BurnedInAnnotation = "YES" if burned_in(report.findings.scan.source.headers) else "NO"
    return made


def _pixels(picture: figures.Picture) -> NDArray[np.uint8]:
    stream = io.BytesIO(base64.b64decode(picture.uri.partition(",")[2]))
    return np.asarray(Image.open(stream).convert("RGB"), np.uint8)

"""DICOM inputs that must be refused: what is wrong, how to make it, what the error must say."""

from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    ComprehensiveSRStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    JPEGLSLossless,
    MediaStorageDirectoryStorage,
    MRImageStorage,
    RTPlanStorage,
    SecondaryCaptureImageStorage,
    generate_uid,
)
from scipy.spatial.transform import Rotation

from groundglass.data.phantom_files import turned
from tests.read.tiny_chest import datasets, dicom_folder, save, tiny_chest

Parts = list[Dataset]


def with_values(**values: object):
    """Builder of a series with attributes replaced in every slice."""

    def change(parts: Parts) -> None:
        for part in parts:
            for keyword, value in values.items():
                setattr(part, keyword, value)

    return lambda folder: dicom_folder(folder, change)


def without(*keywords: str):
    """Builder of a series that lacks attributes."""

    def change(parts: Parts) -> None:
        for part in parts:
            for keyword in keywords:
                delattr(part, keyword)

    return lambda folder: dicom_folder(folder, change)


def changed(change):
    """Builder of a series after a change to its slices."""
    return lambda folder: dicom_folder(folder, change)


def one_file(**values: object):
    """Builder of a single slice with attributes replaced."""

    def build(folder: Path) -> Path:
        part = datasets()[5]
        for keyword, value in values.items():
            setattr(part, keyword, value)
        return next(save([part], folder).iterdir())

    return build


def of_class(uid: UID, modality: str):
    """Builder of a folder of objects of another kind."""

    def change(parts: Parts) -> None:
        for part in parts:
            part.SOPClassUID = part.file_meta.MediaStorageSOPClassUID = uid
            part.Modality = modality

    return changed(change)


def cut(number: int, size: int):
    """Builder of a folder in which one file ends early."""

    def build(folder: Path) -> Path:
        path = dicom_folder(folder) / f"IM{number:04d}.dcm"
        path.write_bytes(path.read_bytes()[:size])
        return folder

    return build


def cut_alone(folder: Path) -> Path:
    return cut(3, 400)(folder) / "IM0003.dcm"


def beside(name: str, content: bytes):
    """Builder of a good series with another file among its slices."""

    def build(folder: Path) -> Path:
        dicom_folder(folder)
        (folder / name).write_bytes(content)
        return folder

    return build


def gap(parts: Parts) -> None:
    del parts[4:6]


def mostly_missing(parts: Parts) -> None:
    del parts[2:11]


def doubled(parts: Parts) -> None:
    parts[4].ImagePositionPatient = parts[5].ImagePositionPatient


def uneven(parts: Parts) -> None:
    x, y, z = parts[5].ImagePositionPatient
    parts[5].ImagePositionPatient = [x, y, float(z) + 3.0]


def leaning(parts: Parts) -> None:
    """A gantry tilted by 12 degrees: slices tilt, the table still moves along the body."""
    tilt = np.radians(12)
    for part in parts:
        part.ImageOrientationPatient = [1, 0, 0, 0, *np.round([np.cos(tilt), -np.sin(tilt)], 8)]


def shaken(parts: Parts) -> None:
    for part, shift in zip(parts, [0, 4, -3, 0, 2, 5, 0, 1, -4, 0, 3, 0], strict=True):
        x, y, z = part.ImagePositionPatient
        part.ImagePositionPatient = [float(x) + shift, y, z]


def another_size(parts: Parts) -> None:
    parts[3].Rows, parts[3].Columns = parts[3].Columns, parts[3].Rows


def another_plane(parts: Parts) -> None:
    parts[3].ImageOrientationPatient = [1, 0, 0, 0, 0, -1]


def another_spacing(parts: Parts) -> None:
    parts[3].PixelSpacing = [3.0, 3.0]


def another_frame(parts: Parts) -> None:
    parts[3].FrameOfReferenceUID = "1.2.826.9"


def two_examinations(parts: Parts) -> None:
    for part in parts[:6]:
        part.StudyInstanceUID, part.SeriesInstanceUID = "1.2.826.7", "1.2.826.7.1"


def two_series(parts: Parts) -> None:
    for part in parts[:6]:
        part.SeriesInstanceUID = "1.2.826.1.9"


def gray_values(parts: Parts) -> None:
    for part in parts:
        part.RescaleIntercept = 0
        stored = np.frombuffer(part.PixelData, "<u2") % 256
        part.PixelData = stored.astype("<u2").tobytes()


def damaged_stream(parts: Parts) -> None:
    parts[3].compress(JPEGLSLossless)
    parts[3].PixelData = encapsulate([parts[3].PixelData[16:200]])


def fewer_pixels(parts: Parts) -> None:
    parts[3].PixelData = parts[3].PixelData[:-2000]


def short(parts: Parts) -> None:
    del parts[3:]


def narrow(parts: Parts) -> None:
    for part in parts:
        part.PixelSpacing = [1.2, 1.2]


def thick(parts: Parts) -> None:
    for number, part in enumerate(parts):
        part.ImagePositionPatient = [0, 0, -20 * number]


def oblique(folder: Path) -> Path:
    turn = Rotation.from_euler("x", 32, degrees=True).as_matrix()
    voxels = tiny_chest().voxels
    return save(datasets(turned(voxels, turn @ voxels.direction)), folder)


def directory_alone(folder: Path) -> Path:
    """A DICOMDIR as it lies on a hospital's disc, without the disc."""
    part = Dataset()
    part.file_meta = FileMetaDataset()
    part.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    part.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    part.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["directory"])
    part.FileSetID = "DISC"
    folder.mkdir(parents=True)
    part.save_as(folder / "DICOMDIR", enforce_file_format=True)
    return folder / "DICOMDIR"


BROKEN_DICOM = {
    "dicom: cut in the header, named": (cut_alone, ["'IM0003.dcm' damaged", "copy or export"]),
    "dicom: cut in the header": (cut(3, 400), ["'IM0003.dcm' damaged", "--tolerate broken-files"]),
    "dicom: cut in the pixels": (cut(3, 5000), ["'IM0003.dcm' damaged", "copy or export"]),
    "dicom: cut after the preamble": (cut(3, 132), ["'IM0003.dcm' damaged"]),
    "dicom: empty file among slices": (beside("IM9999", b""), ["'IM9999' is an empty file"]),
    "dicom: text called .dcm": (beside("note.dcm", b"hello"), ["'note.dcm' is a text file"]),
    "dicom: gap": (changed(gap), ["2 of 12 slices missing in 1 gap", "30 mm", "--tolerate gap"]),
    "dicom: mostly missing": (changed(mostly_missing), ["3 slices where 12 are needed"]),
    "dicom: duplicates": (changed(doubled), ["1 slice at a position", "--tolerate duplicates"]),
    "dicom: uneven": (changed(uneven), ["steps of 7 to 13 mm", "--tolerate irregular-spacing"]),
    "dicom: tilted gantry": (changed(leaning), ["lean by 12.0 degrees", "--tolerate gantry-tilt"]),
    "dicom: shifted sideways": (changed(shaken), ["shifted sideways", "straight stack"]),
    "dicom: two sizes": (changed(another_size), ["2 kinds of slices", "80 x 64 pixels"]),
    "dicom: two planes": (changed(another_plane), ["2 kinds of slices", "orientation"]),
    "dicom: two spacings": (changed(another_spacing), ["2 kinds of slices", "3 x 3 mm"]),
    "dicom: two frames": (changed(another_frame), ["2 kinds", "another frame of reference"]),
    "dicom: two examinations": (changed(two_examinations), ["2 examinations", "--series"]),
    "dicom: only localizers": (
        with_values(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
        ["only localizers (12)", "axial slices"],
    ),
    "dicom: derived": (
        with_values(ImageType=["DERIVED", "SECONDARY", "MPR"]),
        ["12 of 12 images", "derived", "--tolerate derived"],
    ),
    "dicom: radiograph": (
        of_class(DigitalXRayImageStorageForPresentation, "DX"),
        ["a radiograph (DX)", "CT images of the chest"],
    ),
    "dicom: magnetic resonance": (
        of_class(MRImageStorage, "MR"),
        ["a magnetic resonance image (MR)"],
    ),
    "dicom: screenshot": (
        of_class(SecondaryCaptureImageStorage, "CT"),
        ["a secondary capture, a picture of a screen"],
    ),
    "dicom: unknown object": (of_class(UID("1.2.3.4"), "CT"), ["an object of unknown kind"]),
    "dicom: unknown modality": (of_class(UID("1.2.3.4"), "XX"), ["an object of modality 'XX'"]),
    "dicom: plan": (of_class(RTPlanStorage, "CT"), ["'RT Plan Storage'"]),
    "dicom: report": (of_class(ComprehensiveSRStorage, "SR"), ["a structured report"]),
    "dicom: directory alone": (directory_alone, ["DICOMDIR", "give the folder"]),
    "dicom: no rescale": (
        without("RescaleSlope", "RescaleIntercept"),
        ["12 of 12 slices without RescaleSlope", "--tolerate no-rescale"],
    ),
    "dicom: rescale of zero": (with_values(RescaleSlope=0), ["a RescaleSlope of 0"]),
    "dicom: not in HU": (with_values(RescaleType="MGML"), ["values in MGML", "Hounsfield units"]),
    "dicom: gray values": (changed(gray_values), ["values 0 to 255", "gray values"]),
    "dicom: no position": (
        without("ImagePositionPatient"),
        ["no ImagePositionPatient", "'IM0001.dcm'"],
    ),
    "dicom: no direction": (without("ImageOrientationPatient"), ["no ImageOrientationPatient"]),
    "dicom: no spacing": (without("PixelSpacing"), ["no PixelSpacing"]),
    "dicom: direction of zeros": (
        with_values(ImageOrientationPatient=[0, 0, 0, 0, 0, 0]),
        ["two perpendicular unit vectors"],
    ),
    "dicom: spacing of zero": (with_values(PixelSpacing=[0, 0]), ["three lengths above zero"]),
    "dicom: spacing in micrometres": (
        with_values(PixelSpacing=[700, 700]),
        ["44800 x 56000 mm", "at most 2500 mm"],
    ),
    "dicom: three slices": (changed(short), ["30 x 224 x 260 mm", "--tolerate small-field"]),
    "dicom: small field": (changed(narrow), ["76.8 x 96 mm", "--tolerate small-field"]),
    "dicom: thick slices": (changed(thick), ["voxels of 20 x", "--tolerate thick-slices"]),
    "dicom: tilted patient": (oblique, ["tilted by 32 degrees", "--tolerate oblique"]),
    "dicom: color": (with_values(SamplesPerPixel=3), ["in color"]),
    "dicom: damaged stream": (changed(damaged_stream), ["'IM0004.dcm' damaged"]),
    "dicom: fewer pixels than rows": (changed(fewer_pixels), ["'IM0004.dcm' damaged"]),
    "dicom: no pixels": (without("PixelData"), ["damaged", "--tolerate broken-files"]),
    "dicom: one slice of no thickness": (
        one_file(SliceThickness=None),
        ["the single slice", "SliceThickness above 0 mm"],
    ),
}

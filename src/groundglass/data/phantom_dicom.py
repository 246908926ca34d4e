"""One slice of a phantom as a classic CT image, with every attribute the standard demands."""

from collections.abc import Iterable, Mapping

import highdicom as hd
import numpy as np
from pydicom import Dataset, FileDataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from pydicom.valuerep import DSfloat

INTERCEPT_HU = -1024


def slice_dataset(volume: hd.Volume, index: int, number: int, uids: Mapping[str, str]) -> Dataset:
    """CT Image Storage object (DICOM PS3.3 A.3) of one slice.

    Args:
        volume: Hounsfield units from -1024 to 3071; slices along the first axis, at any angle.
        index: Which slice.
        number: Its instance number.
        uids: Unique identifiers of ``study``, ``series`` and ``frame`` of reference.
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[uids["series"], str(index)])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    _describe_patient_and_study(dataset, uids)
    _describe_series(dataset, uids)
    dataset.InstanceNumber = number
    _place(dataset, volume, index)
    _fill(dataset, volume, index)
    return dataset


def _describe_patient_and_study(dataset: Dataset, uids: Mapping[str, str]) -> None:
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = "Phantom^Synthetic"
    dataset.PatientID = "PHANTOM"
    dataset.PatientBirthDate = ""
    dataset.PatientSex = "O"
    dataset.StudyInstanceUID = uids["study"]
    dataset.StudyDate = "20200101"
    dataset.StudyTime = "120000"
    dataset.StudyID = "1"
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""
    dataset.StudyDescription = "Synthetic thorax"


def _describe_series(dataset: Dataset, uids: Mapping[str, str]) -> None:
    dataset.Modality = "CT"
    dataset.SeriesInstanceUID = uids["series"]
    dataset.SeriesNumber = 1
    dataset.SeriesDescription = "Synthetic thorax, lung"
    dataset.BodyPartExamined = "CHEST"
    dataset.PatientPosition = "HFS"
    dataset.FrameOfReferenceUID = uids["frame"]
    dataset.PositionReferenceIndicator = ""
    dataset.Manufacturer = "groundglass"
    dataset.ManufacturerModelName = "phantom"
    dataset.KVP = 120
    dataset.ConvolutionKernel = "PHANTOM"


def _place(dataset: Dataset, volume: hd.Volume, index: int) -> None:
    slices, rows, columns = (volume.direction[:, axis] for axis in range(3))
    position = volume.position + index * volume.spacing[0] * slices
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.AcquisitionNumber = 1
    dataset.ImagePositionPatient = _decimals(position)
    # the standard gives the direction along a row, in which columns count up, first
    dataset.ImageOrientationPatient = _decimals([*columns, *rows])
    dataset.PixelSpacing = _decimals(volume.spacing[1:])
    dataset.SliceThickness = _decimals(volume.spacing[:1])[0]


def _fill(dataset: Dataset, volume: hd.Volume, index: int) -> None:
    pixels = np.clip(volume.array[index].astype(np.int32) - INTERCEPT_HU, 0, 4095)
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.RescaleIntercept = INTERCEPT_HU
    dataset.RescaleSlope = 1
    dataset.RescaleType = "HU"
    dataset.WindowCenter, dataset.WindowWidth = -500, 1500
    dataset.PixelData = pixels.astype("<u2").tobytes()


def _decimals(numbers: Iterable[float]) -> list[DSfloat]:
    # adding zero turns a negative zero into zero
    return [DSfloat(float(n) + 0.0, auto_format=True) for n in numbers]

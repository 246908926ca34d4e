import subprocess
from dataclasses import replace
from time import process_time

import highdicom as hd
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813 - the name its own manual uses
from pydicom.uid import SegmentationStorage
from scipy import ndimage

from groundglass.data.phantom import make_phantom
from groundglass.data.phantom_dicom import slice_dataset
from groundglass.errors import OutputError
from groundglass.findings import Findings
from groundglass.labels import Lesion, Lung, Region
from groundglass.mask import Mask
from groundglass.report import Correction, Report
from groundglass.scan import CTScan, Source
from groundglass.write import dicom_labelmap, dicom_seg, write
from groundglass.write.dicom_labelmap import label_map
from groundglass.write.dicom_segments import LEAST_LESION_ML, largest_lesions
from groundglass.write.dicom_source import save, source_series
from tests.read.tiny_chest import UIDS
from tests.write.dicom_series import (
    ORIENTATIONS,
    PROVENANCE,
    center_mm,
    errors_of,
    expected_center_mm,
    program,
    report_of,
    segments_of,
    store,
)
from tests.write.samples import pictures, report, volume

QUICK = [("axial", False), ("negated", True), ("coronal", False), ("oblique", True)]
"""The others take as long and are as likely to break: left to the slow run."""

SERIES = [
    pytest.param(
        (name, multi_frame),
        id=f"{name}, {'multi-frame' if multi_frame else 'classic'}",
        marks=() if (name, multi_frame) in QUICK else pytest.mark.slow,
    )
    for name in ORIENTATIONS
    for multi_frame in (False, True)
]


@pytest.fixture(scope="module", params=SERIES)
def stored(request, tmp_path_factory):
    """A report on a series in one of the geometries, and its masks in both formats."""
    name, multi_frame = request.param
    folder = tmp_path_factory.mktemp(name)
    found = report_of(store(folder / "scan", ORIENTATIONS[name], multi_frame=multi_frame))
    files = [*dicom_seg.write(found, folder), *dicom_labelmap.write(found, folder)]
    return found, files


def masks_of(found):
    for mask in (found.findings.lungs, found.findings.lesions):
        for label in mask.labels:
            if (mask.array == label).any():
                yield mask, label


def test_the_validator_finds_no_error(stored):
    assert errors_of(stored[1][0]) == []


def test_label_maps_conform_where_they_are_like_other_segmentations(stored, tmp_path):
    """The validator is older than label maps: shown as fractional, they differ in this alone."""
    for file in stored[1][1:]:
        shown = pydicom.dcmread(file)
        shown.SOPClassUID = shown.file_meta.MediaStorageSOPClassUID = SegmentationStorage
        shown.SegmentationType, shown.SegmentationFractionalType = "FRACTIONAL", "OCCUPANCY"
        shown.MaximumFractionalValue = 255
        shown.save_as(tmp_path / file.name)
        assert set(errors_of(tmp_path / file.name)) == {
            "Error - Missing attribute Type 1 Required Element=<SegmentIdentificationSequence> "
            "Module=<SegmentationMacro>",
            "Error - SegmentNumber not monotonically increasing from one by one - have "
            "SegmentSequence item number 1 (from one) with SegmentNumber of 0",
            "Error - Value is zero for value 1 of attribute <Segment Number>",
        }


def test_every_segment_lies_where_its_mask_does(stored):
    found, files = stored
    images = segments_of(files[0])
    for mask, label in masks_of(found):
        image = images[label.title]
        np.testing.assert_allclose(center_mm(image), expected_center_mm(mask, label), atol=0.02)
        assert sitk.GetArrayViewFromImage(image).sum() == (mask.array == label).sum()


def test_label_maps_say_the_same(stored):
    found, (_, lungs, lesions) = stored
    images = segments_of(lungs) | segments_of(lesions)
    assert set(images) == {label.title for _, label in masks_of(found)}
    for mask, label in masks_of(found):
        center = center_mm(images[label.title])
        np.testing.assert_allclose(center, expected_center_mm(mask, label), atol=0.02)


def test_every_frame_refers_to_the_slice_it_was_drawn_on(stored):
    found, files = stored
    headers = found.findings.scan.source.headers
    dataset = pydicom.dcmread(files[0], stop_before_pixels=True)
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        source = frame.DerivationImageSequence[0].SourceImageSequence[0]
        drawn_on = next(h for h in headers if h.SOPInstanceUID == source.ReferencedSOPInstanceUID)
        if "ReferencedFrameNumber" in source:
            groups = drawn_on.PerFrameFunctionalGroupsSequence
            drawn_on = groups[source.ReferencedFrameNumber - 1].PlanePositionSequence[0]
        here = frame.PlanePositionSequence[0].ImagePositionPatient
        np.testing.assert_allclose(here, drawn_on.ImagePositionPatient, atol=1e-3)


def test_dcmqi_reads_the_segments_where_the_masks_are(stored, tmp_path):
    reader = program("segimage2itkimage", "PyPI: dcmqi")
    found, files = stored
    asked = ["--inputDICOM", str(files[0]), "--outputDirectory", str(tmp_path), "-t", "nrrd"]
    subprocess.run([reader, *asked], check=True, capture_output=True)
    for number, (mask, label) in enumerate(masks_of(found), start=1):
        image = sitk.ReadImage(str(tmp_path / f"{number}.nrrd"), sitk.sitkUInt8) > 0
        np.testing.assert_allclose(center_mm(image), expected_center_mm(mask, label), atol=0.02)


def test_dcmqi_reads_the_label_maps_where_the_masks_are(stored, tmp_path):
    reader = program("segimage2itkimage", "PyPI: dcmqi")
    found, files = stored
    for file, mask in zip(files[1:], (found.findings.lungs, found.findings.lesions), strict=True):
        asked = ["--inputDICOM", str(file), "--outputDirectory", str(tmp_path), "-t", "nrrd"]
        subprocess.run([reader, *asked, "-p", file.stem], check=True, capture_output=True)
        image = sitk.ReadImage(str(tmp_path / f"{file.stem}-1.nrrd"), sitk.sitkUInt8)
        present = [label for label in mask.labels if (mask.array == label).any()]
        for number, label in enumerate(present, start=1):
            center = center_mm(image == number)
            np.testing.assert_allclose(center, expected_center_mm(mask, label), atol=0.02)


@pytest.fixture
def axial(tmp_path):
    return report_of(store(tmp_path / "scan"))


def test_segments_carry_public_codes_colors_and_what_found_them(axial, tmp_path):
    (file,) = dicom_seg.write(axial, tmp_path)
    dataset = pydicom.dcmread(file, stop_before_pixels=True)
    segments = {s.SegmentLabel: s for s in dataset.SegmentSequence}
    for label in (Lung.RIGHT, Lung.LEFT, Lesion.GROUND_GLASS, Lesion.PLEURAL_EFFUSION):
        code = segments[label.title].SegmentedPropertyTypeCodeSequence[0]
        found = (code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning)
        assert found == label.code
    lung, ground_glass = segments["right lung"], segments["ground-glass opacity"]
    assert lung.SegmentedPropertyCategoryCodeSequence[0].CodeMeaning == "Anatomical Structure"
    assert ground_glass.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
    assert len({tuple(s.RecommendedDisplayCIELabValue) for s in (lung, ground_glass)}) == 2
    by = ground_glass.SegmentationAlgorithmIdentificationSequence[0]
    assert "baseline_unet" in by.AlgorithmName
    assert "ab" * 32 in by.AlgorithmParameters


def test_lesions_that_a_reader_corrected_are_called_semiautomatic(axial, tmp_path):
    correction = Correction(
        created="2026-01-01T00:00:00+00:00", file="a.nii.gz", file_sha256="0" * 64, changes={}
    )
    provenance = axial.provenance.model_copy(update={"corrections": (correction,)})
    (file,) = dicom_seg.write(replace(axial, provenance=provenance), tmp_path)
    dataset = pydicom.dcmread(file, stop_before_pixels=True)
    made = {s.SegmentLabel: s.SegmentAlgorithmType for s in dataset.SegmentSequence}
    assert made["right lung"] == "AUTOMATIC"
    assert made["ground-glass opacity"] == "SEMIAUTOMATIC"


def test_the_largest_lesions_have_segments_of_their_own(axial, tmp_path):
    (file,) = dicom_seg.write(axial, tmp_path)
    images = segments_of(file)
    lesions = largest_lesions(axial.findings)
    assert lesions
    volumes = [lesion.volume_ml for lesion in lesions]
    assert volumes == sorted(volumes, reverse=True)
    assert volumes[-1] >= LEAST_LESION_ML
    for lesion in lesions:
        np.testing.assert_allclose(center_mm(images[lesion.name]), lesion.center_mm, atol=0.02)
    uids = [s.TrackingUID for s in pydicom.dcmread(file).SegmentSequence]
    assert len(set(uids)) == len(uids)


def test_another_lesion_of_the_same_number_is_tracked_by_itself(axial, tmp_path):
    largest = largest_lesions(axial.findings)[0]
    corrected = axial.findings.lesions.array.copy()
    corrected[tuple(np.argwhere(largest.voxels)[0])] = 0  # one voxel less
    mask = Mask.on(axial.findings.scan, corrected, Lesion)
    changed = replace(axial, findings=replace(axial.findings, lesions=mask))
    told = []
    for name, found in (("before", axial), ("after", changed)):
        file, report = write(found, tmp_path / name, ["seg", "sr"])
        segments = pydicom.dcmread(file, stop_before_pixels=True).SegmentSequence
        told.append({s.SegmentLabel: s.TrackingUID for s in segments})
        assert told[-1][largest.name] in pydicom.dcmread(report).to_json()
    assert {name for name in told[0] if told[0][name] != told[1][name]} == {largest.name}


def test_what_was_not_found_has_no_segment(tmp_path):
    healthy = report_of(store(tmp_path / "scan"), lesions=False)
    (file,) = dicom_seg.write(healthy, tmp_path)
    assert list(segments_of(file)) == ["right lung", "left lung"]
    assert errors_of(file) == []
    assert [f.name for f in dicom_labelmap.write(healthy, tmp_path)] == ["labelmap_lungs.dcm"]


def test_the_object_belongs_to_the_study_of_the_scan(axial, tmp_path):
    (file,) = dicom_seg.write(axial, tmp_path)
    made, header = pydicom.dcmread(file), axial.findings.scan.source.headers[0]
    for keyword in ("StudyInstanceUID", "StudyDescription", "PatientID", "PatientName"):
        assert made[keyword].value == header[keyword].value
    assert made.FrameOfReferenceUID == header.FrameOfReferenceUID
    assert made.SeriesInstanceUID != header.SeriesInstanceUID
    assert made.ReferencedSeriesSequence[0].SeriesInstanceUID == header.SeriesInstanceUID


def test_the_same_report_gives_the_same_bytes(axial, tmp_path):
    for folder in ("one", "two"):
        write(axial, tmp_path / folder, ["seg", "seg-labelmap", "sr", "ko"])
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name


def test_a_second_run_replaces_the_first(axial, tmp_path):
    for _ in range(2):
        assert len(write(axial, tmp_path / "out", ["seg", "sr", "ko"])) == 3


@pytest.mark.parametrize("format", ["seg", "seg-labelmap", "sr", "ko"])
@pytest.mark.parametrize("findings", [volume(), pictures()], ids=["nifti", "pictures"])
def test_other_formats_have_no_series_to_refer_to(findings, format, tmp_path):
    with pytest.raises(OutputError, match=f"no series that {format} could refer to.*choose among"):
        write(report(findings), tmp_path / "out", ["json", format])
    assert not (tmp_path / "out").exists()


def test_a_lesion_is_what_touches_corners_included(axial):
    lesions = axial.findings.lesions
    least = LEAST_LESION_ML / lesions.voxel_volume_ml
    expected = []
    for kind in Lesion:
        numbers, count = ndimage.label(lesions.array == kind, np.ones((3, 3, 3)))
        sizes = ndimage.sum_labels(numbers > 0, numbers, range(1, count + 1))
        expected += [int(size) for size in sizes if size >= least]
    found = largest_lesions(axial.findings)
    assert [int(lesion.voxels.sum()) for lesion in found] == sorted(expected, reverse=True)[:10]
    for lesion in found:
        assert (lesions.array[lesion.voxels] == lesion.label).all()


@pytest.mark.slow
def test_ten_segments_of_300_slices_take_seconds_and_few_bytes(tmp_path):
    """The figure that was promised: at most 10 s and 5 MB."""
    lobes = make_phantom(1, shape=(75, 128, 128)).lobes
    numbers = np.kron(lobes.array, np.ones((4, 4, 4), np.uint8))
    numbers[:, 256:][numbers[:, 256:] > 0] += 5  # each lobe in a front and a back half
    large = hd.Volume.from_components(
        np.zeros(numbers.shape, np.int16),
        spacing=(1.0, 0.7, 0.7),
        center_position=(0.0, 0.0, 0.0),
        patient_orientation="FPL",
        coordinate_system="PATIENT",
    )
    headers = [slice_dataset(large, i, i + 1, UIDS) for i in range(len(numbers))]
    for header in headers:
        del header.PixelData
    source = Source("large", "dicom", headers=tuple(headers), stored=large.get_geometry())
    scan = CTScan(large, source)
    mask, lungs = Mask.on(scan, numbers, Region), Mask.on(scan, numbers > 0, Lung)
    found = Report(Findings(scan, lungs, Mask.on(scan, 0 * numbers, Lesion)), (), PROVENANCE)
    begin = process_time()  # the machine may be doing other things
    series = source_series(scan)
    file = save(label_map(found, series, mask, "regions"), found, series, tmp_path / "large.dcm")
    assert process_time() - begin <= 10
    assert file.stat().st_size < 5e6
    made = pydicom.dcmread(file)
    assert made.NumberOfFrames > 250
    assert len(made.SegmentSequence) == 11  # with the background


def test_slices_without_a_thickness_have_segmentations(tmp_path):
    def thin(dataset):
        del dataset.SliceThickness

    found = report_of(store(tmp_path / "scan", change=thin))
    (file, *_) = dicom_seg.write(found, tmp_path)
    assert dicom_labelmap.write(found, tmp_path)
    assert errors_of(file) == []

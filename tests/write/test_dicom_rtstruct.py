import numpy as np
import pydicom
import pytest

from groundglass.labels import Lung
from groundglass.write import dicom_rtstruct
from tests.write.dicom_series import (
    ORIENTATIONS,
    errors_of,
    expected_center_mm,
    report_of,
    store,
)

GEOMETRIES = [("axial", False), ("coronal", True), ("oblique", True), ("negated", False)]


@pytest.fixture(scope="module", params=GEOMETRIES, ids=lambda g: f"{g[0]}{' multi' * g[1]}")
def written(request, tmp_path_factory):
    name, multi_frame = request.param
    folder = tmp_path_factory.mktemp(name)
    scan = store(folder / "scan", ORIENTATIONS[name], multi_frame=multi_frame)
    found = report_of(scan, lobes=True)
    (file,) = dicom_rtstruct.write(found, folder)
    return found, file


def outlines(file):
    """Outlines of every region by name, each of shape (point, 3)."""
    dataset = pydicom.dcmread(file)
    names = {r.ROINumber: r.ROIName for r in dataset.StructureSetROISequence}
    return {
        names[item.ReferencedROINumber]: [
            (contour, np.array(contour.ContourData, float).reshape(-1, 3))
            for contour in item.ContourSequence
        ]
        for item in dataset.ROIContourSequence
    }


def area_and_center(points):
    """Signed area times normal, and the centroid, of a flat polygon in space."""
    start = points[0]
    first, second = points[1:-1] - start, points[2:] - start
    crosses = np.cross(first, second) / 2
    normal = crosses.sum(axis=0)
    normal /= np.linalg.norm(normal)
    areas = crosses @ normal
    centers = start + (first + second) / 3
    return areas.sum() * normal, (areas[:, None] * centers).sum(axis=0) / areas.sum()


def test_the_validator_finds_no_error(written):
    assert errors_of(written[1]) == []


def test_outlines_hold_what_the_masks_hold(written):
    found, file = written
    series_mm = found.findings.scan.source.stored.spacing[0]
    half_voxel = 0.5 * max(found.findings.scan.spacing_mm)
    for name, mask, label in (
        ("right lung", found.findings.lungs, Lung.RIGHT),
        ("left lung", found.findings.lungs, Lung.LEFT),
    ):
        parts = [area_and_center(points) for _, points in outlines(file)[name]]
        normal = sum(area for area, _ in parts)
        normal = normal / np.linalg.norm(normal)
        areas = np.array([area @ normal for area, _ in parts])
        center = sum(a * c for a, (_, c) in zip(areas, parts, strict=True)) / areas.sum()
        expected_ml = (mask.array == label).sum() * mask.voxel_volume_ml
        assert areas.sum() * series_mm / 1000 == pytest.approx(expected_ml, rel=0.05)
        away = np.abs(center - expected_center_mm(mask, label)).max()
        assert away < half_voxel


def test_every_outline_lies_on_the_image_it_names(written):
    found, file = written
    headers = {h.SOPInstanceUID: h for h in found.findings.scan.source.headers}
    for parts in outlines(file).values():
        for contour, points in parts:
            (named,) = contour.ContourImageSequence
            header = headers[named.ReferencedSOPInstanceUID]
            if "ReferencedFrameNumber" in named:
                frame = header.PerFrameFunctionalGroupsSequence[named.ReferencedFrameNumber - 1]
                start = frame.PlanePositionSequence[0].ImagePositionPatient
            else:
                start = header.ImagePositionPatient
            normal = found.findings.scan.source.stored.unit_vectors()[0]
            off = (points - np.array(start, float)) @ normal
            np.testing.assert_allclose(off, 0, atol=0.01)

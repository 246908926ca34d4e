import itertools
import json

import highdicom as hd
import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from SimpleITK import GetArrayFromImage, ReadImage

from groundglass.errors import GeometryError
from groundglass.labels import Lesion, Lung
from groundglass.scan import Source
from groundglass.write import write_masks
from tests.write.samples import dicom_volume, lesions_array, pictures, volume

ORIENTATIONS = [
    "".join(axes)
    for pairs in itertools.permutations(("LR", "AP", "HF"))
    for axes in itertools.product(*pairs)
]


def centroid_mm(array, affine):
    """Mean position of the nonzero voxels."""
    return affine[:3, :3] @ np.argwhere(array).mean(axis=0) + affine[:3, 3]


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_masks_lie_voxel_for_voxel_on_the_stored_scan(tmp_path, orientation):
    findings = volume(orientation)
    stored = findings.scan.source.stored
    write_masks(findings, tmp_path)
    for name, mask in (("lungs", findings.lungs), ("lesions", findings.lesions)):
        image = nib.load(tmp_path / f"{name}.nii.gz")
        array = np.asarray(image.dataobj)
        assert image.get_data_dtype() == np.uint8
        assert np.array_equal(array, mask.voxels.to_patient_orientation(orientation).array)
        ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ stored.affine
        assert np.allclose(image.affine, ras, atol=1e-5)
        found = centroid_mm(array, image.affine) * (-1, -1, 1)
        assert np.allclose(found, centroid_mm(mask.array, mask.geometry.affine), atol=1e-3)


def test_there_are_48_orientations():
    assert len(set(ORIENTATIONS)) == 48


def test_both_coordinate_forms_agree_and_say_scanner(tmp_path):
    write_masks(volume("RAH"), tmp_path)
    image = nib.load(tmp_path / "lesions.nii.gz")
    sform, s_code = image.get_sform(coded=True)
    qform, q_code = image.get_qform(coded=True)
    assert (int(s_code), int(q_code)) == (1, 1)
    assert np.allclose(sform, qform, atol=1e-4)
    assert image.header.get_xyzt_units()[0] == "mm"
    assert image.header.get_intent()[0] == "label"


def test_an_oblique_scan_keeps_its_angles(tmp_path):
    upright = volume()
    angle = np.radians(12.0)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    geometry = hd.VolumeGeometry(
        turn @ upright.scan.voxels.affine, upright.lungs.array.shape, "PATIENT"
    )
    scan = type(upright.scan)(geometry.with_array(upright.scan.slices), Source("oblique", "nifti"))
    findings = type(upright)(
        scan,
        type(upright.lungs).on(scan, upright.lungs.array, Lung),
        type(upright.lungs).on(scan, upright.lesions.array, Lesion),
    )
    write_masks(findings, tmp_path)
    image = nib.load(tmp_path / "lesions.nii.gz")
    assert np.allclose(image.get_qform(), image.affine, atol=1e-4)
    found = centroid_mm(np.asarray(image.dataobj), image.affine) * (-1, -1, 1)
    assert np.allclose(found, centroid_mm(lesions_array(), geometry.affine), atol=1e-3)


def test_dicom_masks_run_column_row_slice_as_converters_write_them(tmp_path):
    findings = dicom_volume()
    write_masks(findings, tmp_path)
    image = ReadImage(str(tmp_path / "lesions.nii.gz"))
    assert np.array_equal(GetArrayFromImage(image), findings.lesions.array)
    assert np.allclose(image.GetOrigin(), findings.scan.source.stored.position, atol=1e-3)
    assert np.allclose(image.GetSpacing(), (0.7, 0.8, 2.5), atol=1e-5)


def test_a_stored_geometry_of_another_grid_is_refused(tmp_path):
    findings = volume()
    other = volume(lungs=np.ones((24, 40, 47), np.uint8)).scan.voxels.get_geometry()
    findings = volume(source=Source("cut", "nifti", stored=other))
    with pytest.raises(GeometryError, match=r"\(24, 40, 48\).*\(24, 40, 47\).*same grid turned"):
        write_masks(findings, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_picture_masks_have_the_size_and_the_numbers_of_the_findings(tmp_path):
    findings = pictures(("CT 1", "übersicht", "日本"))
    write_masks(findings, tmp_path)
    for name, lungs, lesions in zip(
        findings.scan.names, findings.lungs.slices, findings.lesions.slices, strict=True
    ):
        for folder, expected in (("lungs", lungs), ("lesions", lesions)):
            with Image.open(tmp_path / folder / f"{name}.png") as image:
                assert image.mode == "L"
                assert np.array_equal(np.asarray(image), expected)


def test_pictures_with_names_that_no_file_may_have_are_renamed_and_listed(tmp_path):
    write_masks(pictures(("a/b", "A_b", "con", "fine")), tmp_path)
    assert sorted(p.name for p in (tmp_path / "lungs").iterdir()) == [
        "A_b_2.png",
        "_con.png",
        "a_b.png",
        "fine.png",
    ]
    legend = json.loads((tmp_path / "labels.json").read_text())
    assert legend["renamed"] == {"a/b": "a_b", "A_b": "A_b_2", "con": "_con"}


def test_the_legend_explains_every_number(tmp_path):
    write_masks(volume(), tmp_path)
    legend = json.loads((tmp_path / "labels.json").read_text())
    assert legend["lungs"]["1"]["title"] == "right lung"
    assert legend["lesions"]["2"]["title"] == "consolidation"
    assert set(legend["lesions"]) == {"0", *(str(int(k)) for k in Lesion)}
    assert "renamed" not in legend

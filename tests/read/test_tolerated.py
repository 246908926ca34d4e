"""What the user tolerates is done exactly, in millimeters, and noted."""

from pathlib import Path
from tempfile import TemporaryDirectory

import highdicom as hd
import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from groundglass.errors import UnknownNameError, UnreadableScanError
from groundglass.read import TOLERABLE, read
from groundglass.scan import AXES, CTScan
from tests.read import broken_dicom, broken_others, broken_volumes
from tests.read.tiny_chest import datasets, save, tiny_chest

CHEST = tiny_chest()

SLOPE = np.array([0.5, -1.2, 3.1])
"""Change of the linear scan in HU per mm along left, back and head."""


def note_names(scan: CTScan) -> list[str]:
    return [note.name for note in scan.source.notes]


def linear_hu(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """A scan that linear interpolation reproduces everywhere: a plane wave of no wavelength."""
    return (positions - np.array([20.0, -150.0, -420.0])) @ SLOPE - 350


def linear_slices(steps_mm: list[float], lean_mm: float = 0.0) -> hd.Volume:
    """Data sets of slices at uneven steps; each leans by so much to the back per mm of height."""
    volume = CHEST.voxels
    along = np.concatenate([[0.0], np.cumsum(steps_mm)])
    parts = datasets()[: len(along)]
    rows, columns = np.indices(volume.shape[1:])
    for part, height in zip(parts, along, strict=True):
        position = volume.position + np.array([0, lean_mm * height, -height])
        steps = rows[..., None] * volume.spacing_vectors()[1]
        steps = steps + columns[..., None] * volume.spacing_vectors()[2]
        values = np.rint(linear_hu(position + steps)) + 1024
        part.ImagePositionPatient = [round(x, 6) for x in position]
        part.PixelData = np.clip(values, 0, 4095).astype("<u2").tobytes()
    return parts


def places(scan: CTScan) -> NDArray[np.float64]:
    """LPS millimeters of every voxel."""
    indices = np.indices(scan.slices.shape).reshape(3, -1).T
    return scan.voxels.map_indices_to_reference(indices).reshape(*scan.slices.shape, 3)


def test_a_gap_is_filled_in_its_true_place(tmp_path) -> None:
    parts = datasets()
    del parts[4:6]
    scan = read(save(parts, tmp_path), tolerate=["gap"])
    assert note_names(scan) == ["gap", "coarse-slices"]
    assert scan.source.notes[0].message == (
        "Found 2 of 12 slices missing in 1 gap, the longest 30 mm; the missing slices were "
        "filled linearly from their neighbors."
    )
    np.testing.assert_allclose(scan.voxels.affine, CHEST.voxels.affine, atol=1e-4)
    kept = [0, 1, 2, 3, 6, 7, 8, 9, 10, 11]
    np.testing.assert_array_equal(scan.slices[kept], CHEST.slices[kept])
    above, below = CHEST.slices[3].astype(float), CHEST.slices[6].astype(float)
    np.testing.assert_allclose(scan.slices[4], (2 * above + below) / 3, atol=0.51)
    np.testing.assert_allclose(scan.slices[5], (above + 2 * below) / 3, atol=0.51)
    assert len(scan.source.headers) == 10


@settings(max_examples=settings.default.max_examples // 4)
@given(st.lists(st.floats(8, 10), min_size=10, max_size=10))
def test_uneven_slices_are_resampled_without_moving_anything(steps_mm) -> None:
    with TemporaryDirectory() as folder:
        parts = linear_slices([*steps_mm, 13.0])
        scan = read(save(parts, Path(folder)), tolerate=["irregular-spacing"])
    assert "irregular-spacing" in note_names(scan)
    length = sum(steps_mm) + 13.0
    assert (len(scan.slices) - 1) * scan.spacing_mm[0] == pytest.approx(length, abs=1e-3)
    np.testing.assert_allclose(scan.slices, linear_hu(places(scan)), atol=1.01)


@settings(max_examples=settings.default.max_examples // 4)
@given(st.floats(2, 15) | st.floats(-15, -2))
def test_a_tilted_gantry_is_straightened_in_millimeters(degrees) -> None:
    lean = float(np.tan(np.radians(degrees)))
    with TemporaryDirectory() as folder:
        parts = linear_slices([10.0] * 11, lean)
        scan = read(save(parts, Path(folder)), tolerate=["gantry-tilt"])
    assert "gantry-tilt" in note_names(scan)
    where = places(scan)
    volume = CHEST.voxels
    # Back of the first and of the last row of the slice that was scanned at that height.
    first = volume.position[1] + lean * (volume.position[2] - where[..., 2])
    last = first + (volume.shape[1] - 1) * volume.spacing[1]
    scanned = (where[..., 1] >= first - 1e-6) & (where[..., 1] <= last + 1e-6)
    assert scanned.sum() > 0.98 * CHEST.slices.size * (1 - 1 / 64)
    np.testing.assert_allclose(scan.slices[scanned], linear_hu(where)[scanned], atol=1.01)
    beyond = (where[..., 1] < first - 3.5) | (where[..., 1] > last + 3.5)
    assert beyond.any()
    assert (scan.slices[beyond] == -1024).all()


def test_of_duplicates_the_first_by_name_is_kept(tmp_path) -> None:
    parts = datasets()
    double = datasets()[5]
    double.PixelData = parts[7].PixelData
    scan = read(save([*parts, double], tmp_path), tolerate=["duplicates"])
    assert "duplicates" in note_names(scan)
    np.testing.assert_array_equal(scan.slices, CHEST.slices)


def test_stored_values_and_their_offset_are_taken_when_both_are_tolerated(tmp_path) -> None:
    build = broken_dicom.without("RescaleSlope", "RescaleIntercept")
    path = build(tmp_path / "scan")
    with pytest.raises(UnreadableScanError, match="--tolerate offset-1024"):
        read(path, tolerate=["no-rescale"])
    scan = read(path, tolerate=["no-rescale", "offset-1024"])
    np.testing.assert_array_equal(scan.slices, CHEST.slices)
    assert {"no-rescale", "offset-1024"} <= set(note_names(scan))


def test_what_is_no_number_becomes_air_and_nothing_else_changes(tmp_path) -> None:
    path = broken_volumes.nifti(broken_volumes.with_nan)(tmp_path / "scan")
    scan = read(path, tolerate=["not-finite"])
    changed = np.argwhere(scan.slices != CHEST.slices)
    assert len(changed) == 2
    assert {int(scan.slices[tuple(index)]) for index in changed} == {-1024}


def test_a_file_without_orientation_keeps_its_voxels(tmp_path) -> None:
    path = broken_volumes.nifti(header=broken_volumes.no_codes)(tmp_path / "scan")
    scan = read(path, tolerate=["no-orientation", "thick-slices", "small-field"])
    assert note_names(scan)[0] == "no-orientation"
    assert sorted(scan.spacing_mm) == sorted(CHEST.spacing_mm)
    np.testing.assert_array_equal(np.sort(scan.slices.ravel()), np.sort(CHEST.slices.ravel()))


@pytest.mark.parametrize(
    "header",
    [
        broken_volumes.mirrored_qform,
        broken_volumes.shifted_qform,
        broken_volumes.turned_qform,
    ],
)
def test_of_two_geometries_the_sform_is_believed(tmp_path, header) -> None:
    path = broken_volumes.nifti(header=header)(tmp_path / "scan")
    scan = read(path, tolerate=["conflicting-affines"])
    np.testing.assert_array_equal(scan.slices, CHEST.slices)
    np.testing.assert_allclose(scan.voxels.affine, CHEST.voxels.affine, atol=1e-3)


def test_geometries_less_than_half_a_voxel_apart_are_one(tmp_path) -> None:
    header = broken_volumes.nearly_the_same_qform
    scan = read(broken_volumes.nifti(header=header)(tmp_path / "scan"))
    assert "conflicting-affines" not in note_names(scan)


def test_a_damaged_file_is_left_out_and_its_gap_is_a_matter_of_its_own(tmp_path) -> None:
    path = broken_dicom.cut(4, 400)(tmp_path / "scan")
    with pytest.raises(UnreadableScanError, match="--tolerate gap"):
        read(path, tolerate=["broken-files"])
    scan = read(path, tolerate=["broken-files", "gap"])
    assert note_names(scan)[:2] == ["broken-files", "gap"]
    assert scan.slices.shape == CHEST.slices.shape


@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("derived", broken_dicom.with_values(ImageType=["DERIVED", "SECONDARY", "MPR"])),
        ("small-field", broken_dicom.changed(broken_dicom.short)),
        ("small-field", broken_dicom.changed(broken_dicom.narrow)),
        ("thick-slices", broken_dicom.changed(broken_dicom.thick)),
        ("oblique", broken_dicom.oblique),
    ],
)
def test_a_tolerated_kind_of_scan_is_read_as_it_is(name, build, tmp_path) -> None:
    scan = read(build(tmp_path / "scan"), tolerate=[name])
    assert name in note_names(scan)
    np.testing.assert_array_equal(scan.slices, CHEST.slices[: len(scan.slices)])


def test_a_tolerated_photograph_turns_gray(tmp_path) -> None:
    pictures = read(
        broken_others.picture(broken_others.photograph())(tmp_path / "a"), tolerate=["color"]
    )
    assert [note.name for note in pictures.source.notes] == ["color"]
    assert pictures.slices[0].shape == (128, 160)


def test_a_tolerance_that_is_not_needed_leaves_no_note(tmp_path) -> None:
    nib.save(CHEST.voxels.to_nibabel(), tmp_path / "scan.nii")
    scan = read(tmp_path / "scan.nii", tolerate=TOLERABLE)
    assert note_names(scan) == ["coarse-slices"]
    np.testing.assert_array_equal(scan.slices, CHEST.slices)
    assert scan.voxels.get_closest_patient_orientation()[0].value == AXES[0]


def test_an_unknown_tolerance_lists_the_known_ones(tmp_path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown oddity to tolerate 'gaps'; known: .*gap"):
        read(tmp_path, tolerate=["gaps"])

import csv
import json
from dataclasses import replace

import highdicom as hd
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - the name its own manual uses

from groundglass.data.phantom import LesionSpec, make_phantom
from groundglass.errors import ConfigError
from groundglass.findings import Findings
from groundglass.followup import compare as compare_module
from groundglass.followup.compare import TimePoint, compare, compare_points
from groundglass.followup.lesion_changes import follow_lesions, status_of
from groundglass.followup.measures import BOTH, changes, measures
from groundglass.followup.registration import Registration, register
from groundglass.followup.write_comparison import signed, write_comparison
from groundglass.labels import Lesion, Lobe
from groundglass.mask import Mask
from groundglass.report import Outcome
from groundglass.scan import CTScan, Note, Source
from tests.followup.results import quality, result
from tests.write.samples import PROVENANCE, volume

SHAPE = (48, 96, 96)
EARLIER = [
    LesionSpec(Lesion.GROUND_GLASS, Lobe.RIGHT_LOWER, 8),
    LesionSpec(Lesion.GROUND_GLASS, Lobe.LEFT_UPPER, 4),
]
LATER = [
    LesionSpec(Lesion.GROUND_GLASS, Lobe.RIGHT_LOWER, 16),
    LesionSpec(Lesion.CONSOLIDATION, Lobe.LEFT_LOWER, 6),
]
STILL = Registration(sitk.Transform(3, sitk.sitkIdentity), "none", {"as scanned": 0.0}, 0.0)


def seen(lesions, scale=(1, 1, 1), shift_mm=(0, 0, 0)):
    """The phantom with these lesions, its chest scaled as by breathing and moved on the table."""
    phantom = make_phantom(3, shape=SHAPE, lesions=lesions)
    voxels = phantom.scan.voxels
    moved = hd.Volume.from_components(
        array=voxels.array,
        spacing=(np.array(voxels.spacing) * scale).tolist(),
        center_position=(np.array(voxels.center_position) + shift_mm).tolist(),
        patient_orientation="FPL",
        coordinate_system="PATIENT",
    )
    scan = CTScan(moved, Source("phantom", "phantom"))
    masks = (phantom.lungs, phantom.lesions, phantom.lobes)
    return Findings(scan, *(Mask.on(scan, m.array, m.labels) for m in masks))


def point(findings, name="scan", day=None):
    return TimePoint(name, findings, PROVENANCE, day)


@pytest.fixture(scope="module")
def earlier():
    return seen(EARLIER)


@pytest.fixture(scope="module")
def later():
    return seen(LATER)


@pytest.fixture
def without_registration(monkeypatch):
    monkeypatch.setattr(compare_module, "register", lambda *_: STILL)


@pytest.mark.parametrize(
    ("before", "after", "status"),
    [
        (0.0, 3.0, "new"),
        (3.0, 0.0, "resolved"),
        (10.0, 12.6, "grown"),
        (10.0, 12.4, "unchanged"),
        (10.0, 7.4, "shrunk"),
        (0.6, 1.0, "unchanged"),
        (0.6, 1.2, "grown"),
    ],
)
def test_thresholds_of_growth(before, after, status):
    assert status_of(before, after) == status


def test_each_lesion_is_found_again_with_its_volume(earlier, later):
    found = {one.status: one for one in follow_lesions(earlier, later, STILL)}
    assert set(found) == {"new", "resolved", "grown"}
    lobes = {status: one.place for status, one in found.items()}
    assert lobes == {
        "grown": "right lower lobe",
        "resolved": "left upper lobe",
        "new": "left lower lobe",
    }
    before, after = measures(earlier), measures(later)
    grown = found["grown"]
    assert grown.earlier_ml == pytest.approx(before["right lower lobe"].opacity_ml, rel=0.01)
    assert grown.later_ml == pytest.approx(after["right lower lobe"].opacity_ml, rel=0.01)


def test_the_other_way_round_new_is_resolved_and_grown_is_shrunk(earlier, later):
    there, back = follow_lesions(earlier, later, STILL), follow_lesions(later, earlier, STILL)
    opposite = {"new": "resolved", "resolved": "new", "grown": "shrunk", "unchanged": "unchanged"}
    assert sorted(opposite[one.status] for one in there) == sorted(one.status for one in back)


def test_a_scan_against_itself_has_not_changed(earlier):
    found = follow_lesions(earlier, earlier, STILL)
    assert {one.status for one in found} == {"unchanged"}
    assert {c.opacity_ml for c in changes(measures(earlier), measures(earlier)).values()} == {0.0}


def test_a_lesion_that_parts_in_two_is_one_lesion():
    lesions = np.zeros((24, 40, 48), np.uint8)
    lesions[8:20, 20:30, 8:20] = Lesion.GROUND_GLASS
    parted = lesions.copy()
    parted[12:16] = 0
    whole, two = (volume(lesions=one) for one in (lesions, parted))
    (found,) = follow_lesions(whole, two, STILL)
    assert (found.earlier_pieces, found.later_pieces) == (1, 2)
    assert found.status == "shrunk"


def test_what_is_left_of_a_lesion_in_fragments_is_not_resolved():
    lesions = np.zeros((24, 40, 48), np.uint8)
    lesions[8:20, 20:30, 8:20] = Lesion.GROUND_GLASS
    left = lesions.copy()
    left[10:20:3] = left[:, 23:30:4] = left[:, :, 11:20:4] = 0
    whole, specks = (volume(lesions=one) for one in (lesions, left))
    voxels = np.count_nonzero((specks.lesions.array > 0) & (specks.lungs.array > 0))
    (found,) = follow_lesions(whole, specks, STILL)
    assert found.status == "shrunk"
    assert found.later_pieces > 10
    assert found.later_ml == pytest.approx(voxels * specks.lesions.voxel_volume_ml, abs=1e-3)
    (back,) = follow_lesions(specks, whole, STILL)
    assert back.status == "grown"
    assert not follow_lesions(specks, specks, STILL)  # each below what is followed


def test_a_speck_between_two_lesions_does_not_make_them_one():
    two = np.zeros((24, 40, 48), np.uint8)
    two[8:13, 20:30, 8:20] = two[14:20, 20:30, 8:20] = Lesion.GROUND_GLASS
    later = two.copy()
    later[12, 20:30, 8:20] = later[14, 20:30, 8:20] = 0
    later[13, 24, 12] = Lesion.GROUND_GLASS
    found = follow_lesions(volume(lesions=two), volume(lesions=later), STILL)
    assert len(found) == 2


def test_a_healthy_baseline_has_no_change_in_per_cent(tmp_path, without_registration):
    healthy = volume(lesions=np.zeros((24, 40, 48), np.uint8))
    compared = compare_points([point(healthy), point(volume())])
    (interval,) = compared.comparison.intervals
    assert interval.changes[BOTH].opacity_percent is None
    assert interval.changes[BOTH].opacity_ml > 0
    assert {one.status for one in interval.lesions} == {"new"}
    assert (write_comparison(compared, tmp_path)[0]).read_text().count("<img") >= 3


def test_two_healthy_scans_have_a_page_that_says_so(tmp_path, without_registration):
    healthy = volume(lesions=np.zeros((24, 40, 48), np.uint8))
    files = write_comparison(compare_points([point(healthy), point(healthy)]), tmp_path)
    assert "No lesion on either scan" in files[0].read_text()


def test_the_table_has_a_row_for_each_scan_and_part(earlier, later, tmp_path, without_registration):
    points = [point(earlier, day=0), point(later, day=9), point(earlier, day=20)]
    files = write_comparison(compare_points(points), tmp_path)
    rows = list(csv.DictReader(files[2].read_text().splitlines()))
    assert len(rows) == 3 * 8
    second = next(r for r in rows if r["number"] == "2" and r["part"] == BOTH)
    assert second["day"] == "9"
    expected = measures(later)[BOTH].opacity_ml - measures(earlier)[BOTH].opacity_ml
    assert float(second["opacity_change_ml"]) == pytest.approx(expected, abs=1e-3)
    assert len(json.loads(files[1].read_text())["intervals"]) == 2


def test_a_folder_named_like_a_formula_is_text_in_the_table(tmp_path, without_registration):
    name = '=HYPERLINK("http:||nowhere")'
    compared = compare_points([point(volume(), name), point(volume(), "@SUM(1)")])
    table = write_comparison(compared, tmp_path)[2].read_text()
    shown = {row["scan"] for row in csv.DictReader(table.splitlines())}
    assert shown == {f"'{name}", "'@SUM(1)"}


def test_scans_are_put_in_the_order_of_their_days(earlier, later):
    points, notes = compare_module._in_time_order([point(later, "b"), point(earlier, "a")], [12, 3])
    assert [(p.name, p.day) for p in points] == [("a", 0), ("b", 9)]
    assert notes[0].name == "reordered"
    points, notes = compare_module._in_time_order([point(later, "b"), point(earlier, "a")], [])
    assert [(p.name, p.day) for p in points] == [("b", None), ("a", None)]
    assert notes[0].name == "no-dates"


def test_different_systems_are_noted(earlier, without_registration):
    other = PROVENANCE.model_copy(update={"system": "another"})
    compared = compare_points([point(earlier), TimePoint("b", earlier, other)])
    assert "systems" in {note.name for note in compared.comparison.notes}


def test_other_ways_to_find_lungs_and_lobes_are_noted(earlier, without_registration):
    ways = {"lungs_method": "unet\udce4", "regions_source": "given lobes"}
    other = TimePoint("b\udce4", earlier, PROVENANCE.model_copy(update=ways))
    compared = compare_points([point(earlier), other]).comparison
    told = {note.name: note.message for note in compared.notes}
    assert "given lobes" in told["lobes"]
    assert "unet?" in told["lungs"]
    assert compared.model_dump_json()
    same = compare_points([point(earlier), point(earlier)]).comparison
    assert not {"lungs", "lobes"} & {note.name for note in same.notes}


def test_what_was_noticed_on_each_scan_is_told_with_its_name(tmp_path, without_registration):
    def noticed(report):
        notes = (Note("gap", "Found a gap."),)
        return replace(report, notes=notes, quality=quality(Outcome.WARNING))

    folder, _ = result(tmp_path, change=noticed)
    compared = compare([folder, folder])
    told = [(n.name, n.message) for n in compared.comparison.notes if n.name != "no-dates"]
    assert told == [
        ("lungs-cut", "Scan 1, 'scan': The scan ends within the lungs."),
        ("gap", "Scan 1, 'scan': Found a gap."),
        ("lungs-cut", "Scan 2, 'scan': The scan ends within the lungs."),
        ("gap", "Scan 2, 'scan': Found a gap."),
    ]
    page = write_comparison(compared, tmp_path / "out")[0].read_text()
    assert all(text in page for text in ("Found a gap.", "ends within the lungs"))


def test_one_scan_or_the_wrong_number_of_days_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="two or more"):
        compare([tmp_path])
    with pytest.raises(ConfigError, match="3 days for 2 scans"):
        compare([tmp_path, tmp_path], days=[1, 2, 3])
    with pytest.raises(ConfigError, match="1 scans for 0 folders"):
        compare([tmp_path, tmp_path], scans=[tmp_path])


@pytest.mark.parametrize(
    ("value", "text"), [(1.26, "+1.3"), (-0.5, "\N{MINUS SIGN}0.5"), (0.01, "0.0"), (-0.01, "0.0")]
)
def test_a_change_has_its_sign(value, text):
    assert signed(value, "ml") == f"{text}\u202fml"


@pytest.mark.slow
def test_a_chest_that_moved_and_breathed_is_found_again(earlier):
    moved = seen(LATER, scale=(1.12, 1.03, 1.0), shift_mm=(9, -14, 30))
    found = register(earlier, moved)
    assert found.surface_mm["as scanned"] > 5
    assert found.error_mm < 1.0
    assert found.folded_percent == 0
    inside = np.argwhere(earlier.lungs.array > 0)[::500]
    here = earlier.lungs.geometry.map_indices_to_reference(inside)
    there = moved.lungs.geometry.map_indices_to_reference(inside)
    gone = np.array([found.transform.TransformPoint(p.tolist()) for p in here])
    assert np.linalg.norm(gone - there, axis=1).mean() < 2.0
    statuses = sorted(one.status for one in follow_lesions(earlier, moved, found))
    assert statuses == ["grown", "new", "resolved"]

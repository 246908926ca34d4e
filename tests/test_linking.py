from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundglass.detections import Detection, Detections
from groundglass.labels import Lesion, Lung
from groundglass.linking import link_detections
from groundglass.scan import CTSlices, Source
from tests.write import samples

GGO, DENSE = Lesion.GROUND_GLASS, Lesion.CONSOLIDATION
VOLUME = samples.volume()  # 24 slices of 40 x 48, 2.5 x 0.8 x 0.7 mm


def detections(*items, scan=VOLUME.scan):
    return Detections("some_system", "", scan, tuple(items))


def test_boxes_at_one_place_on_neighboring_slices_are_one_lesion():
    boxes = [Detection(k, (10, 8, 20, 18), 0.5 + k / 100, GGO) for k in (5, 6, 7)]
    (lesion,) = link_detections(detections(*boxes), VOLUME.lungs)
    assert lesion.items == tuple(boxes)
    assert lesion.slices == (5, 7)
    assert lesion.score == pytest.approx(0.57)
    assert lesion.volume_ml == pytest.approx(3 * 100 * 2.5 * 0.8 * 0.7 / 1000)
    assert lesion.size_mm == pytest.approx((7.5, 8.0, 7.0))
    assert lesion.lung is Lung.RIGHT
    assert not lesion.outlined


def test_the_center_lies_where_the_boxes_are_in_the_patient():
    """One pixel of one slice: its own position."""
    (lesion,) = link_detections(detections(Detection(3, (11, 7, 12, 8), 0.9, GGO)))
    expected = VOLUME.scan.voxels.map_indices_to_reference(np.array([[3, 11, 7]]))[0]
    assert lesion.center_mm == pytest.approx(tuple(expected))
    assert lesion.lung is None


def test_outlines_give_the_volume_where_every_box_has_one():
    boxes = [Detection(k, (10, 8, 20, 18), 0.5, GGO, area_px=40) for k in (5, 6)]
    (lesion,) = link_detections(detections(*boxes))
    assert lesion.volume_ml == pytest.approx(80 * 2.5 * 0.8 * 0.7 / 1000)
    assert lesion.outlined
    (mixed,) = link_detections(detections(boxes[0], replace(boxes[1], area_px=None)))
    assert mixed.volume_ml == pytest.approx(200 * 2.5 * 0.8 * 0.7 / 1000)
    assert not mixed.outlined


def test_a_missed_slice_is_bridged_and_filled_in_but_not_two():
    def lesions(*slices):
        return link_detections(
            detections(*[Detection(k, (10, 8, 20, 18), 0.5, GGO) for k in slices])
        )

    (bridged,) = lesions(5, 7)  # 5 mm apart
    assert bridged.volume_ml == pytest.approx(3 * 100 * 2.5 * 0.8 * 0.7 / 1000)
    assert len(lesions(5, 8)) == 2


def test_kinds_and_places_are_not_mixed():
    apart = [
        Detection(5, (10, 8, 20, 18), 0.9, GGO),
        Detection(6, (10, 8, 20, 18), 0.9, DENSE),
        Detection(6, (10, 30, 20, 40), 0.8, GGO),
    ]
    assert len(link_detections(detections(*apart))) == 3


def test_two_boxes_that_overlap_one_above_are_not_both_its_next():
    above = Detection(5, (10, 8, 20, 18), 0.9, GGO)
    near, nearer = (Detection(6, (10, left, 20, left + 10), 0.9, GGO) for left in (11, 9))
    lesions = link_detections(detections(above, near, nearer))
    assert {lesion.items for lesion in lesions} == {(above, nearer), (near,)}


@given(
    st.lists(
        st.tuples(
            st.integers(0, 23),
            st.integers(0, 30),
            st.integers(0, 30),
            st.sampled_from([GGO, DENSE]),
        ),
        max_size=25,
    )
)
def test_every_box_is_in_one_lesion_which_has_one_box_a_slice(drawn):
    items = [Detection(k, (r, c, r + 8, c + 9), 0.5, kind) for k, r, c, kind in sorted(drawn)]
    lesions = link_detections(detections(*items), VOLUME.lungs)
    linked = [id(item) for lesion in lesions for item in lesion.items]
    assert sorted(linked) == sorted(map(id, items))
    for lesion in lesions:
        slices = [item.slice_index for item in lesion.items]
        assert slices == sorted(set(slices))
        assert {item.kind for item in lesion.items} == {lesion.kind}
    volumes = [lesion.volume_ml for lesion in lesions]
    assert volumes == sorted(volumes, reverse=True)


def test_pictures_are_not_linked():
    gray = np.zeros((30, 40), np.uint8)
    pictures = CTSlices(("a", "b"), (gray, gray), Source("pictures", "pictures"))
    boxes = [Detection(k, (10, 8, 20, 18), 0.5 + k / 10, GGO) for k in (0, 1)]
    first, second = link_detections(detections(*boxes, scan=pictures))
    assert (first.items, second.items) == ((boxes[1],), (boxes[0],))
    assert first.volume_ml is None
    assert first.center_mm is None

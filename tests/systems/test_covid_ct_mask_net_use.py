"""COVID-CT-Mask-Net in use: what of the network's boxes is taken for a lesion."""

import numpy as np
import pytest

from groundglass.data.phantom import Phantom, make_phantom
from groundglass.detections import Detection
from groundglass.labels import Lesion
from groundglass.scan import CTScan
from groundglass.systems.covid_ct_mask_net.taken import Found, apart, lasting
from tests.systems.system_tester import phantom, pictures

__all__ = ["phantom", "pictures"]


def found(index, top, left, bottom, right, score=0.9) -> Found:
    inside = np.ones((bottom - top, right - left), bool)
    box = tuple(float(edge) for edge in (top, left, bottom, right))
    detection = Detection(index, box, score, Lesion.UNSPECIFIED, float(inside.sum()))
    return Found(detection, np.s_[top:bottom, left:right], inside)


def test_a_pixel_belongs_to_the_surest_lesion_alone() -> None:
    kept = list(apart([found(0, 10, 10, 20, 20), found(0, 10, 16, 20, 26, 0.8)], (40, 40)))
    assert [one.detection.area_px for one in kept] == [100, 60]
    assert kept[1].detection.box == (10, 16, 20, 26)


@pytest.mark.parametrize(("left", "count"), [(15, 2), (14, 1)])
def test_a_second_box_on_one_lesion_is_left_out(left: int, count: int) -> None:
    """Ten by ten pixels each, of which 50 or 60 belong to the surer one."""
    kept = list(apart([found(0, 10, 10, 20, 20), found(0, 10, left, 20, left + 10)], (40, 40)))
    assert len(kept) == count


def thin(count: int, slice_mm: float) -> CTScan:
    """A volume of so many slices, of which only the spacing matters."""
    return make_phantom(0, shape=(count, 16, 16), spacing_mm=(slice_mm, 20.0, 20.0)).scan


def test_a_lesion_of_a_volume_needs_a_length_along_the_body(phantom: Phantom) -> None:
    slice_mm = phantom.scan.spacing_mm[0]
    assert slice_mm >= 5, "one slice is enough in a phantom of thick slices"
    one = [found(3, 10, 10, 20, 20)]
    assert lasting(phantom.scan, one) == (one, ())


def test_what_three_thin_slices_show_stays_and_what_two_show_goes_with_a_note() -> None:
    scan = thin(36, 2.0)
    long = [found(k, 1, 1, 5, 5) for k in (3, 4, 5)]
    short = [found(k, 8, 8, 12, 12) for k in (9, 10)]
    kept, notes = lasting(scan, [*long, *short])
    assert kept == long
    assert [note.name for note in notes] == ["short-findings"]
    assert notes[0].message.startswith("1 finding of less than 5 mm along the body left out")
    assert lasting(scan, long) == (long, ())


def test_what_the_first_or_the_last_slice_cuts_may_go_on_and_stays() -> None:
    scan = thin(36, 2.0)
    cut = [found(0, 1, 1, 5, 5), found(34, 8, 8, 12, 12), found(35, 8, 8, 12, 12)]
    assert lasting(scan, cut) == (cut, ())


@pytest.mark.parametrize(("count", "stays"), [(3, True), (7, True), (8, False)])
def test_a_scan_shorter_than_twice_the_length_keeps_all(count: int, stays: bool) -> None:
    one = [found(1, 1, 1, 5, 5)]
    assert lasting(thin(count, 1.25), one)[0] == (one if stays else [])


def test_each_picture_stands_for_itself(pictures) -> None:
    one = [found(0, 10, 10, 20, 20)]
    assert lasting(pictures, one) == (one, ())

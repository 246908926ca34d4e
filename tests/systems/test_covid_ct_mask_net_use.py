"""COVID-CT-Mask-Net in use: what of the network's boxes is taken for a lesion."""

import numpy as np
import pytest

from groundglass.data.phantom import Phantom
from groundglass.detections import Detection
from groundglass.labels import Lesion
from groundglass.systems.covid_ct_mask_net.predict import _apart, _Found, _lasting
from tests.systems.system_tester import phantom, pictures

__all__ = ["phantom", "pictures"]


def found(index, top, left, bottom, right, score=0.9) -> _Found:
    inside = np.ones((bottom - top, right - left), bool)
    box = tuple(float(edge) for edge in (top, left, bottom, right))
    detection = Detection(index, box, score, Lesion.UNSPECIFIED, float(inside.sum()))
    return _Found(detection, np.s_[top:bottom, left:right], inside)


def test_a_pixel_belongs_to_the_surest_lesion_alone() -> None:
    kept = list(_apart([found(0, 10, 10, 20, 20), found(0, 10, 16, 20, 26, 0.8)], (40, 40)))
    assert [one.detection.area_px for one in kept] == [100, 60]
    assert kept[1].detection.box == (10, 16, 20, 26)


@pytest.mark.parametrize(("left", "count"), [(15, 2), (14, 1)])
def test_a_second_box_on_one_lesion_is_left_out(left: int, count: int) -> None:
    """Ten by ten pixels each, of which 50 or 60 belong to the surer one."""
    kept = list(_apart([found(0, 10, 10, 20, 20), found(0, 10, left, 20, left + 10)], (40, 40)))
    assert len(kept) == count


def test_a_lesion_of_a_volume_needs_a_length_along_the_body(phantom: Phantom) -> None:
    slice_mm = phantom.scan.spacing_mm[0]
    assert slice_mm >= 5, "one slice is enough in a phantom of thick slices"
    assert len(_lasting(phantom.scan, [found(3, 10, 10, 20, 20)])) == 1


def test_what_three_thin_slices_show_stays_and_what_two_show_goes() -> None:
    from groundglass.data.phantom import make_phantom

    scan = make_phantom(0, shape=(36, 64, 64), spacing_mm=(2.0, 5.0, 5.0)).scan
    long = [found(k, 10, 10, 20, 20) for k in (3, 4, 5)]
    short = [found(k, 40, 40, 50, 50) for k in (9, 10)]
    assert _lasting(scan, [*long, *short]) == long


def test_each_picture_stands_for_itself(pictures) -> None:
    one = [found(0, 10, 10, 20, 20)]
    assert _lasting(pictures, one) == one

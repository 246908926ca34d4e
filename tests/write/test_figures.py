import base64
import io

import cv2
import numpy as np
import pytest
from PIL import Image

from groundglass.labels import Lesion, Lung
from groundglass.write.figures import (
    Plane,
    axial,
    coronal,
    coronal_row,
    lung_box,
    overlaid,
    plain,
)
from tests.write.samples import SHAPE, lesions_array, lungs_array, pictures, volume


def pixels(picture):
    """What the browser would show, shape (row, column, color)."""
    data = base64.b64decode(picture.uri.removeprefix("data:image/jpeg;base64,"))
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (picture.width_px, picture.height_px)
        return np.asarray(image.convert("RGB")).astype(int)


def holes(letter):
    """Closed counters of a bright letter on dark ground: R has one, L has none."""
    ground = np.pad(letter < 128, 3, constant_values=True).astype(np.uint8)
    count, _, sizes, _ = cv2.connectedComponentsWithStats(ground, connectivity=4)
    return sum(sizes[i, cv2.CC_STAT_AREA] > 4 for i in range(1, count)) - 1


def dark(rows=100, columns=140, aspect=1.0):
    blank = np.zeros((rows, columns), np.uint8)
    return Plane(blank, blank.copy(), blank.copy(), aspect)


@pytest.mark.parametrize("draw", [plain, overlaid])
@pytest.mark.parametrize("shape", [(100, 140), (300, 120), (12, 16)])
def test_r_stands_on_the_left_and_l_on_the_right(draw, shape):
    gray = pixels(draw(dark(*shape), "x"))[..., 0]
    middle = gray.shape[1] // 2
    left, right = gray[:, :middle], gray[:, middle:]
    assert left.max() > 200
    assert right.max() > 200
    assert holes(left) == 1
    assert holes(right) == 0


def test_the_overlay_lies_on_the_lesion_and_nowhere_else():
    plane = axial(volume(), SHAPE[0] // 2)
    changed = np.abs(pixels(overlaid(plane, "x")) - pixels(plain(plane, "x"))).max(axis=-1)
    marked = cv2.resize(((plane.lesions > 0) | (plane.lungs > 0)).astype(np.uint8), plane.size_px)
    assert changed[cv2.dilate(marked, np.ones((13, 13))) == 0].max() < 30
    inside = cv2.erode(
        cv2.resize((plane.lesions > 0).astype(np.uint8), plane.size_px), np.ones((9, 9))
    )
    assert np.median(changed[inside > 0]) > 30


def test_a_lesion_of_the_right_lung_is_tinted_on_the_left_of_the_picture():
    gray = np.full((80, 120), 90, np.uint8)
    lesions = np.zeros_like(gray)
    lesions[30:50, 20:35] = Lesion.GROUND_GLASS
    shown = pixels(overlaid(Plane(gray, np.zeros_like(gray), lesions), "x"))
    yellow = (shown[..., 0] - shown[..., 2]) > 40
    rows, columns = np.nonzero(yellow)
    assert columns.mean() / shown.shape[1] == pytest.approx(27 / 120, abs=0.02)
    assert rows.mean() / shown.shape[0] == pytest.approx(39.5 / 80, abs=0.02)


def test_kinds_have_the_colors_of_their_labels():
    for kind in Lesion:
        gray = np.full((40, 40), 60, np.uint8)
        lesions = np.zeros_like(gray)
        lesions[10:30, 10:30] = kind
        plane = Plane(gray, np.zeros_like(gray), lesions)
        shown = pixels(overlaid(plane, "x"))
        middle = shown[shown.shape[0] // 2, shown.shape[1] // 2]
        color = np.array([int(kind.color[i : i + 2], 16) for i in (1, 3, 5)])
        assert np.allclose(middle, 60 + 0.32 * (color - 60), atol=6), kind


def test_a_lesion_of_one_pixel_is_visible():
    for size in (30, 2000):
        gray = np.full((size, size), 60, np.uint8)
        lesions = np.zeros_like(gray)
        lesions[size // 2, size // 4] = Lesion.CONSOLIDATION
        shown = pixels(overlaid(Plane(gray, np.zeros_like(gray), lesions), "x"))
        red = (shown[..., 0] - shown[..., 1]) > 15
        assert red.any()
        assert np.nonzero(red)[1].mean() / shown.shape[1] == pytest.approx(0.25, abs=0.03)


def test_lungs_are_outlined_and_not_filled():
    gray = np.full((60, 60), 60, np.uint8)
    lungs = np.zeros_like(gray)
    lungs[15:45, 15:45] = Lung.RIGHT
    shown = pixels(overlaid(Plane(gray, lungs, np.zeros_like(gray)), "x"))
    blue = (shown[..., 2] - shown[..., 0]) > 40
    assert blue.any()
    assert not blue[blue.shape[0] // 2, blue.shape[1] // 2]


def test_pixels_that_are_not_square_are_shown_square():
    assert dark(100, 100, aspect=2.0).size_px == (420, 840)
    assert dark(100, 200, aspect=1.0).size_px == (420, 210)


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (4000, 4000)])
def test_any_shape_makes_a_small_picture(shape):
    picture = plain(dark(*shape), "x")
    assert 1 <= picture.width_px <= 560
    assert 1 <= picture.height_px <= 900


def test_a_coronal_slice_has_the_head_at_the_top_and_the_right_on_the_left():
    findings = volume()
    box, row = lung_box(findings), coronal_row(findings)
    plane = coronal(findings, row, box)
    assert np.array_equal(plane.lungs, lungs_array()[:, row][box[0], box[2]])
    first = [np.flatnonzero((plane.lungs == lung).any(axis=1))[0] for lung in Lung]
    assert first[0] < first[1]  # the right lung of the sample begins nearer to the head
    columns = [np.nonzero(plane.lungs == lung)[1].mean() for lung in Lung]
    assert columns[0] < columns[1]
    assert plane.aspect == pytest.approx(2.5 / 0.7)


def test_the_coronal_slice_is_the_one_with_most_lesion():
    counts = ((lesions_array() > 0) & (lungs_array() > 0)).sum(axis=(0, 2))
    assert counts[coronal_row(volume())] == counts.max()
    healthy = volume(lesions=np.zeros(SHAPE, np.uint8))
    counts = (lungs_array() > 0).sum(axis=(0, 2))
    assert counts[coronal_row(healthy)] == counts.max()


def test_the_box_holds_both_lungs_and_some_body():
    box = lung_box(volume(spacing_mm=(14.0, 7.0, 7.0)))
    where = np.nonzero(lungs_array())
    for part, found, margin, size in zip(box, where, (1, 2, 2), SHAPE, strict=True):
        start, stop, _ = part.indices(size)
        assert start == max(0, found.min() - margin)
        assert stop == min(size, found.max() + 1 + margin)


def test_air_is_black_and_tissue_is_bright_in_the_lung_window():
    plane = axial(volume(), SHAPE[0] // 2)
    assert plane.gray[plane.lungs == 0].min() > 200
    assert np.median(plane.gray[plane.lungs == 2]) < 80


def test_pictures_are_shown_as_they_are():
    findings = pictures()
    assert np.array_equal(axial(findings, 1).gray, findings.scan.slices[1])

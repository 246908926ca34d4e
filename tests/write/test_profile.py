import re
from itertools import pairwise

import pytest

from groundglass.labels import Lung
from groundglass.write.profile import profile
from groundglass.write.slices import SliceRow, slice_table
from tests.write.samples import volume

NUMBER = r"-?\d+(?:\.\d+)?"


def row(index, right=(100, 0), left=(100, 0)):
    return SliceRow(
        index=index,
        lung_pixels={"right lung": right[0], "left lung": left[0]},
        opacity_pixels={"right lung": right[1], "left lung": left[1]},
    )


def corners(path):
    """Horizontal and vertical positions that an outline visits."""
    x = [float(n) for n in re.findall(rf"[MH]({NUMBER})", path)]
    y = [float(n) for n in re.findall(rf"V({NUMBER})", path)]
    return x, [float(re.search(rf"M{NUMBER} ({NUMBER})", path)[1]), *y]


def drawn(rows, marked=(), shape=1.0):
    return profile(rows, slice(0, len(rows)), list(marked), shape)


def side(made, lung):
    return next(s for s in made.sides if s.lung is lung)


def test_the_right_lung_is_drawn_to_the_left():
    made = drawn([row(i, right=(100, 10), left=(100, 20)) for i in range(10)])
    middle = made.plot_width / 2
    x_right, _ = corners(side(made, Lung.RIGHT).shares[0])
    x_left, _ = corners(side(made, Lung.LEFT).shares[0])
    assert min(x_right) < middle == max(x_right)
    assert max(x_left) > middle == min(x_left)
    assert max(x_left) - middle == pytest.approx(2 * (middle - min(x_right)), abs=0.2)


def test_the_apex_is_at_the_top():
    rows = [row(i, right=(100, 30 if i < 3 else 0)) for i in range(10)]
    x, y = corners(side(drawn(rows), Lung.RIGHT).shares[0])
    far = [height for position, height in zip(x[1:], y, strict=False) if position < min(x) + 1]
    assert max(far) < drawn(rows).height * 0.35


def test_the_scale_is_the_next_round_number():
    texts = [t.text for t in drawn([row(0, (100, 13)), row(1)]).percent_ticks]
    assert texts == ["20", "10", "0", "10", "20"]


def test_full_involvement_stays_inside_the_drawing():
    made = drawn([row(i, (100, 100), (50, 50)) for i in range(9)])
    for one in made.sides:
        for path in (*one.shares, one.size):
            x, y = corners(path)
            assert min(x) >= 0
            assert max(x) <= made.plot_width
            assert min(y) >= 0
            assert max(y) == pytest.approx(made.height, abs=0.01)


def test_a_few_pixels_of_lung_have_no_share():
    rows = [row(0, right=(1, 1)), *(row(i) for i in range(1, 5)), row(5, right=(1, 1))]
    made = drawn(rows)
    _, y = corners(side(made, Lung.RIGHT).shares[0])
    assert min(y) == pytest.approx(made.height / 6, abs=0.1)
    assert made.percent_ticks[0].text == "2"


def test_a_gap_parts_the_curve():
    rows = [row(i, right=(0 if i == 4 else 100, 0)) for i in range(9)]
    assert len(side(drawn(rows), Lung.RIGHT).shares) == 2


def test_a_missing_lung_has_no_curve():
    made = drawn([row(i, left=(0, 0)) for i in range(9)])
    assert side(made, Lung.LEFT).shares == []


def test_a_slice_is_as_high_as_its_share_of_the_drawing():
    made = profile([row(i) for i in range(20)], slice(5, 15), [2, 5, 14], 1.5)
    assert made.height == pytest.approx(1.5 * made.width)
    assert [(t.text, t.at) for t in made.slice_ticks] == [
        ("6", pytest.approx(made.height / 20)),
        ("15", pytest.approx(made.height * 19 / 20)),
    ]


def test_slice_numbers_do_not_overlap():
    ticks = drawn([row(i) for i in range(300)], range(0, 300, 2)).slice_ticks
    assert min(b.at - a.at for a, b in pairwise(ticks)) >= 10


def test_shares_of_a_real_volume():
    made = drawn(slice_table(volume()))
    x, _ = corners(side(made, Lung.RIGHT).shares[0])
    assert min(x) < made.plot_width / 2

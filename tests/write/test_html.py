import re
import time
from functools import cache
from html.parser import HTMLParser

import numpy as np
import pytest

from groundglass.labels import Lesion
from groundglass.report import NOT_A_MEDICAL_DEVICE, Report
from groundglass.scan import Note, Source
from groundglass.severity import score_all
from groundglass.write.html import page, shown
from tests.write.samples import (
    PATIENT,
    PROVENANCE,
    SHAPE,
    dicom_volume,
    lungs_array,
    pictures,
    report,
    score,
    volume,
)

VOID = {"meta", "img", "br", "link", "path", "line"}


class Page(HTMLParser):
    """Tags, attributes and text of a page; refuses tags that do not close."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def made(findings, **more):
    scores, notes = score_all(findings)
    return Report(findings, scores, PROVENANCE, notes, **more)


EVIL = '"><script>alert(1)</script><img src=x onerror=alert(2)>'

DEGENERATE = {
    "no lesion": lambda: volume(lesions=np.zeros(SHAPE, np.uint8)),
    "all lesion": lambda: volume(lesions=np.ones(SHAPE, np.uint8)),
    "one slice of lesion": lambda: volume(lesions=one_slice_of_lesion()),
    "one slice": lambda: volume(lungs=lungs_array()[10:11]),
    "three slices": lambda: volume(lungs=lungs_array()[10:13]),
    "one lung": lambda: volume(lungs=np.where(lungs_array() == 1, 1, 0)),
    "lung on one slice of many": lambda: volume(lungs=lungs_array() * one_slice_of_lesion(fill=1)),
    "one voxel of lung": lambda: volume(lungs=one_voxel()),
    "thick slices": lambda: volume(spacing_mm=(30.0, 0.5, 0.5)),
    "effusion outside the lungs": lambda: volume(lesions=effusion()),
    "lesions only outside the lungs": lambda: volume(lesions=1 - (lungs_array() > 0)),
    "one picture": lambda: pictures(("only",)),
    "pictures of different sizes": pictures,
    "pictures without lesion": lambda: pictures(lesions=False),
    "tiny pictures": lambda: pictures(("a", "b"), [(8, 16), (16, 24)]),
    "a series of pictures": lambda: pictures([f"s{i}" for i in range(12)], [(60, 90)] * 12),
    "odd names": lambda: pictures((EVIL, "日本 näme", "broken \udcff", "a/b", "")),
}


def one_slice_of_lesion(fill=2):
    lesions = np.zeros(SHAPE, np.uint8)
    lesions[11] = fill
    return lesions


def one_voxel():
    lungs = np.zeros(SHAPE, np.uint8)
    lungs[9, 9, 9] = 1
    return lungs


def effusion():
    lesions = np.zeros(SHAPE, np.uint8)
    lesions[14:20, -4:, 8:20] = Lesion.PLEURAL_EFFUSION
    return lesions


@cache
def page_of(case):
    return page(made(DEGENERATE[case]()))


@pytest.mark.parametrize("case", DEGENERATE)
def test_a_page_is_made_of_anything(case):
    text = page_of(case)
    parsed = Page(text)
    assert "nan" not in re.sub(r"base64,[^\"]*", "", text).lower().split()
    assert parsed.all("img")
    text.encode("utf-8")


@pytest.mark.parametrize("case", DEGENERATE)
def test_a_page_refers_to_nothing_outside_itself(case):
    text = page_of(case)
    parsed = Page(text)
    for tag, attrs in parsed.tags:
        assert tag not in {"script", "link", "iframe", "object", "base"}
        assert not any(name.startswith("on") or name == "href" for name in attrs)
        assert attrs.get("src", "data:").startswith("data:image/jpeg;base64,") or tag != "img"
    assert not re.search(r"(src|href)\s*=\s*[\"']?\s*(https?:)?//", text)
    assert not re.search(r"url\(|@import|https?://", text)
    policy = [m["content"] for m in parsed.all("meta") if "http-equiv" in m]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_everything_a_user_names_is_escaped():
    source = Source(EVIL, EVIL, {EVIL: EVIL})
    findings = volume(source=source)
    provenance = PROVENANCE.model_copy(update={"settings": {EVIL: EVIL}, "system": EVIL})
    evil = Report(findings, (score(),), provenance, (Note(EVIL, EVIL),))
    parsed = Page(page(evil))
    assert not parsed.all("script")
    assert all("onerror" not in attrs for attrs in parsed.all("img"))
    assert parsed.text.count("<script>alert(1)</script>") >= 6
    Page(page(made(pictures((EVIL,)))))


def test_the_patients_name_is_not_on_the_page():
    text = page(report(dicom_volume()))
    for secret in (PATIENT, "Okonkwo", "19700102"):
        assert secret not in text


def test_the_warning_stands_at_the_top_and_at_the_bottom():
    text = page(report())
    assert text.count(NOT_A_MEDICAL_DEVICE) == 2
    assert text.index(NOT_A_MEDICAL_DEVICE) < text.index('class="headlines"')
    assert text.rindex(NOT_A_MEDICAL_DEVICE) > text.index("How this was made")


def test_numbers_read_well():
    text = Page(page(report())).text.replace("\u202f", " ")
    for expected in ("12.3 %", "20.0 %", "< 0.1 %", "CT-1", "4 812 ml", "2 810 ml"):
        assert expected in text
    assert "12.34567" not in text


def test_sections_come_in_reading_order():
    text = page(report())
    order = ["headlines", "Key slices", "From apex to base", "Scores", "Noticed", "How this was"]
    assert sorted(order, key=text.index) == order
    assert "One slice is missing at -102.5 mm." in text
    for fact in ("ab" * 32, "tolerate gap", "numpy 2.4.6", "1.2.4", "lesions 20.0 s"):
        assert fact in text


def test_every_picture_says_what_it_shows():
    images = Page(page(report())).all("img")
    assert len(images) == 2 * 3 + 2
    assert all(len(image["alt"]) > 10 for image in images)
    assert any("ground-glass opacity" in image["alt"] for image in images)


def test_a_healthy_scan_says_so():
    text = Page(page_of("no lesion")).text
    assert "No opacity found." in text
    assert "spread evenly" in text
    assert "consolidation" not in text.partition("From apex")[0]


def test_an_effusion_alone_is_no_opacity_but_is_shown():
    text = Page(page_of("effusion outside the lungs")).text
    assert "No opacity found." in text
    assert "pleural effusion" in text.partition("From apex")[0]
    assert "slices with most lesion" in text


def test_only_kinds_that_were_found_are_in_the_legend():
    legend = re.search(r'<ul class="legend">(.*?)</ul>', page(report()), re.DOTALL)[1]
    assert re.findall(r"</i>([^<]+)</li>", legend) == [
        "right lung",
        "left lung",
        "ground-glass opacity",
        "consolidation",
    ]


def test_pictures_have_no_millimeters_and_no_coronal_view():
    text = Page(page(made(pictures()))).text.partition("Noticed on the way")[0]
    assert " mm" not in text
    assert "ml" not in text.split()
    assert "Coronal" not in text
    assert "From apex to base" not in text


def test_a_series_of_pictures_has_a_curve_by_order():
    text = Page(page_of("a series of pictures")).text
    assert "first picture" in text
    assert "apex" not in text.lower()


def test_a_thousand_pictures_make_a_small_page_that_tells_how_many_are_left_out():
    many = made(pictures([f"picture {i}x{i * 7 % 10}" for i in range(1000)]))
    start = time.perf_counter()
    text = page(many)
    assert time.perf_counter() - start < 5
    assert len(text) < 3_000_000
    assert "18 pictures with the greatest share" in Page(text).text
    assert "982 more are left out" in Page(text).text


def test_noisy_pictures_stay_small():
    rng = np.random.default_rng(1)
    findings = volume(lungs=lungs_array((40, 256, 256)))
    noise = rng.normal(0, 60, findings.scan.slices.shape)
    findings.scan.slices[:] += noise.astype(np.int16)
    assert len(page(made(findings))) < 3_000_000


@pytest.mark.parametrize(
    ("meaning", "unit", "value", "expected"),
    [
        ("CT-2: some", "grade", 2.0, "CT-2"),
        ("CT-2: some", "grade", 4.0, "CT-4"),
        ("moderate", "grade", 2.0, "2"),
        (None, "grade", 3.0, "3"),
        ("CT-2: some", "%", 2.0, "2.0\u202f%"),
    ],
)
def test_grades_go_by_their_names(meaning, unit, value, expected):
    first = 2.0
    graded = score("mosmed_category", first, unit, meaning=meaning)
    assert shown(graded, value) == expected

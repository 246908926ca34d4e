"""How quality control and intervals stand in what is written."""

from dataclasses import replace

from groundglass.report import Outcome
from groundglass.write import write
from groundglass.write.html import interval, page
from groundglass.write.record import read_record, record_of
from tests.write.samples import pictures, quality, report, score, volume
from tests.write.test_html import Page

UNSURE = score(
    "mosmed_category",
    1.0,
    "grade",
    meaning="CT-1: up to 25 % of the lungs",
    interval=(1.0, 2.0),
    caution="the interval, 1 to 2, crosses the published cut-off",
)


def withheld(findings=None):
    return replace(report(findings), scores=(), quality=quality(Outcome.WITHHELD))


def test_an_interval_reads_like_its_score():
    assert interval(score(interval=(11.96, 13.0))) == "12.0\u202f% to 13.0\u202f%"
    assert interval(UNSURE) == "CT-1 to CT-2"
    assert interval(score(interval=(12.01, 12.02))) == "12.0\u202f%"
    assert interval(score()) == ""


def test_the_page_shows_intervals_cautions_and_every_check():
    text = Page(page(replace(report(), scores=(UNSURE,), quality=quality()))).text
    for words in (
        "CT-1 to CT-2",
        "Uncertain: the interval, 1 to 2, crosses",
        "Read with care.",
        "There is metal in the body.",
        "Volume of both lungs 4812 ml pass",
        "Share of the body that is metal 0.7 % warning",
        "withheld above 0.5 % (own limit).",
    ):
        assert words in text, words
    assert "mirrored" not in text


def test_the_page_of_withheld_scores_has_pictures_and_no_number_of_the_disease():
    for findings in (volume(), pictures()):
        shown = Page(page(withheld(findings)))
        assert "Scores withheld." in shown.text
        assert shown.all("img")
        assert "of the lung" not in shown.text.replace("of the lungs", "")
        assert not shown.all("svg")


def test_the_record_holds_quality_and_reads_back(tmp_path):
    (file,) = write(replace(report(), scores=(UNSURE,), quality=quality()), tmp_path, ["json"])
    record = read_record(file)
    assert record.quality.outcome is Outcome.WARNING
    assert record.quality.checks == list(quality().checks)
    assert record.score("mosmed_category").interval == (1.0, 2.0)


def test_withheld_scores_leave_no_number_in_the_record():
    record = record_of(withheld())
    assert record.quality.outcome is Outcome.WITHHELD
    assert record.scores == record.slices == []
    assert record_of(report()).quality is None


def test_formats_that_are_numbers_alone_are_left_out_where_scores_are_withheld(tmp_path):
    files = write(withheld(), tmp_path, ["json", "fhir", "radiomics", "csv"])
    assert [file.name for file in files] == ["report.json", "report.csv"]

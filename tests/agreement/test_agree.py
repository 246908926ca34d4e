import csv
import json

import pytest
from typer.testing import CliRunner

from groundglass.agreement.agree import agree
from groundglass.agreement.write import write_agreement
from groundglass.cli import app
from groundglass.errors import CohortError

OURS = """scan,slices,percentage_of_opacity,ct_severity_score,system,mosmed_category
a,100,10.5,4,baseline,1
b,100,20,9,baseline,1
c,90,35,15,baseline,2
d,90,60,30,baseline,3
e,90,2,1,baseline,
"""

READERS = """scan,reader,ct_severity_score,percentage_of_opacity,comment,slices
d,R1,31,55,big,1
a,R1,4,12,,1
b,R1,10,22,,1
c,R1,15,30,,1
a,R2,5,10,,1
b,R2,9,21,,1
c,R2,13,38,,1
d,R2,28,64,,1
f,R2,28,64,,1
"""


@pytest.fixture
def tables(tmp_path):
    ours, readers = tmp_path / "ours.csv", tmp_path / "readers.csv"
    ours.write_text(OURS)
    readers.write_text(READERS)
    return ours, readers


def test_scores_are_matched_by_column_and_cases_by_name(tables):
    found = agree(*tables)
    assert [s.score for s in found.agreement.scores] == [
        "percentage_of_opacity",
        "ct_severity_score",
    ]
    ratings = found.ratings[1]
    assert ratings.cases == ("a", "b", "c", "d")
    assert ratings.raters == ("ours", "R1", "R2")
    assert ratings.values.tolist() == [[4, 4, 5], [9, 10, 9], [15, 15, 13], [30, 31, 28]]


def test_missing_cases_are_named(tables):
    notes = " ".join(note.message for note in agree(*tables).agreement.notes)
    assert "1 cases are missing from ours: f" in notes
    assert "2 cases are missing from R1: e, f" in notes
    assert "1 cases are missing from R2: e" in notes


def test_grades_have_a_kappa_and_percentages_have_none(tables):
    percent, graded = agree(*tables).agreement.scores
    assert all(pair.kappa is None for pair in percent.pairs)
    assert all(0.9 < pair.kappa <= 1 for pair in graded.pairs)
    assert [(p.first, p.second) for p in graded.pairs] == [
        ("ours", "R1"),
        ("ours", "R2"),
        ("R1", "R2"),
    ]
    assert graded.pairs[0].exact_percent == 50
    assert graded.pairs[0].bias.value == pytest.approx(0.5)
    assert graded.icc_readers.value == graded.pairs[2].icc.value


def test_an_empty_value_leaves_out_its_case_with_a_note(tables):
    ours, readers = tables
    ours.write_text(OURS.replace("b,100,20,9", "b,100,,9"))
    percent, graded = agree(ours, readers).agreement.scores
    assert (percent.cases, graded.cases) == (3, 4)


def test_rows_without_a_case_are_left_out_with_a_note(tables):
    ours, readers = tables
    whole = agree(ours, readers).agreement
    ours.write_text(OURS + ",,,,,\n")
    readers.write_text(READERS + ",R1,,,,\n ,R2,,,,\n,,,,,\n,,,,,\n")
    found = agree(ours, readers).agreement
    assert found.scores == whole.scores
    messages = [note.message for note in found.notes if note.name == "no-case"]
    assert messages == [
        "1 rows of ours.csv name no case; left out.",
        "4 rows of readers.csv name no case; left out.",
    ]


def test_one_reader_needs_no_column_of_readers(tables):
    ours, readers = tables
    readers.write_text("scan,ct_severity_score\na,4\nb,9\nc,15\nd,30\n")
    (score,) = agree(ours, readers).agreement.scores
    assert score.icc_readers is None
    assert score.pairs[0].icc.value == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("patient,ct_severity_score\na,1\n", "no column case or scan in both"),
        ("scan,ct_score\na,1\n", "no score that"),
        ("scan,ct_severity_score\na,1\na,2\n", "the case a twice"),
        ("scan,ct_severity_score\nx,1\ny,2\nz,2\n", "fewer than 3 cases"),
        ("", "no table in"),
        ("scan,reader,ct_severity_score\na, ours,1\n", "the reader 'ours' in"),
        ("scan,reader,ct_severity_score\na,R1,1\nb, ,1\n", "the reader '' in"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tables, text, message):
    ours, readers = tables
    readers.write_text(text)
    with pytest.raises(CohortError, match=message):
        agree(ours, readers)


def test_a_score_that_one_reader_did_not_give_is_that_of_the_others(tables):
    ours, readers = tables
    readers.write_text(READERS.replace("R1,31,55", "R1,31,").replace("R1,4,12", "R1,4,"))
    readers.write_text(readers.read_text().replace("R1,10,22", "R1,10,").replace("15,30", "15,"))
    found = agree(ours, readers)
    assert [ratings.raters for ratings in found.ratings] == [("ours", "R2"), ("ours", "R1", "R2")]
    messages = [note.message for note in found.agreement.notes if note.name == "missing-score"]
    assert messages == ["R1 gave no 'percentage_of_opacity'; left out of it."]


def test_names_are_taken_as_they_stand_and_trimmed(tables, tmp_path):
    ours, readers = tables
    ours.write_text(OURS.replace("a,100", "NA,100"))
    text = READERS.replace("\na,", "\nNA,").replace("b,R1", "b, R1 ").replace("R2", r"N$\foo$")
    readers.write_text(text)
    found = agree(ours, readers)
    assert found.ratings[1].raters == ("ours", r"N$\foo$", "R1")
    assert found.ratings[1].cases == ("NA", "b", "c", "d")
    write_agreement(found, tmp_path / "out")  # a name is no formula


def test_a_value_that_is_no_number_is_told_from_an_empty_one(tables):
    ours, readers = tables
    readers.write_text(READERS.replace("R1,10,22", 'R1,"10,5",22'))
    notes = agree(ours, readers).agreement.notes
    assert [note.message for note in notes if note.name == "no-number"] == [
        "'ct_severity_score' of R1 is no number for b: '10,5' (1 such cases); left out."
    ]


def test_the_page_has_a_plot_for_each_score_and_reader(tables, tmp_path):
    files = write_agreement(agree(*tables), tmp_path / "out")
    assert [f.name for f in files] == ["agreement.html", "agreement.json", "agreement.csv"]
    text = files[0].read_text()
    assert text.count("data:image/png;base64,") == 4
    assert "http" not in text.replace("http-equiv", "")
    assert len(json.loads(files[1].read_text())["scores"]) == 2
    rows = list(csv.DictReader(files[2].read_text().splitlines()))
    assert len(rows) == 6
    assert {row["cases"] for row in rows} == {"4"}


def test_a_reader_named_like_a_formula_is_text_in_the_table(tables, tmp_path):
    ours, readers = tables
    readers.write_text(READERS.replace(",R1,", ",=1+1,"))
    table = write_agreement(agree(ours, readers), tmp_path / "out")[2].read_text()
    rows = list(csv.DictReader(table.splitlines()))
    assert {row[end] for row in rows for end in ("first", "second")} == {"ours", "'=1+1", "R2"}


def test_the_command_says_it_in_a_line_for_each_reader(tables, tmp_path):
    result = CliRunner().invoke(app, ["agree", *map(str, tables), "--out", str(tmp_path / "o")])
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    assert "ct_severity_score, ours and R1, 4 cases: ICC" in result.stderr
    assert "missing-cases" in result.stderr

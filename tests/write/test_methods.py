from groundglass.report import Change, Correction
from groundglass.write.html import page
from groundglass.write.methods import methods
from tests.write.samples import PROVENANCE, report, score


def test_every_fact_of_the_paragraph_is_one_of_the_result():
    made = PROVENANCE.model_copy(
        update={
            "version": "7.8.9",
            "system": "some_system",
            "system_title": "A network of that name",
            "system_doi": "10.1/abc",
            "trained_on": "some scans.",
            "lungs_method": "by hand",
            "regions_source": "given lobes",
        }
    )
    text = str(methods(made, [score()]))
    for fact in (
        "groundglass 7.8.9 [1]",
        "'some_system' (A network of that name) [2]",
        "SHA-256 abababababab",
        "trained on: some scans.",
        "method 'by hand'",
        "given lobes",
        "percentage of opacity",
        "tolerate gap",
        "numpy 2.4.6",
        "[2] A network of that name, doi:10.1/abc",
    ):
        assert fact in text


def test_what_a_result_does_not_have_is_not_claimed():
    bare = PROVENANCE.model_copy(update={"weights_sha256": "", "settings": {}, "libraries": {}})
    text = methods(bare, []).text
    for word in ("weights", "trained", "Lobes", "computed", "Software versions", "corrected"):
        assert word not in text
    assert "defaults" in text


def test_a_publication_is_listed_once_and_in_the_order_of_citation():
    chosen = [
        score("one", reference="B et al."),
        score("two", reference="A et al."),
        score("three", reference="B et al."),
    ]
    told = methods(PROVENANCE, chosen)
    assert told.references[1:] == ("B et al.", "A et al.")
    assert "one [2], two [3] and three [2] were computed" in told.text


def test_a_correction_is_told_with_its_size():
    change = Change(
        dice=0.876, before_ml=1, after_ml=2, added_ml=12.34, removed_ml=0, other_kind_ml=0
    )
    correction = Correction(
        by="A. Reader", created="", file="a", file_sha256="", changes={"both lungs": change}
    )
    made = PROVENANCE.model_copy(update={"corrections": (correction,)})
    text = methods(made, []).text
    assert "corrected by A. Reader (Dice 0.88" in text
    assert "12.3 ml added" in text


def test_the_page_has_the_paragraph_and_its_references():
    text = page(report())
    assert "Methods, for a paper" in text
    assert "groundglass 0.1.0 [1]" in text

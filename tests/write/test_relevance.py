import re
from dataclasses import replace

import numpy as np
import pytest

from groundglass.classification import Classification
from groundglass.report import Answer
from groundglass.write.answer import answer_page
from groundglass.write.html import page
from groundglass.write.relevance import relevance_curve
from tests.write import samples


def classification(slices: int, top: int) -> Classification:
    relevance = np.full(slices, 0.5 / (slices - 1), np.float32)
    relevance[top] = 0.5
    return Classification("some_system", "", {"a": 0.4, "b": 0.6}, True, relevance=relevance)


def answer(top: int) -> Answer:
    report = samples.report()
    findings = report.findings
    said = classification(len(findings.lungs.slices), top)
    return Answer(findings.scan, findings.lungs, report.provenance, None, said)


def test_the_slice_that_weighed_most_reaches_farthest_and_is_named() -> None:
    found = answer(3)
    slices = len(found.lungs.slices)
    curve = relevance_curve(found, slice(0, slices), 1.0)
    assert curve is not None
    assert curve.slice_tick.text == "4"
    assert curve.slice_tick.at == pytest.approx(3.5 * curve.height / slices)
    assert curve.percent_ticks[1].text == "50"
    assert curve.equal_at == pytest.approx(curve.percent_ticks[1].at * 2 / slices)


def test_without_relevance_there_is_no_curve() -> None:
    found = answer(3)
    assert found.classification is not None
    silent = replace(found, classification=replace(found.classification, relevance=None))
    assert relevance_curve(silent, slice(0, 4), 1.0) is None
    assert "Relevance of each slice" not in answer_page(silent)


def test_the_page_of_a_class_shows_curve_and_key_slices() -> None:
    text = answer_page(answer(3))
    assert text.count("Relevance of each slice") == 1
    assert "Slice 4 of" in text
    assert set(re.findall("Slice ([0-9]+) of [0-9]+, [0-9]", text)) == {"4"}


def test_the_report_draws_the_curve_beside_that_of_involvement() -> None:
    report = samples.report()
    slices = len(report.findings.lungs.slices)
    text = page(replace(report, classification=classification(slices, slices // 2)))
    assert text.count("Relevance of each slice") == 1
    assert text.count('<div class="course four">') == 1
    involvement = text.index("Opacified share of each lung")
    assert text.index("Relevance of each slice") > involvement

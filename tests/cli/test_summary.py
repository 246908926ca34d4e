"""What is printed: names as they are, whatever characters they hold."""

from dataclasses import replace

import pytest

from groundglass.classification import Classification, Manifestation
from groundglass.cli.summary import say_classification, say_report
from groundglass.report import Answer
from groundglass.scan import Source
from groundglass.write.answer import answer_record
from tests.write.samples import PROVENANCE, report, volume

NAME = "CT [axial] 2mm"


def test_a_folder_with_brackets_keeps_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    say_report(report(volume(source=Source(NAME, "nifti"))), [])
    assert NAME in capsys.readouterr().err


def test_the_classes_and_signs_of_a_report_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    said = Classification(
        "oracle",
        "",
        {"COVID-19": 0.75, "not COVID-19": 0.25},
        exclusive=True,
        manifestations=(Manifestation("consolidation", 0.4, 0.3),),
    )
    say_report(replace(report(volume()), classification=said), [])
    printed = capsys.readouterr().err
    assert "75.0" in printed
    assert "consolidation: shown" in printed
    assert printed.count("not a medical device") == 1


def test_a_class_with_brackets_keeps_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    findings = volume(source=Source(NAME, "nifti"))
    said = Classification("oracle", "", {"[/x] odd": 0.75, "[red]": 0.25}, exclusive=True)
    answer = Answer(findings.scan, findings.lungs, PROVENANCE, classification=said)
    say_classification(answer_record(answer))
    printed = capsys.readouterr().err
    assert f"{NAME} by oracle" in printed
    assert "[/x] odd" in printed
    assert "[red]" in printed

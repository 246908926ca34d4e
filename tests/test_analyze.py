from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from groundglass.analyze import analyze, segment
from groundglass.data.phantom import Phantom, make_phantom
from groundglass.data.phantom_files import write_nifti, write_phantom
from groundglass.errors import (
    GeometryError,
    NotMeasurableError,
    UnknownNameError,
    UnreadableScanError,
    WeightsError,
)
from groundglass.report import Outcome
from groundglass.scan import CTScan
from groundglass.systems.card import load_card, write_card


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom(0, shape=(48, 128, 128))


@pytest.fixture(scope="module")
def scan(phantom: Phantom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantom(phantom, tmp_path_factory.mktemp("phantom"), "nifti")


def test_an_unknown_system_is_told_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="known: baseline_unet"):
        analyze(tmp_path / "no-such-scan", system="no_such_system")


@pytest.mark.parametrize(
    ("system", "change", "error"),
    [
        ("covid_attention_net", {"weights": None}, WeightsError),
        (
            "specialized_streams",
            {"answers": ("classify",), "modality": "radiograph"},
            NotMeasurableError,
        ),
    ],
    ids=["without weights", "of radiographs"],
)
def test_a_classifier_that_cannot_answer_is_refused_before_anything_is_read(
    system: str, change: dict[str, object], error: type[Exception], tmp_path: Path
) -> None:
    write_card(load_card(system).model_copy(update=change), tmp_path / "card.yaml")
    with pytest.raises(error, match=f"found .*weights .*'{system}'"):
        analyze(tmp_path / "no-such-scan", classifier=str(tmp_path))


def test_lobes_that_are_no_mask_are_refused_before_the_lungs_are_looked_for(scan: Path) -> None:
    stages: list[str] = []
    with pytest.raises(UnreadableScanError, match="give the mask, not the scan"):
        analyze(scan, lobes=scan, progress=lambda stage, _: stages.append(stage))
    assert set(stages) == {"reading"}


def test_lobes_of_pictures_are_refused_before_the_lungs_are_looked_for(
    phantom: Phantom, scan: Path, tmp_path: Path
) -> None:
    stages: list[str] = []
    pictures = write_phantom(phantom, tmp_path, "pictures")
    with pytest.raises(GeometryError, match="found pictures, expected a CT volume"):
        analyze(pictures, lobes=scan, progress=lambda stage, _: stages.append(stage))
    assert set(stages) == {"reading"}


def test_the_percentage_of_opacity_is_near_the_truth(phantom: Phantom, scan: Path) -> None:
    stages: list[str] = []
    report = analyze(scan, progress=lambda stage, _: stages.append(stage))
    opacity = report.score("percentage_of_opacity")
    assert opacity is not None
    assert opacity.value == pytest.approx(phantom.truth["opacity_percent"], abs=2.5)
    right, left = opacity.parts["right lung"], opacity.parts["left lung"]
    assert (right > left) == (
        phantom.truth["right_lung_opacity_percent"] > phantom.truth["left_lung_opacity_percent"]
    )
    expected = ["reading", "lungs", "lesions", "quality", "regions", "scores"]
    assert list(dict.fromkeys(stages)) == expected
    assert report.provenance.lungs_method == "threshold+network"
    assert not report.withheld
    assert opacity.interval is not None
    assert opacity.interval[0] < opacity.value < opacity.interval[1]


def test_variants_of_the_system_widen_the_intervals_on_request(scan: Path) -> None:
    stages: list[str] = []
    plain = analyze(scan).score("percentage_of_opacity")
    report = analyze(scan, uncertainty=True, progress=lambda stage, _: stages.append(stage))
    wide = report.score("percentage_of_opacity")
    assert wide.value == plain.value
    assert wide.interval[0] <= plain.interval[0]
    assert wide.interval[1] >= plain.interval[1]
    assert "uncertainty" in stages
    assert report.provenance.settings == {"uncertainty": "yes"}


def test_withheld_scores_are_not_there_but_the_masks_are(phantom: Phantom, tmp_path: Path) -> None:
    lower_half = phantom.scan.voxels[20:]
    cut = replace(phantom, scan=CTScan(lower_half, phantom.scan.source))
    folder = tmp_path / "cut"
    folder.mkdir()
    report = analyze(write_nifti(cut.scan, folder))
    assert report.withheld
    assert report.scores == ()
    assert report.findings.lobes is None
    assert report.findings.lesions.array.any()
    assert "lungs-cut" in {c.name for c in report.quality.having(Outcome.WITHHELD)}
    assert "lungs-cut" not in {note.name for note in report.notes}


def test_a_picture_without_lungs_among_others_is_noted(phantom: Phantom, tmp_path: Path) -> None:
    pictures = write_phantom(phantom, tmp_path, "pictures")
    for picture in sorted(pictures.iterdir())[:-3]:
        picture.unlink()
    cv2.imwrite(
        str(pictures / "blank.png"),
        np.add.outer(np.arange(128), np.arange(128)).astype(np.uint8) // 8 + 190,
    )
    _, notes = segment(pictures)
    assert any(note.name == "no-lungs" and "'blank'" in note.message for note in notes)

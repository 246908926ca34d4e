"""Pleural effusion from a stream that finds it to mask, report and SEG, and to no score."""

import json
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from numpy.typing import NDArray

from groundglass.analyze import analyze
from groundglass.data.phantom import Phantom, make_phantom
from groundglass.data.phantom_files import write_phantom
from groundglass.data.phantom_lesions import LesionSpec
from groundglass.geometry.frame import Box
from groundglass.intensity import window_hu
from groundglass.labels import Lesion, Lobe, is_opacity
from groundglass.systems import load_system
from groundglass.systems.card import read_card
from groundglass.systems.specialized_streams.predict import Predictor
from groundglass.write import write
from tests.systems.test_specialized_streams import untrained_run

EFFUSION = LesionSpec(Lesion.PLEURAL_EFFUSION, Lobe.RIGHT_LOWER, 22.0)


def finds(phantom: Phantom, monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams of which that of effusion is never wrong, and the others find nothing."""
    true = phantom.lesions.array == Lesion.PLEURAL_EFFUSION
    at = {window_hu(hu).tobytes(): k for k, hu in enumerate(phantom.scan.slices)}

    def fluid(
        _: Predictor, gray: NDArray[np.float32], box: Box
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        found = true[at[gray.tobytes()]].astype(np.float32)
        return found, np.zeros_like(found)

    monkeypatch.setattr(Predictor, "_effusion", fluid)
    monkeypatch.setattr(Predictor, "probabilities", lambda _, gray: gray.repeat(1, 3, 1, 1) * 0)


@pytest.mark.slow
def test_an_effusion_comes_to_mask_report_and_seg_but_is_no_opacity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phantom = make_phantom(3, shape=(40, 96, 128), lesions=[EFFUSION])
    true = phantom.lesions.array == Lesion.PLEURAL_EFFUSION
    write_phantom(phantom, tmp_path / "scan", "dicom")
    run = untrained_run(tmp_path / "run", "labels=[1, 2, 4]", "shared=true", "size_px=[32, 32]")
    assert read_card(run / "card.yaml").labels[2] == "pleural effusion"
    finds(phantom, monkeypatch)

    report = analyze(tmp_path / "scan", system=str(run))
    lungs, lesions = report.findings.lungs.array > 0, report.findings.lesions.array
    assert (true & lungs).any()  # the lungs that are found take in some of it
    found = lesions == Lesion.PLEURAL_EFFUSION
    assert not found[~true].any()
    assert found.sum() > 0.95 * true.sum()
    assert not is_opacity(lesions)[true].any()
    opacity_ml = (is_opacity(lesions) & lungs).sum() * report.findings.lungs.voxel_volume_ml
    opacity = report.score("opacity_volume_ml")
    assert opacity is not None
    assert opacity.value == pytest.approx(opacity_ml)

    out = tmp_path / "out"
    write(report, out, ("html", "json", "seg"))
    assert "pleural effusion" in (out / "report.html").read_text()
    slices = json.loads((out / "report.json").read_text())["slices"]
    told = sum(row["lesion_pixels"].get("pleural effusion", 0) for row in slices)
    assert told == found.sum()
    stored = hd.seg.segread(out / "segmentation.dcm")
    number, *single = [  # the kind as a whole, then single lesions
        number
        for number in stored.segment_numbers
        if stored.get_segment_description(number).segmented_property_type.value == "60046008"
    ]
    assert single
    volume = stored.get_volume(segment_numbers=[number], combine_segments=False)
    assert (volume.array > 0).sum() == found.sum()


def test_a_stream_of_effusion_alone_takes_no_dense_lung_for_a_lesion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dense = LesionSpec(Lesion.CONSOLIDATION, Lobe.RIGHT_LOWER, 16.0)
    phantom = make_phantom(3, shape=(24, 96, 128), lesions=[dense])
    run = untrained_run(tmp_path / "run", "labels=[4]", "size_px=[32, 32]")
    finds(phantom, monkeypatch)
    found = load_system(str(run)).segment(phantom.scan, phantom.lungs)
    assert not found.array.any()

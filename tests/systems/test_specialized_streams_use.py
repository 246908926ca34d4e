"""Specialized streams in use: what the networks are shown, and what is made of their answers."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from groundglass import radiographs
from groundglass.cli import app
from groundglass.data.augment import AugmentConfig
from groundglass.data.phantom import Phantom
from groundglass.errors import UnknownNameError
from groundglass.evaluation.inf_net import most_probable_kind
from groundglass.geometry.frame import Box, Frame
from groundglass.intensity import window_hu
from groundglass.labels import Lesion
from groundglass.scan import CTSlices, Source
from groundglass.systems import load_system
from groundglass.systems.card import load_card, read_card, write_card
from groundglass.systems.specialized_streams import join, predict
from groundglass.systems.specialized_streams.config import Config
from groundglass.systems.specialized_streams.features import FixedViews
from groundglass.systems.specialized_streams.join import join_runs
from groundglass.systems.specialized_streams.network import Recognition, Streams, build_stages
from groundglass.systems.specialized_streams.pictures import enhance
from groundglass.systems.specialized_streams.predict import Predictor
from groundglass.systems.system import need_answer
from tests.read.broken_others import gray_slice, radiograph
from tests.systems.system_tester import phantom
from tests.systems.test_specialized_streams import (
    HOME,
    MANIFESTATIONS,
    RECOGNITION,
    untrained_run,
)
from tests.systems.test_specialized_streams_views import four_cases, frozen_network

__all__ = ["phantom"]

SMALL = "size_px=[32, 48]"


def load(run: Path) -> Predictor:
    system = load_system(str(run))
    assert isinstance(system, Predictor)
    return system


def answering(system: Predictor, *chances: float) -> Predictor:
    """The system with streams that say the same of every pixel."""
    said = torch.logit(torch.tensor(chances))[None, :, None, None]

    def streams(gray: torch.Tensor, stage: str) -> torch.Tensor:
        return said.expand(len(gray), -1, *gray.shape[2:])

    system.network.forward = streams  # type: ignore[method-assign]
    return system


# What is shown to a body that stays as it is.


def test_a_body_is_shown_the_contrast_that_it_was_trained_on() -> None:
    settings = Config.load(HOME / "smoke.yaml", RECOGNITION).network_settings()
    network = build_stages(settings).recognition
    assert network is not None
    seen: list[torch.Tensor] = []
    network.body.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network(torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(-1, -1, 32, 32))
    np.testing.assert_allclose(
        seen[0][:, :, 0, 0], [[-2.118, -2.036, -1.804], [2.249, 2.429, 2.64]], atol=1e-3
    )
    old = {
        name: v
        for name, v in settings.items()
        if name not in {"recognition_mean", "recognition_deviation"}
    }
    network = build_stages(old).recognition
    assert network is not None
    network.body.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network(torch.rand(1, 1, 32, 32) * 0 + 0.25)
    assert (seen[1] == -0.5).all()


def test_features_are_kept_for_one_contrast_alone(tmp_path: Path) -> None:
    def features(network: Recognition) -> torch.Tensor:
        views = FixedViews(
            four_cases(tmp_path), (32, 32), AugmentConfig(), 2, cache=tmp_path / "kept"
        )
        views.take_body(network)
        return views[(1, 2)]["features"]

    plain, standardized = frozen_network(), frozen_network()
    standardized.standardization = ((0.4, 0.4, 0.4), (0.2, 0.2, 0.2))
    assert not torch.equal(features(plain), features(standardized))


@pytest.mark.parametrize(("body", "side"), [("tu-inception_v3", 96), ("tu-xception65", 64)])
def test_the_published_bodies_classify(body: str, side: int) -> None:
    settings = [*RECOGNITION, f"encoder={body}", f"size_px=[{side}, {side}]"]
    network = build_stages(
        Config.load(HOME / "smoke.yaml", settings).network_settings()
    ).recognition
    assert network is not None
    assert network.standardization == ((0.5,) * 3, (0.5,) * 3)
    with torch.inference_mode():
        assert network.eval()(torch.rand(1, 1, side, side)).shape == (1, 2)


def test_the_published_streams_are_aligned_xception() -> None:
    network = Streams("tu-xception65", 1, shared=False, decoder_channels=16).eval()
    with torch.inference_mode():
        assert network(torch.rand(1, 1, 64, 64)).shape == (1, 1, 64, 64)


def test_whole_slices_are_enhanced_and_then_cropped(tmp_path: Path, phantom: Phantom) -> None:
    system = load(untrained_run(tmp_path / "run", SMALL))
    seen: list[np.ndarray] = []
    give = system.probabilities

    def look(gray: torch.Tensor) -> torch.Tensor:
        seen.extend(gray[:, 0].numpy())
        return give(gray)

    system.probabilities = look  # type: ignore[method-assign]
    system.segment(phantom.scan, phantom.lungs)
    shown = [k for k, lung in enumerate(phantom.lungs.slices) if lung.any()]
    box = Box.around(phantom.lungs.array.max(0) > 0, 0.04)
    assert box is not None
    hu = phantom.scan.slices[shown[3]]
    frame = Frame.fit(box, hu.shape, (32, 48))
    expected = np.clip(frame.gray(enhance(window_hu(hu))), 0, 1)
    np.testing.assert_allclose(seen[3], expected, atol=1e-5)


# What is made of the answers.


@pytest.mark.parametrize(
    ("chances", "kind"),
    [((0.4, 0.35), 0), ((0.6, 0.55), 1), ((0.3, 0.8), 2), ((0.45, 0.45), 0)],
)
def test_a_pixel_has_a_kind_where_a_stream_says_so(
    tmp_path: Path, chances: tuple[float, float], kind: int
) -> None:
    system = answering(load(untrained_run(tmp_path / "run", SMALL)), *chances)
    found = system.kind_probabilities(gray_slice())
    assert found is not None
    assert found.sum(0).max() <= 1
    inside = found[:, 40:80, 40:80]
    assert set(np.unique(most_probable_kind(inside)).tolist()) == {kind}


@pytest.mark.parametrize("label", [Lesion.GROUND_GLASS, Lesion.CONSOLIDATION])
def test_a_single_stream_gives_its_own_label(
    tmp_path: Path, phantom: Phantom, label: Lesion
) -> None:
    system = answering(load(untrained_run(tmp_path / "run", SMALL, f"labels=[{int(label)}]")), 0.95)
    lesions = system.segment(phantom.scan, phantom.lungs).array
    assert set(np.unique(lesions).tolist()) == {0, int(label)}


def test_a_manifestation_of_a_volume_is_that_of_its_surest_twentieth(tmp_path: Path) -> None:
    system = load(untrained_run(tmp_path / "run", *MANIFESTATIONS))
    scan = CTSlices(
        tuple(map(str, range(40))), (gray_slice(),) * 40, Source("pictures", "pictures")
    )
    chances = iter(np.r_[0.9, np.full(39, 0.1)])

    def one_sure(gray: torch.Tensor, stage: str) -> torch.Tensor:
        some = torch.tensor([next(chances) for _ in gray])
        return torch.logit(some)[:, None].expand(-1, 2)

    system.network.forward = one_sure  # type: ignore[method-assign]
    said = system.classify(scan)
    assert said.probabilities["consolidation"] == pytest.approx((0.9 + 0.1) / 2)
    assert [note.name for note in said.notes] == ["single-slices"]
    assert [(sign.name, sign.shown) for sign in said.manifestations] == [
        ("ground-glass opacity", True),
        ("consolidation", True),
    ]


def test_signs_that_may_all_be_absent_have_no_headline(tmp_path: Path) -> None:
    run = untrained_run(tmp_path / "run", *MANIFESTATIONS)
    cv2.imwrite(str(tmp_path / "slice.png"), gray_slice())
    result = CliRunner().invoke(
        app,
        [
            "classify",
            str(tmp_path / "slice.png"),
            "--system",
            str(run),
            "--out",
            str(tmp_path / "out"),
        ],
    )
    assert result.exit_code == 0, result.output
    page = (tmp_path / "out" / "classification.html").read_text()
    assert "most likely" not in page
    assert "shown (from" in page


# What is refused, and what is joined.


def test_a_missing_class_map_says_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recognition = untrained_run(tmp_path / "run", *RECOGNITION)
    cv2.imwrite(str(tmp_path / "x.png"), radiograph())
    monkeypatch.setattr(predict, "find_spec", lambda name: None)  # noqa: ARG005
    answer = radiographs.classify_radiograph(tmp_path / "x.png", system=str(recognition))
    assert answer.classification.class_map is None
    assert "groundglass[explain]" in answer.notes[-1].message


@pytest.mark.parametrize(
    ("modality", "picture", "words"),
    [
        ("radiograph", gray_slice(), "expected a chest radiograph"),
        ("ct", radiograph(), "radiograph"),
    ],
)
def test_a_picture_of_the_other_kind_is_refused_from_the_command_line(
    tmp_path: Path, modality: str, picture: np.ndarray, words: str
) -> None:
    run = untrained_run(tmp_path / "run", *RECOGNITION, f"modalities={modality}")
    cv2.imwrite(str(tmp_path / "x.png"), picture)
    out = tmp_path / "out"
    result = CliRunner().invoke(
        app, ["classify", str(tmp_path / "x.png"), "--system", str(run), "--out", str(out)]
    )
    assert result.exit_code == 1
    assert words in result.stderr
    assert not out.exists()


def with_threshold(run: Path, threshold: float) -> Path:
    card = read_card(run / "card.yaml")
    write_card(card.model_copy(update={"lesion_threshold": threshold}), run / "card.yaml")
    return run


def test_the_threshold_of_joined_runs_is_that_of_the_streams(tmp_path: Path) -> None:
    signs = with_threshold(untrained_run(tmp_path / "signs", *MANIFESTATIONS), 0.1)
    streams = with_threshold(untrained_run(tmp_path / "streams", SMALL), 0.7)
    assert join_runs([signs, streams], tmp_path / "joined").lesion_threshold == 0.7
    assert load(tmp_path / "joined").network.stages == ("manifestations", "streams")


def test_a_join_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signs = untrained_run(tmp_path / "signs", *MANIFESTATIONS)
    streams = untrained_run(tmp_path / "streams", SMALL)

    def full(*_: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(join, "write_card", full)
    with pytest.raises(OSError, match="no space"):
        join_runs([signs, streams], tmp_path / "joined")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["signs", "streams"]


def test_a_system_without_weights_is_not_proposed() -> None:
    with pytest.raises(UnknownNameError) as refused:
        need_answer(load_card("baseline_unet"), "classify")
    assert "spatio_temporal_rcnn" in str(refused.value)
    assert "covid_attention_net" not in str(refused.value)

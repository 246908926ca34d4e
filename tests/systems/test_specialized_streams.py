"""Specialized streams: the checks of every system, and its own laws."""

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from groundglass.cli import app
from groundglass.data.augment import AugmentConfig
from groundglass.data.case import Case, read_gray
from groundglass.data.phantom import Phantom
from groundglass.errors import ConfigError, NotMeasurableError
from groundglass.evaluation.protocols import PROTOCOLS
from groundglass.evaluation.seeds import read_metric
from groundglass.labels import Lesion
from groundglass.mask import Mask
from groundglass.scan import CTSlices, Radiograph, Source
from groundglass.systems import load_system
from groundglass.systems.card import home, load_card, read_card, write_card
from groundglass.systems.specialized_streams.effusion import add_effusion
from groundglass.systems.specialized_streams.join import join_runs
from groundglass.systems.specialized_streams.losses import (
    any_opacity_loss,
    manifestation_loss,
    stream_loss,
)
from groundglass.systems.specialized_streams.network import Recognition
from groundglass.systems.specialized_streams.pictures import (
    EnhancedPictures,
    EqualSampler,
    enhance,
)
from groundglass.systems.specialized_streams.predict import Predictor
from groundglass.systems.specialized_streams.training import Config, Module, settle
from groundglass.training.run import save_weights
from tests.read.broken_others import gray_slice, radiograph
from tests.systems.system_tester import SystemTester, cohort_table, phantom, pictures

__all__ = ["cohort_table", "phantom", "pictures"]

HOME = home("specialized_streams")
CLASSES = "classes={sick: [s], well: [w]}"
RECOGNITION = ["stage=recognition", CLASSES, "size_px=[64, 64]"]
MANIFESTATIONS = ["stage=manifestations", "size_px=[32, 32]", "filters=[2, 2]"]


class TestSpecializedStreams(SystemTester):
    name = "specialized_streams"
    parameters_m = 6.41
    recipe = "recipe_any_opacity.yaml"


def untrained_run(folder: Path, *overrides: str, cases: list[Case] | None = None) -> Path:
    """The folder of a run that learned nothing."""
    torch.manual_seed(0)
    config = Config.load(HOME / "smoke.yaml", list(overrides))
    module = Module.start(config, []).eval()
    folder.mkdir(parents=True)
    weights = {
        "file": "weights.safetensors",
        "sha256": save_weights(module.network, folder / "weights.safetensors"),
        "parameters_m": 0.1,
        "license": "none",
        "trained_on": "nothing",
        "seed": 0,
        "config": config.digest(),
    }
    card = load_card("specialized_streams")
    card = card.model_validate(
        {
            **card.model_dump(),
            "network": config.network_settings(),
            "size_px": config.size_px,
            "weights": weights,
        }
    )
    write_card(settle(module, card, cases or []), folder / "card.yaml")
    return folder


@pytest.fixture(scope="module")
def recognition(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained_run(tmp_path_factory.mktemp("runs") / "recognition", *RECOGNITION)


def test_a_run_answers_what_its_stage_can(recognition: Path, tmp_path: Path) -> None:
    card = read_card(recognition / "card.yaml")
    assert (card.answers, card.labels, card.modality) == (("classify",), ("sick", "well"), "both")
    streams = read_card(untrained_run(tmp_path / "streams") / "card.yaml")
    assert (streams.answers, streams.modality) == (("segment",), "ct")


@pytest.mark.slow
def test_three_runs_are_joined_to_one_pipeline(
    recognition: Path, tmp_path: Path, phantom: Phantom
) -> None:
    manifestations = untrained_run(tmp_path / "manifestations", *MANIFESTATIONS)
    streams = untrained_run(tmp_path / "streams")
    joined = tmp_path / "joined"
    card = join_runs([recognition, manifestations, streams], joined)
    assert card.answers == ("segment", "classify")
    whole, alone = load_system(str(joined)), load_system(str(recognition))
    assert isinstance(whole, Predictor)
    assert isinstance(alone, Predictor)
    assert whole.network.stages == ("recognition", "manifestations", "streams")
    both, one = (s.classify(phantom.scan, phantom.lungs) for s in (whole, alone))
    assert both.probabilities == one.probabilities
    signs = {sign.name: sign.probability for sign in both.manifestations}
    found = whole.find_manifestations(phantom.scan, phantom.lungs)
    assert signs == found.probabilities
    assert both.manifestations == found.manifestations
    assert both.notes[-1].name == "single-slices"
    assert list(signs) == ["ground-glass opacity", "consolidation"]
    assert not one.manifestations
    assert "it may say where the picture comes from" in both.notes[0].message
    with pytest.raises(ConfigError, match="expected it once"):
        join_runs([streams, streams], tmp_path / "twice")
    with pytest.raises(NotMeasurableError, match="stage 'streams'"):
        alone.segment(phantom.scan, phantom.lungs)


def test_the_command_joins_runs(recognition: Path, tmp_path: Path) -> None:
    manifestations = untrained_run(tmp_path / "manifestations", *MANIFESTATIONS)
    out = tmp_path / "joined"
    result = CliRunner().invoke(
        app, ["join-stages", str(recognition), str(manifestations), "--out", str(out)]
    )
    assert result.exit_code == 0, result.output
    assert read_card(out / "card.yaml").answers == ("classify",)
    of_rays = untrained_run(tmp_path / "rays", *RECOGNITION, "modalities=radiograph")
    with pytest.raises(ConfigError, match="use it by itself"):
        join_runs([of_rays, manifestations], tmp_path / "refused")


def test_weights_of_ct_refuse_a_radiograph_and_the_other_way_round(
    tmp_path: Path, phantom: Phantom
) -> None:
    shown = Radiograph(radiograph(), Source("x", "pictures"))
    of_ct = load_system(str(untrained_run(tmp_path / "ct", *RECOGNITION, "modalities=ct")))
    of_rays = load_system(str(untrained_run(tmp_path / "x", *RECOGNITION, "modalities=radiograph")))
    assert isinstance(of_ct, Predictor)
    assert isinstance(of_rays, Predictor)
    with pytest.raises(NotMeasurableError, match="found a radiograph, expected a CT"):
        of_ct.classify(shown)
    with pytest.raises(NotMeasurableError, match="found a CT, expected a radiograph"):
        of_rays.classify(phantom.scan, phantom.lungs)
    assert sum(of_rays.classify(shown).probabilities.values()) == pytest.approx(1)


def test_a_radiograph_is_classified_from_the_command_line(
    recognition: Path, tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "x.png"), radiograph())
    out = tmp_path / "out"
    result = CliRunner().invoke(
        app, ["classify", str(tmp_path / "x.png"), "--system", str(recognition), "--out", str(out)]
    )
    assert result.exit_code == 0, result.output
    assert {"classification.html", "classification.json"} <= {p.name for p in out.iterdir()}
    assert "it may have learned those" in (out / "classification.html").read_text()


def test_the_class_map_lies_on_the_picture_and_is_of_the_class(recognition: Path) -> None:
    pytest.importorskip("captum")
    system = load_system(str(recognition))
    assert isinstance(system, Predictor)
    shown = Radiograph(radiograph()[:, :100], Source("x", "pictures"))
    maps = [system.class_map(shown, 0, name) for name in ("sick", "well")]
    assert maps[0].shape == shown.pixels.shape
    assert all(one.min() >= 0 and one.max() <= 1 for one in maps)
    assert not np.array_equal(maps[0], maps[1])
    assert not any(p.requires_grad for p in system.network.recognition.body.parameters())  # type: ignore[union-attr]


def test_a_frozen_body_learns_nothing_and_keeps_its_statistics() -> None:
    network = Recognition("mobilenet_v2", 2, frozen=True).train()
    before = {name: value.clone() for name, value in network.body.state_dict().items()}
    network(torch.rand(2, 1, 32, 32)).sum().backward()
    for name, value in network.body.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert network.output.weight.grad is not None
    assert all(parameter.grad is None for parameter in network.body.parameters())


def test_a_stream_learns_from_its_own_manifestation_alone() -> None:
    lesions = torch.tensor([[[0, 1], [2, 3]]], dtype=torch.uint8)
    labels = (Lesion.GROUND_GLASS, Lesion.CONSOLIDATION)
    logits = torch.zeros(1, 2, 2, 2, requires_grad=True)
    stream_loss(logits, lesions, labels).backward()
    assert logits.grad is not None
    assert not logits.grad[..., 1, 1].any()  # its kind is not known
    assert logits.grad[0, 0, 0, 1] < 0 < logits.grad[0, 1, 0, 1]
    alone = torch.zeros(1, 1, 2, 2, requires_grad=True)
    stream_loss(alone, lesions, labels[:1]).backward()
    assert alone.grad is not None
    torch.testing.assert_close(alone.grad[0, 0], logits.grad[0, 0])


def test_a_lesion_of_unknown_kind_asks_for_one_stream_or_another() -> None:
    labels = (Lesion.GROUND_GLASS, Lesion.CONSOLIDATION, Lesion.PLEURAL_EFFUSION)
    hidden = torch.tensor([[[0, 3], [0, 3]]], dtype=torch.uint8)
    logits = torch.full((1, 3, 2, 2), -1.0, requires_grad=True)
    any_opacity_loss(logits, hidden, labels).backward()
    assert logits.grad is not None
    assert (logits.grad[0, :2, :, 1] < 0).all()  # both may rise
    assert (logits.grad[0, :2, :, 0] > 0).all()
    assert not logits.grad[0, 2].any()  # effusion is no opacity

    def loss(first: float, second: float) -> float:
        pair = torch.full((1, 2, 2, 2), -20.0)
        pair[0, :, :, 1] = torch.tensor([first, second])[:, None]
        return float(any_opacity_loss(pair, hidden, labels[:2]))

    assert loss(20, -20) == pytest.approx(0, abs=1e-4)
    assert loss(-20, 20) == pytest.approx(0, abs=1e-4)
    assert loss(-20, -20) > 5
    named = torch.tensor([[[0, 1], [0, 2]]], dtype=torch.uint8)
    assert any_opacity_loss(logits, named, labels).item() == 0


def test_slices_that_name_manifestations_are_drawn_more_often(tmp_path: Path) -> None:
    image = tmp_path / "slice.png"
    cv2.imwrite(str(image), np.full((32, 32), 90, np.uint8))
    masks = {"named": "1:1 2:2", "hidden": "1:3"}
    cases = [
        Case(
            case=f"{name}{k}",
            patient=name,
            split="train",
            image=image,
            lesions=image,
            lesions_values=values,
        )
        for name, values in masks.items()
        for k in range(20)
    ]
    config = Config.load(HOME / "smoke.yaml", ["kinds_weight=3", "draws_per_epoch=4000"])
    drawn = Counter(cases[index].patient for _, index in Module.train_data(config, cases).sampler)
    assert drawn["named"] / drawn["hidden"] == pytest.approx(3, rel=0.2)


def test_the_loss_of_manifestations_is_as_worked_out_by_hand() -> None:
    """Each of two labels costs log 2 at even chances; a slice of unknown kind costs nothing."""
    lesions = torch.tensor([[[0, 1]], [[0, 3]], [[255, 255]]], dtype=torch.uint8)
    labels = (Lesion.GROUND_GLASS, Lesion.CONSOLIDATION)
    loss = manifestation_loss(torch.zeros(3, 2), lesions, labels)
    assert loss.item() == pytest.approx(2 * np.log(2))


def test_weights_of_one_stream_start_every_stream(tmp_path: Path) -> None:
    nodules = Module.start(Config.load(HOME / "smoke.yaml", ["labels=[3]"]), [])
    save_file(nodules.network.state_dict(), tmp_path / "nodules.safetensors")
    module = Module.start(Config.load(HOME / "smoke.yaml", []), [])
    renamed = module.fit_start_weights(dict(nodules.network.state_dict()))
    missing = module.network.load_state_dict(renamed, strict=False)
    assert not missing.missing_keys
    assert not missing.unexpected_keys


def test_effusion_is_taken_outside_the_lungs_alone(phantom: Phantom) -> None:
    """The phantom's own effusion, given as a perfect stream, comes back; lungs stay as they are."""
    true = phantom.lesions.array == Lesion.PLEURAL_EFFUSION
    assert true.any()
    slices = iter([k for k in range(len(true)) if phantom.lungs.array[k].any()])
    from groundglass.geometry.frame import Box
    from groundglass.systems.specialized_streams.effusion import MARGIN

    around = Box.around(phantom.lungs.array.max(0) > 0, MARGIN)
    nothing = Mask.on(phantom.scan, np.zeros_like(phantom.lungs.array), Lesion)

    def perfect(gray: np.ndarray, box: Box) -> tuple[np.ndarray, np.ndarray]:
        fluid = true[next(slices)]
        assert gray.shape == fluid.shape
        assert box == around
        return fluid.astype(np.float32), np.zeros(fluid.shape, np.float32)

    found = add_effusion(phantom.scan, phantom.lungs, nothing, perfect, 0.5)
    inside = phantom.lungs.array > 0
    shown = inside.any((1, 2))
    assert not found.array[inside].any()
    wanted = true & ~inside & shown[:, None, None]
    share = (found.array == Lesion.PLEURAL_EFFUSION)[wanted].mean()
    assert share > 0.95


@pytest.mark.slow
def test_a_stream_of_effusion_runs_on_a_scan(tmp_path: Path, phantom: Phantom) -> None:
    run = untrained_run(tmp_path / "run", "labels=[1, 2, 4]", "size_px=[32, 32]")
    system = load_system(str(run))
    for number in (0, 2):  # inside the lungs that of effusion is no surer than that of opacity
        system.network.streams.networks[number].segmentation_head[0].bias.data.fill_(50.0)  # type: ignore[attr-defined]
    lesions = system.segment(phantom.scan, phantom.lungs)
    effusion = lesions.array == Lesion.PLEURAL_EFFUSION
    assert effusion.any()
    assert not effusion[phantom.lungs.array > 0].any()


def _cases(folder: Path) -> list[Case]:
    cv2.imwrite(str(folder / "x.png"), gray_slice())
    rows = [("a", "p", "s1", "s", "ct"), ("b", "p", "s1", "s", "ct"), ("c", "q", "", "w", "ct")]
    rows += [("d", "r", "", "w", "radiograph")]
    return [
        Case.model_validate(
            {
                "case": case,
                "patient": patient,
                "series": series,
                "split": "train",
                "image": folder / "x.png",
                "label": label,
                "modality": modality,
                "lesions": "none",
            }
        )
        for case, patient, series, label, modality in rows
    ]


def test_a_loss_is_told_of_cases_alone_whose_truth_is_known(tmp_path: Path) -> None:
    config = Config.load(HOME / "smoke.yaml", [])
    cases = _cases(tmp_path)
    unknown = [case.model_copy(update={"lesions": None}) for case in cases]
    assert [case.case for case in Module.with_truth(config, cases)] == ["a", "b", "c"]
    assert Module.with_truth(config, unknown) == []
    assert Module.with_truth(config, [cases[0].model_copy(update={"image": tmp_path})]) == []


def test_slices_of_one_series_are_augmented_alike(tmp_path: Path) -> None:
    shown = EnhancedPictures(_cases(tmp_path), (32, 32), AugmentConfig(shear_deg=5.0), 0, {"s": 0})
    first, second, other = (shown[(3, k)]["gray"] for k in range(3))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert [int(shown[k]["class"]) for k in range(4)] == [0, 0, -1, -1]


def test_every_group_is_drawn_equally_often(tmp_path: Path) -> None:
    sampler = EqualSampler(_cases(tmp_path), 3000, 0, ["x", "x", "y", "z"])
    drawn = np.bincount([index for _, index in sampler], minlength=4)
    np.testing.assert_allclose([drawn[:2].sum(), drawn[2], drawn[3]], 1000, atol=120)


def test_enhancing_keeps_gray_within_its_range(tmp_path: Path) -> None:
    flat = enhance(np.full((64, 64), 0.5, np.float32))
    assert np.ptp(flat) < 0.02
    slice_ = gray_slice().astype(np.float32) / 255
    enhanced = enhance(slice_)
    assert enhanced.min() >= 0
    assert enhanced.max() <= 1
    assert enhanced.std() > 0.5 * slice_.std()
    assert read_gray(_cases(tmp_path)[0].image).shape == slice_.shape


def test_thresholds_are_chosen_on_the_validation_split(tmp_path: Path) -> None:
    masks = {"white": np.full((128, 160), 1, np.uint8), "none": np.zeros((128, 160), np.uint8)}
    cases = []
    for name, mask in masks.items():
        cv2.imwrite(str(tmp_path / f"{name}.png"), gray_slice(4 if name == "none" else 5))
        cv2.imwrite(str(tmp_path / f"{name}-mask.png"), mask)
        cases.append(
            Case.model_validate(
                {
                    "case": name,
                    "patient": name,
                    "split": "val",
                    "image": tmp_path / f"{name}.png",
                    "lesions": tmp_path / f"{name}-mask.png",
                    "lesions_values": "1:1",
                }
            )
        )
    run = untrained_run(tmp_path / "run", *MANIFESTATIONS, cases=cases)
    system = load_system(str(run))
    assert isinstance(system, Predictor)
    thresholds = system.manifestation_thresholds()
    assert thresholds["consolidation"] == 0.5  # none of the slices shows any
    assert 0 < thresholds["ground-glass opacity"] < 1


def test_a_picture_of_a_slice_can_be_classified(recognition: Path, pictures: CTSlices) -> None:
    system = load_system(str(recognition))
    assert isinstance(system, Predictor)
    said = system.classify(pictures)
    assert said.by_slice is not None
    assert said.by_slice.shape == (4, 2)


def test_pictures_of_a_cohort_are_judged_by_the_protocol(recognition: Path, tmp_path: Path) -> None:
    system = load_system(str(recognition))
    measured = PROTOCOLS["classes"]
    entries = measured.look(system, _cases(tmp_path), None)
    assert [one.true.tolist() for one in entries] == [[True, False]] * 2 + [[False, True]] * 2
    facts = {"system": "x", "weights_sha256": "", "cohort": "c", "split": "test"}
    evaluation = measured.sum_up({**facts, "cases": 9, "patients": 9}, entries).evaluation
    assert (evaluation.cases, evaluation.patients) == (4, 3)
    assert read_metric(evaluation, "overall/accuracy") is not None

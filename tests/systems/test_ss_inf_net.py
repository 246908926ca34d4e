"""Self-supervised Inf-Net: the checks of every system, and its own laws."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from groundglass.data.augment import Augment
from groundglass.data.cohort import UNKNOWN, Cohort
from groundglass.errors import CohortError, ConfigError
from groundglass.geometry.frame import Box, Frame
from groundglass.labels import Lesion
from groundglass.networks.encoder import build_encoder, channels_of, start_encoder
from groundglass.scan import CTSlices
from groundglass.systems import load_system
from groundglass.systems.card import home
from groundglass.systems.ss_inf_net import pretext
from groundglass.systems.ss_inf_net.blocks import ReverseAttention
from groundglass.systems.ss_inf_net.kinds import KindsNetwork
from groundglass.systems.ss_inf_net.losses import (
    edge_loss,
    edge_of,
    edge_weights,
    kinds_loss,
    segmentation_loss,
)
from groundglass.systems.ss_inf_net.network import InfNet, kind_chances
from groundglass.systems.ss_inf_net.training import Config, Module, build_network
from groundglass.training.train import train
from tests.systems.system_tester import SystemTester, cohort_table, phantom, pictures

__all__ = ["cohort_table", "phantom", "pictures"]

SMOKE = home("ss_inf_net") / "smoke.yaml"
KINDS = ["kinds=unet", "kinds_encoder=mobilenet_v2", "kinds_channels=[8, 8, 8, 8, 8]"]


class TestSsInfNet(SystemTester):
    name = "ss_inf_net"
    parameters_m = 6.77
    recipe = "recipe_kinds.yaml"


@pytest.fixture
def speck() -> torch.Tensor:
    """One pixel of lesion in the middle of 63 x 63."""
    target = torch.zeros(1, 1, 63, 63)
    target[0, 0, 31, 31] = 1
    return target


def test_a_pixel_weighs_by_how_far_it_differs_from_its_surroundings(speck: torch.Tensor) -> None:
    weights = edge_weights(speck)[0, 0]
    assert weights[31, 31].item() == pytest.approx(1 + 5 * (1 - 1 / 961))
    assert weights[31, 46].item() == pytest.approx(1 + 5 / 961)
    assert weights[31, 47].item() == pytest.approx(1)


def test_the_weights_act_in_the_loss_as_worked_out_by_hand(speck: torch.Tensor) -> None:
    """A missed pixel counts by its weight; were the weights to cancel it would count 1 / 3969."""
    logits = torch.full_like(speck, -10.0)
    at_speck, near, far = 1 + 5 * 960 / 961, 1 + 5 / 961, 1.0
    weight = at_speck + 960 * near + 3008 * far
    missed, right = math.log1p(math.exp(10)), math.log1p(math.exp(-10))
    per_pixel = (at_speck * missed + (weight - at_speck) * right) / weight
    p = 1 / (1 + math.exp(10))
    both = at_speck * p
    either = p * weight + at_speck - both
    expected = per_pixel + 1 - (both + 1) / (either + 1)
    loss = segmentation_loss(logits, speck, edge_weights(speck))
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert expected == pytest.approx(0.8757, abs=1e-4)
    assert per_pixel > 5 * missed / 3969


def test_unknown_pixels_do_not_count(speck: torch.Tensor) -> None:
    known = torch.ones_like(speck)
    known[..., :20] = 0
    weights = edge_weights(speck) * known
    logits = torch.zeros_like(speck)
    other = logits.clone()
    other[..., :20] = 9.0
    assert segmentation_loss(logits, speck, weights) == segmentation_loss(other, speck, weights)
    assert edge_loss(logits, speck, known) == edge_loss(other, speck, known)


def test_focal_loss_cares_less_for_what_is_already_right(speck: torch.Tensor) -> None:
    logits = torch.full_like(speck, -3.0)
    weights = edge_weights(speck)
    focal = segmentation_loss(logits, speck, weights, "focal")
    assert focal < segmentation_loss(logits, speck, weights, "cross-entropy")


def test_the_edge_lies_on_both_sides_of_the_border() -> None:
    target = torch.zeros(1, 1, 8, 8)
    target[..., 2:6, 2:6] = 1
    edge = edge_of(target)[0, 0]
    assert edge.sum() == 36 - 4
    assert edge[3:5, 3:5].sum() == 0


def test_kinds_of_unspecified_lesion_teach_nothing() -> None:
    lesions = torch.tensor([[[[0, 1, 2, 3]]]])
    told = lesions != Lesion.UNSPECIFIED
    logits = torch.zeros(1, 3, 1, 4, requires_grad=True)
    loss = kinds_loss(logits, lesions, told)
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2))
    assert logits.grad is not None
    assert not logits.grad[..., 3].any()


def test_reverse_attention_hands_on_what_it_cannot_refine() -> None:
    """Where the coarser map is sure, no feature comes through: only the edges can add."""
    attention = ReverseAttention(4, 2, 4).eval()
    features, edges = torch.rand(1, 4, 6, 6), torch.zeros(1, 2, 12, 12)
    sure = torch.full((1, 1, 6, 6), 40.0)
    first, second = attention(features, edges, sure), attention(features * 5, edges, sure)
    torch.testing.assert_close(first, second)
    unsure = torch.full((1, 1, 6, 6), -40.0)
    assert not torch.allclose(
        attention(features, edges, unsure), attention(features * 5, edges, unsure)
    )


@pytest.mark.parametrize("encoder", ["resnet18", "tu-resnet10t"])
def test_any_encoder_gives_five_maps_of_the_inputs_size(encoder: str) -> None:
    network = InfNet(encoder, width=8, coarse_width=8).eval()
    with torch.inference_mode():
        maps = network(torch.rand(1, 1, 64, 96))
    assert [tuple(m.shape) for m in maps] == [(1, 1, 64, 96)] * 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("encoder", "parameters_m"), [("resnet50", 30.45), ("tu-res2net50_26w_4s", 30.59)]
)
def test_the_publications_backbones_build(encoder: str, parameters_m: float) -> None:
    """Inf-Net states 33.1 million; its count holds the backbone's unused last layer, 2.05."""
    network = InfNet(encoder)
    millions = sum(p.numel() for p in network.parameters()) / 1e6
    assert millions == pytest.approx(parameters_m, abs=0.01)


def test_an_unknown_encoder_is_refused() -> None:
    with pytest.raises(ConfigError, match="resnet51"):
        build_encoder("resnet51")


def test_an_encoder_of_six_channels_starts_as_if_it_saw_three(tmp_path: Path) -> None:
    three = build_encoder("mobilenet_v2").eval()
    save_file(three.state_dict(), tmp_path / "start.safetensors")
    six = build_encoder("mobilenet_v2", in_channels=6).eval()
    start_encoder(six, "mobilenet_v2", str(tmp_path / "start.safetensors"))
    image = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        expected = three(image)[-1]
        found = six(torch.cat([image, torch.rand(1, 3, 64, 64)], 1))[-1]
    torch.testing.assert_close(found, expected)
    assert channels_of(six)[0] == 6


def test_scales_follow_one_another_and_stay_multiples_of_32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = Module.start(Config.load(SMOKE, ["scales=[0.75, 1.0, 1.25]"]), [])
    gray = torch.rand(2, 1, 96, 128)
    sides = []
    for step in range(4):
        monkeypatch.setattr(Module, "global_step", step)
        sides.append(tuple(module._at_scale(gray, gray)[0].shape[-2:]))
    assert sides == [(64, 96), (96, 128), (128, 160), (64, 96)]
    module.eval()
    assert module._at_scale(gray)[0].shape[-2:] == (96, 128)


@pytest.mark.parametrize("decoder", ["unet", "fcn8s"])
def test_both_decoders_tell_three_classes(decoder: str) -> None:
    network = KindsNetwork("mobilenet_v2", decoder, (8, 8, 8, 8, 8))  # type: ignore[arg-type]
    gray, prior = torch.rand(2, 1, 64, 64), torch.rand(2, 1, 64, 64)
    assert network(gray, prior).shape == (2, 3, 64, 64)
    network.output().reset_parameters()


def test_the_second_stage_leaves_the_first_network_as_it_is(cohort_table: Path) -> None:
    config = Config.load(SMOKE, ["stage=kinds", *KINDS])
    module = Module.start(config, [])
    module.network.lesion.eval()
    batch = {
        "gray": torch.rand(2, 1, 96, 128),
        "lesions": torch.randint(0, 3, (2, 96, 128), dtype=torch.uint8),
    }
    batch["lesions"][:, :10] = UNKNOWN
    module.losses(batch)["loss"].backward()
    assert all(p.grad is not None for p in module.network.second.parameters())
    assert all(p.grad is None for p in module.network.lesion.parameters())


def test_slices_without_a_mask_are_not_judged() -> None:
    module = Module.start(Config.load(SMOKE, []), []).eval()
    lesions = torch.zeros((2, 64, 64), dtype=torch.uint8)
    lesions[0] = UNKNOWN
    with torch.inference_mode():
        unknown, known = module.overlaps({"gray": torch.rand(2, 1, 64, 64), "lesions": lesions})
    assert unknown == {}
    assert set(known) == {"lesion"}


@pytest.mark.parametrize("name", ["recipe_paper.yaml", "recipe_paper_kinds.yaml"])
def test_the_published_recipes_change_nothing_of_a_slice(name: str) -> None:
    config = Config.load(home("ss_inf_net") / name, [])
    gray = np.random.default_rng(0).random((64, 96)).astype(np.float32)
    assert config.size_px == (352, 352)
    frame, mirrored = Augment.seeded(config.augment, 0).frame(
        Frame.fit(Box.whole(gray.shape), gray.shape, (64, 96))
    )
    assert not mirrored
    np.testing.assert_allclose(frame.gray(gray), gray, atol=1e-5)
    np.testing.assert_allclose(Augment.seeded(config.augment, 0).gray(gray), gray, atol=1e-5)


def test_the_published_pretraining_loads() -> None:
    config = pretext.Config.load(home("ss_inf_net") / "pretrain_paper.yaml", [])
    assert (config.rounds, config.batch_size, config.keep) == (10, 64, 0.75)


def test_a_second_network_that_would_stay_untrained_is_refused() -> None:
    with pytest.raises(ConfigError, match="would stay untrained"):
        Config.load(SMOKE, KINDS)


def test_slices_without_a_mask_are_not_drawn(cohort_table: Path) -> None:
    cases = list(Cohort.read([cohort_table]).split("train"))
    config = Config.load(SMOKE, ["draws_per_epoch=64"])
    unmasked = [case.model_copy(update={"lesions": None}) for case in cases[1:]]
    loader = Module.train_data(config, [cases[0], *unmasked])
    assert len(loader.dataset) == 1
    assert list(Module.with_truth(config, [cases[0], *unmasked])) == [cases[0]]
    with pytest.raises(CohortError, match="lesions"):
        Module.train_data(config, unmasked)


def test_kinds_need_a_second_network() -> None:
    with pytest.raises(ConfigError, match="set kinds"):
        Module.start(Config.load(SMOKE, ["stage=kinds"]), [])


def test_both_stages_make_a_system_that_tells_kinds(
    cohort_table: Path, tmp_path: Path, pictures: CTSlices
) -> None:
    train("ss_inf_net", [cohort_table], tmp_path / "first", recipe=SMOKE, overrides=["epochs=1"])
    first = tmp_path / "first" / "weights.safetensors"
    overrides = ["epochs=1", "stage=kinds", f"start_weights={first}", *KINDS]
    train("ss_inf_net", [cohort_table], tmp_path / "second", recipe=SMOKE, overrides=overrides)
    kept = load_file(tmp_path / "second" / "weights.safetensors")
    for parameter, value in load_file(first).items():
        assert torch.equal(kept[parameter], value), parameter
    alone, both = load_system(str(tmp_path / "first")), load_system(str(tmp_path / "second"))
    picture = pictures.slices[0]
    assert alone.kind_probabilities(picture) is None  # type: ignore[attr-defined]
    kinds = both.kind_probabilities(picture)  # type: ignore[attr-defined]
    assert kinds.shape == (2, *picture.shape)
    np.testing.assert_array_equal(
        alone.lesion_probability(picture),  # type: ignore[attr-defined]
        both.lesion_probability(picture),  # type: ignore[attr-defined]
    )


def test_chances_of_the_kinds_add_up_to_at_most_one() -> None:
    logits = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 4
    alone = logits.sigmoid()[:, 1:]
    more = alone.sum(1, keepdim=True) > 1
    assert more.any()
    chances = kind_chances(logits)
    assert chances.sum(1).max() <= 1 + 1e-6
    same = ~more.expand_as(alone)
    torch.testing.assert_close(chances[same], alone[same])
    torch.testing.assert_close(chances.argmax(1), alone.argmax(1))


def test_the_network_of_a_config_has_a_second_part_only_where_asked_for() -> None:
    assert build_network(Config.load(SMOKE, [])).kinds is None
    assert build_network(Config.load(SMOKE, ["stage=kinds", *KINDS])).kinds is not None

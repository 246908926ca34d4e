"""COVID-CT-Mask-Net: the checks of every system, and its own laws."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from groundglass.data.cohort import UNKNOWN, Case, Cohort
from groundglass.data.slices import SliceDataset
from groundglass.errors import CohortError
from groundglass.geometry.frame import Box, Frame
from groundglass.labels import Lesion
from groundglass.systems.card import home, load_card
from groundglass.systems.covid_ct_mask_net.backbone import Backbone
from groundglass.systems.covid_ct_mask_net.instances import instances_of
from groundglass.systems.covid_ct_mask_net.network import KINDS, CovidCtMaskNet, build_network
from groundglass.systems.covid_ct_mask_net.predict import box_on_slice
from groundglass.systems.covid_ct_mask_net.settings import NetworkConfig
from groundglass.systems.covid_ct_mask_net.training import Config, Module
from tests.systems.system_tester import SystemTester, cohort_table, phantom, pictures

__all__ = ["cohort_table", "phantom", "pictures"]

HOME = home("covid_ct_mask_net")
SMOKE = HOME / "smoke.yaml"
LIGHT = ("network.strides=[16]", "network.coarser_levels=0", "network.mask_channels=[128]")
CLASSES = (
    *("stage=classes", "network.ranked=24", "network.class_units=16", "trained=S"),
    "monitor=val/accuracy",
)


class TestCovidCtMaskNet(SystemTester):
    name = "covid_ct_mask_net"
    parameters_m = 1.58
    published_parameters_m = 11.45
    published_settings = (
        *("network.encoder=resnet34", "network.pyramid_channels=256", "network.mask_units=256"),
        *("network.anchor_sizes_px=[2,4,8,16,32]", "network.kinds=both"),
        *LIGHT,
    )


def config(*overrides: str, recipe: Path = SMOKE) -> Config:
    return Config.load(recipe, list(overrides))


def millions(*overrides: str) -> float:
    shape = config("encoder_weights=none", *overrides, recipe=HOME / "recipe_paper.yaml").network
    with torch.device("meta"):
        network = build_network(shape)
    return sum(p.numel() for p in network.parameters()) / 1e6


@pytest.fixture(scope="module")
def small() -> CovidCtMaskNet:
    """Both networks of the smoke recipe, for classes, in test mode."""
    torch.manual_seed(0)
    return build_network(config(*CLASSES).network, "lesions").eval()


def redrawn(part: torch.nn.Module) -> None:
    """New random weights for a layer that has some."""
    if isinstance(part, torch.nn.Linear):
        part.reset_parameters()


def test_the_lightweight_forms_have_the_published_sizes() -> None:
    assert millions("network.encoder=resnet18", *LIGHT) == pytest.approx(6.12, abs=0.005)
    assert millions("network.encoder=resnet34", *LIGHT) == pytest.approx(11.45, rel=0.006)


def test_module_s_has_the_published_size() -> None:
    assert millions("network.ranked=256") - millions() == pytest.approx(2.26, abs=0.005)


@pytest.mark.parametrize("encoder", ["resnet18", "mobilenet_v2", "tu-resnet10t"])
def test_an_encoder_is_cut_off_behind_its_last_level(encoder: str) -> None:
    backbone = Backbone(encoder, (8, 16), 1, 8)
    levels = backbone(torch.zeros(1, 3, 64, 64))
    assert [tuple(level.shape) for level in levels.values()] == [
        (1, 8, 8, 8),
        (1, 8, 4, 4),
        (1, 8, 2, 2),
    ]
    torch.stack([level.sum() for level in levels.values()]).sum().backward()
    assert all(p.grad is not None for p in backbone.parameters())


def test_start_weights_reach_what_is_left_of_an_encoder(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    from groundglass.networks.encoder import build_encoder

    whole = build_encoder("mobilenet_v2")
    save_file(whole.state_dict(), tmp_path / "start.safetensors")
    backbone = Backbone("mobilenet_v2", (8,), 0, 8)
    backbone.start(str(tmp_path / "start.safetensors"))
    for name, value in backbone.encoder.state_dict().items():
        assert torch.equal(value, whole.state_dict()[name])


def test_instances_are_touching_pixels_of_one_kind() -> None:
    lesions = np.zeros((20, 30), np.uint8)
    lesions[2:6, 3:9] = Lesion.GROUND_GLASS
    lesions[6:9, 9:12] = Lesion.GROUND_GLASS  # touches by a corner
    lesions[2:6, 20:25] = Lesion.CONSOLIDATION
    lesions[15, 15] = Lesion.CONSOLIDATION  # too small
    lesions[12:19, 0:4] = UNKNOWN
    lesions[10:14, 20:28] = Lesion.PLEURAL_EFFUSION
    both = instances_of(lesions, KINDS["both"], 4)
    assert both["boxes"].tolist() == [[3, 2, 12, 9], [20, 2, 25, 6]]
    assert both["labels"].tolist() == [1, 2]
    assert both["masks"].sum((1, 2)).tolist() == [33, 20]
    assert instances_of(lesions, KINDS["ggo"], 4)["labels"].tolist() == [1]
    lesions[2:6, 9:20] = Lesion.UNSPECIFIED
    assert instances_of(lesions, KINDS["merged"], 4)["boxes"].tolist() == [[3, 2, 25, 9]]


def shown_as(cases: list[Case], values: str, count: int) -> list[Case]:
    """The first cases with other meanings of their values, or with no mask at all."""
    update = {"lesions_values": values} if values else {"lesions": None, "lesions_values": ""}
    return [c.model_copy(update=update) if k < count else c for k, c in enumerate(cases)]


def test_slices_without_a_mask_are_not_learned_as_healthy(cohort_table: Path) -> None:
    cases = list(Cohort.read([cohort_table]).split("train"))
    some = shown_as(cases, "", 2)
    for data in (Module.train_data, Module.val_data):
        assert data(config(), some).dataset.cases == (cases[2],)
    assert Module.with_truth(config(), some) == [cases[2]]
    with pytest.raises(CohortError, match="whose lesions are known"):
        Module.train_data(config(), shown_as(cases, "", 3))


def test_lesions_of_unspecified_kind_are_not_learned_as_healthy(cohort_table: Path) -> None:
    cases = list(Cohort.read([cohort_table]).split("train"))
    hiding = shown_as(cases, "1:3 2:3 3:3", 2)
    for kinds in ("both", "ggo"):
        telling = config(f"network.kinds={kinds}")
        for data in (Module.train_data, Module.val_data):
            with pytest.raises(CohortError, match=f"'{cases[0].case}' .2 such cases.*kinds=merged"):
                data(telling, hiding)
        assert Module.with_truth(telling, hiding) == [cases[2]]
    merged = config("network.kinds=merged")
    assert len(Module.train_data(merged, hiding).dataset) == 3
    assert Module.with_truth(merged, hiding) == hiding


def test_a_slice_without_lesion_has_no_instance_and_teaches_without_fault() -> None:
    torch.manual_seed(0)
    module = Module.start(config(), [])
    empty = torch.zeros(2, 96, 128, dtype=torch.uint8)
    assert instances_of(empty[0].numpy(), KINDS["both"], 4)["boxes"].shape == (0, 4)
    losses = module.losses({"gray": torch.rand(2, 1, 96, 128), "lesions": empty})
    losses["loss"].backward()
    assert torch.isfinite(losses["loss"])
    assert losses["loss_mask"] == 0
    assert losses["loss_objectness"] > 0


@given(st.sampled_from(["random", "black", "white", "lung"]), st.integers(0, 9))
@settings(max_examples=12)
def test_there_are_always_n_ranked_boxes(small: CovidCtMaskNet, kind: str, seed: int) -> None:
    torch.manual_seed(seed)
    small.lesions.roi_heads.box_predictor.apply(redrawn)
    gray = {
        "random": torch.rand(1, 1, 64, 96),
        "black": torch.zeros(1, 1, 64, 96),
        "white": torch.ones(1, 1, 64, 96),
        "lung": torch.zeros(1, 1, 64, 96) + (torch.arange(96) % 40 < 12) * 0.8,
    }[kind]
    with torch.no_grad():
        ranked = small.rank(gray)
    assert ranked.features.shape == (1, 24, 5)
    assert torch.isfinite(ranked.features).all()
    scores = ranked.features[0, :, -1]
    assert (scores.diff() <= 0).all()
    assert ((scores >= 0) & (scores <= 1)).all()
    assert (ranked.labels > 0).all()


@pytest.fixture(scope="module")
def shipped() -> CovidCtMaskNet:
    """The shipped network that finds lesions, with a module S behind it that never learned."""
    card = load_card("covid_ct_mask_net")
    shape = NetworkConfig.model_validate({**card.network, "ranked": 128, "class_units": 16})
    network = build_network(shape, "lesions").eval()
    assert card.weights is not None
    stored = load_file(HOME / card.weights.file)
    network.load_state_dict({k: v.to(torch.float32) for k, v in stored.items()}, strict=False)
    return network


@pytest.mark.parametrize("kind", ["black", "white", "noise"])
def test_the_shipped_weights_rank_n_boxes_where_there_is_no_lesion(
    shipped: CovidCtMaskNet, kind: str
) -> None:
    torch.manual_seed(0)
    gray = {"black": torch.zeros, "white": torch.ones, "noise": torch.rand}[kind](1, 1, 192, 256)
    with torch.no_grad():
        ranked, logits = shipped.rank(gray), shipped.class_logits(gray)
    assert ranked.features.shape == (1, 128, 5)
    assert torch.isfinite(ranked.features).all()
    assert (ranked.labels > 0).all(), "none of them is filled up"
    assert (ranked.features[0, :, -1].diff() <= 0).all()
    assert torch.isfinite(logits).all()


def test_too_few_predictions_are_filled_up_with_zeros(small: CovidCtMaskNet) -> None:
    shape = small.config.model_copy(update={"ranked": 400})
    network = build_network(shape, "lesions").eval()
    ranked = network.rank(torch.zeros(1, 1, 32, 32))
    assert ranked.features.shape == (1, 400, 5)
    none = ranked.labels[0] == 0
    assert none.any()
    assert not ranked.features[0, none].any()
    assert network.class_logits(torch.zeros(1, 1, 32, 32)).shape == (1, 3)


def test_boxes_of_a_slice_do_not_depend_on_its_batch(small: CovidCtMaskNet) -> None:
    gray = torch.rand(2, 1, 64, 96)
    with torch.no_grad():
        both, second = small.rank(gray), small.rank(gray[1:])
    torch.testing.assert_close(both.features[1], second.features[0], atol=1e-4, rtol=1e-4)


def labeled_batch() -> dict[str, torch.Tensor]:
    gray = torch.rand(2, 1, 96, 128)
    return {"gray": gray, "label": torch.tensor([0, 2]), "case": torch.tensor([0, 1])}


def gradients(trained: str) -> dict[str, bool]:
    """Parts of the network that a step of the second stage moves."""
    torch.manual_seed(0)
    module = Module.start(config(*CLASSES, f"trained={trained}"), [])
    batch = labeled_batch()
    module.losses(batch)["loss"].backward()
    rcnn = module.network.lesions
    parts = {
        "encoder": rcnn.backbone.encoder,
        "pyramid": rcnn.backbone.pyramid,
        "rpn convolution": rcnn.rpn.head.conv,
        "rpn objectness": rcnn.rpn.head.cls_logits,
        "rpn boxes": rcnn.rpn.head.bbox_pred,
        "roi": rcnn.roi_heads.box_predictor,
        "masks": rcnn.roi_heads.mask_head,
        "S": module.network.classes,
    }
    return {
        name: any(p.grad is not None and bool(p.grad.any()) for p in part.parameters())
        for name, part in parts.items()
    }


def test_a_gradient_reaches_everything_but_the_masks_when_all_is_trained() -> None:
    assert gradients("all") == {
        **dict.fromkeys(
            ("encoder", "pyramid", "rpn convolution", "rpn objectness", "rpn boxes", "roi"), True
        ),
        "masks": False,
        "S": True,
    }


def test_a_gradient_reaches_nothing_but_s_when_s_is_trained() -> None:
    reached = gradients("S")
    assert reached.pop("S")
    assert not any(reached.values())


@pytest.mark.parametrize(("trained", "times"), [("S", 1), ("S+BN", 2)])
def test_boxes_are_looked_for_once_a_slice_where_no_step_moves_them(
    trained: str, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    module = Module.start(config(*CLASSES, f"trained={trained}"), [])
    module.train()
    asked = []
    rank = module.network.rank
    monkeypatch.setattr(module.network, "rank", lambda gray: asked.append(1) or rank(gray))
    batch = labeled_batch()
    first, second = (module.losses(batch)["loss"] for _ in range(2))
    assert len(asked) == times
    torch.testing.assert_close(first, second)
    module.eval()
    module.losses({**batch, "gray": torch.rand(2, 1, 96, 128)})
    assert len(asked) == times + 1, "a validation slice is another slice"


def test_with_batch_norm_only_scale_and_offset_of_the_encoder_are_moved_besides_s() -> None:
    module = Module.start(config(*CLASSES, "trained=S+BN"), [])
    groups = {group["name"]: group["params"] for group in module.groups}
    assert set(groups) == {"S", "BN"}
    encoder = module.network.lesions.backbone.encoder
    norms = [m for m in encoder.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert len(groups["BN"]) == 2 * len(norms)
    assert all(p.requires_grad for p in groups["BN"])
    assert sum(p.requires_grad for p in encoder.parameters()) == len(groups["BN"])


def test_batch_statistics_stay_frozen_while_classes_are_trained() -> None:
    module = Module.start(config(*CLASSES, "trained=all"), [])
    module.train()
    before = {k: v.clone() for k, v in module.network.state_dict().items() if "running" in k}
    batch = labeled_batch()
    module.losses(batch)["loss"].backward()
    after = module.network.state_dict()
    assert before
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert not module.network.lesions.training
    assert module.network.classes is not None
    assert module.network.classes.training


def test_frozen_statistics_do_not_move_while_lesions_are_trained(cohort_table: Path) -> None:
    module = Module.start(config("statistics=frozen"), [])
    module.train()
    before = {k: v.clone() for k, v in module.network.state_dict().items() if "running" in k}
    gray, lesions = torch.rand(1, 1, 96, 128), torch.zeros(1, 96, 128, dtype=torch.uint8)
    lesions[:, 20:50, 20:60] = 1
    module.losses({"gray": gray, "lesions": lesions})
    assert all(torch.equal(v, module.network.state_dict()[k]) for k, v in before.items())


def test_only_the_heads_learn_when_the_heads_are_trained() -> None:
    module = Module.start(config("trained=heads", "statistics=frozen"), [])
    encoder = module.network.lesions.backbone.encoder
    assert not any(p.requires_grad for p in encoder.parameters())
    assert all(p.requires_grad for p in module.network.lesions.rpn.parameters())


@given(
    st.tuples(st.floats(0, 60), st.floats(0, 40), st.floats(61, 118), st.floats(41, 84)),
    st.tuples(st.integers(0, 20), st.integers(0, 20)),
)
def test_a_box_lies_on_the_slice_where_its_pixels_do(box, start) -> None:
    """A box around a rectangle drawn through the frame is the rectangle, but for a pixel."""
    top, left = start
    frame = Frame.fit(Box(top, left, top + 60, left + 90), (100, 140), (96, 128))
    on_slice = box_on_slice(frame, list(box))
    y, x = (np.array(on_slice[:2]) + np.array(on_slice[2:])) / 2 - 0.5
    seen = frame.matrix @ np.array([x, y, 1])
    middle = ((box[0] + box[2]) / 2 - 0.5, (box[1] + box[3]) / 2 - 0.5)
    inside = on_slice[0] > 0 and on_slice[1] > 0 and on_slice[2] < 100 and on_slice[3] < 140
    if inside:
        assert seen == pytest.approx(middle, abs=1e-6)
        assert (on_slice[3] - on_slice[1]) * frame.scale == pytest.approx(box[2] - box[0])


def test_a_run_whose_lesions_moved_answers_classes_alone() -> None:
    assert config(*CLASSES, "trained=all").answers() == ("classify",)
    assert config(*CLASSES).answers() == ("segment", "detect", "classify")


@pytest.mark.parametrize("name", sorted(file.name for file in HOME.glob("recipe*.yaml")))
def test_recipes_load(name: str) -> None:
    loaded = Config.load(HOME / name, [])
    assert loaded.system == "covid_ct_mask_net"
    assert name.endswith("classes.yaml") == (loaded.stage == "classes")


@pytest.mark.parametrize("name", ["recipe_paper.yaml", "recipe_paper_classes.yaml"])
def test_the_published_recipes_show_slices_as_they_are(name: str, cohort_table: Path) -> None:
    """Neither changed nor drawn more often for being healthy, and in full precision."""
    loaded = Config.load(HOME / name, [])
    assert loaded.healthy_weight == 1
    assert loaded.precision == "32-true"
    cases = Cohort.read([cohort_table]).split("train")
    shown, changed = (SliceDataset(cases, (96, 128), a) for a in (None, loaded.augment))
    for item in ("gray", "lesions"):
        torch.testing.assert_close(shown[0][item], changed[(0, 0)][item], atol=1e-6, rtol=0)


def test_the_published_classifier_is_that_of_table_3() -> None:
    loaded = Config.load(HOME / "recipe_paper_classes.yaml", [])
    network = loaded.network
    assert (network.ranked, network.class_units, network.ranked_nms) == (256, 1760, 0.75)
    assert (loaded.optimizer, loaded.learning_rate, loaded.weight_decay) == ("adam", 1e-5, 1e-3)
    assert (loaded.epochs, loaded.batch_size, loaded.schedule) == (50, 8, "constant")
    lesions = Config.load(HOME / "recipe_paper.yaml", []).network
    shape = {"ranked", "class_units"}
    assert network.model_dump(exclude=shape) == lesions.model_dump(exclude=shape)


def test_module_s_of_the_recipe_fits_behind_its_mask_rcnn() -> None:
    lesions = Config.load(HOME / "recipe.yaml", []).network
    classes = Config.load(HOME / "recipe_classes.yaml", []).network
    module_s = {"ranked", "class_units"}
    assert lesions.model_dump(exclude=module_s) == classes.model_dump(exclude=module_s)

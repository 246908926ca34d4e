"""The spatio-temporal system: the checks of every system, and its own laws."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from groundglass.data.cohort import Cohort
from groundglass.data.phantom import make_phantom
from groundglass.errors import ConfigError
from groundglass.labels import Lung
from groundglass.mask import Mask
from groundglass.scan import CTScan
from groundglass.systems import load_system
from groundglass.systems.card import home
from groundglass.systems.spatio_temporal_rcnn.blocks import Neck, TinyUnet
from groundglass.systems.spatio_temporal_rcnn.detector import Instances, find_targets
from groundglass.systems.spatio_temporal_rcnn.network import Answer, as_input
from groundglass.systems.spatio_temporal_rcnn.predict import _parts_of_volume
from groundglass.systems.spatio_temporal_rcnn.stages import stage_by_share, stage_of
from groundglass.systems.spatio_temporal_rcnn.training import (
    Config,
    Module,
    build_network,
    stage_loss,
)
from tests.systems.system_tester import SystemTester, cohort_table, phantom, pictures

__all__ = ["cohort_table", "phantom", "pictures"]

SMOKE = home("spatio_temporal_rcnn") / "smoke.yaml"


class TestSpatioTemporalRcnn(SystemTester):
    name = "spatio_temporal_rcnn"
    parameters_m = 3.29
    recipe = "recipe_larger.yaml"


def module_of(*overrides: str) -> Module:
    torch.manual_seed(0)
    return Module.start(Config.load(SMOKE, list(overrides)), [])


def batch_of(lesions: Tensor) -> dict[str, Tensor]:
    """Three gray slices around a mask, all of it lung."""
    gray = torch.rand(len(lesions), 3, *lesions.shape[1:])
    return {"gray": gray, "lesions": lesions, "lungs": torch.ones_like(lesions)}


def square() -> Tensor:
    lesions = torch.zeros(2, 64, 96, dtype=torch.uint8)
    lesions[0, 10:30, 20:50] = 3
    return lesions


def moved(module: Module, batch: dict[str, Tensor]) -> set[str]:
    """First names of the parts that a gradient of the loss reaches."""
    module.losses(batch)["loss"].backward()
    named = module.network.named_parameters()
    return {n.split(".")[0] for n, p in named if p.grad is not None and p.grad.abs().any()}


def test_slices_without_lesion_masks_have_no_loss_on_a_split(cohort_table: Path) -> None:
    config, cases = Config.load(SMOKE, []), Cohort.read([cohort_table]).cases
    hidden = cases[0].model_copy(update={"lesions": None, "lesions_values": ""})
    folder = cases[1].model_copy(update={"image": cohort_table.parent})
    assert list(Module.with_truth(config, [hidden, folder, *cases[2:]])) == list(cases[2:])


def test_overlaps_of_proposals_rise() -> None:
    with pytest.raises(ConfigError, match=r"roi_overlap.*rising"):
        module_of("roi_overlap=[0.5, 0.3]")


def test_the_temporal_stage_leaves_the_spatial_resolver_as_it_is() -> None:
    module = module_of("stage=temporal")
    assert moved(module, batch_of(square())) == {"temporal"}
    trained = {id(parameter) for parameter in module.parameters_to_train()}
    assert not trained & {id(p) for p in module.network.spatial.parameters()}


def test_the_detector_teaches_both_resolvers() -> None:
    parts = moved(module_of("stage=detector"), batch_of(square()))
    assert parts == {"spatial", "temporal", "neck", "detector"}


def test_decoders_are_cut_off_for_the_detector() -> None:
    network = module_of("stage=detector").network
    assert network.spatial.decoder is None
    assert network.temporal.decoder is None
    assert module_of("stage=temporal").network.temporal.decoder is not None


@pytest.mark.parametrize(("stride", "grid"), [(16, (4, 6)), (8, (8, 12)), (4, (16, 24))])
def test_the_detector_sees_a_grid_of_its_stride(stride: int, grid: tuple[int, int]) -> None:
    network = module_of("stage=detector", f"stride={stride}").network
    features, _ = network.detector_features(as_input(torch.rand(1, 3, 64, 96)))
    assert features["0"].shape == (1, 16, *grid)


def test_a_finer_neck_still_sees_the_coarsest_level() -> None:
    neck = Neck((2, 3), 4).eval()
    fine, coarse = torch.rand(1, 2, 8, 8), torch.rand(1, 3, 4, 4, requires_grad=True)
    neck([torch.rand(1, 1, 16, 16), fine, coarse])["0"].sum().backward()
    assert coarse.grad is not None
    assert coarse.grad.abs().any()


PYRAMID = ("stage=detector", "stride=pyramid", "anchors_px=[8, 16, 32, 64]")


def test_the_detector_sees_a_pyramid_of_the_resolvers() -> None:
    module = module_of(*PYRAMID)
    features, stage = module.network.detector_features(as_input(torch.rand(1, 3, 64, 96)))
    sizes = {level: tuple(grid.shape[2:]) for level, grid in features.items()}
    assert sizes == {"0": (16, 24), "1": (8, 12), "2": (4, 6), "3": (2, 3)}
    assert stage is not None
    assert moved(module, batch_of(square())) == {"spatial", "temporal", "neck", "detector"}


def test_mask_rcnn_sees_the_middle_slice_alone() -> None:
    network = module_of("form=mask-rcnn", "anchors_px=[8, 16, 32, 64]").network.eval()
    gray = torch.rand(1, 3, 64, 96)
    other = gray.clone()
    other[:, [0, 2]] = 0
    one, two = (network.detector_features(as_input(g))[0] for g in (gray, other))
    assert all(torch.equal(one[level], two[level]) for level in one)


def test_the_slice_below_comes_first_as_in_training() -> None:
    made = make_phantom(3, shape=(4, 48, 64))
    marked = made.scan.slices.copy()
    marked[:] = np.array([-1000, -900, -800, -700])[:, None, None]
    scan = CTScan(made.scan.voxels.with_array(marked), made.scan.source)
    lungs = Mask.on(scan, np.ones_like(marked, np.uint8), Lung)
    _, _, (below, middle, above) = list(_parts_of_volume(scan, lungs, (48, 64)))[1]
    grays = [shown[1].mean() for shown in (below, middle, above) if shown is not None]
    assert grays == sorted(grays, reverse=True)
    assert len(grays) == 3


def test_a_slice_without_neighbors_lies_between_empty_ones() -> None:
    gray = torch.rand(1, 1, 4, 4)
    shown = as_input(gray)
    torch.testing.assert_close(shown[:, 1:2], gray * 2 - 1)
    assert (shown[:, [0, 2]] == -1).all()


def test_forms_refuse_stages_and_anchors_that_they_do_not_have() -> None:
    with pytest.raises(ConfigError, match="temporal"):
        module_of("form=spatial", "stage=temporal")
    with pytest.raises(ConfigError, match="expected 4"):
        module_of("form=mask-rcnn", "anchors_px=[8]")
    with pytest.raises(ConfigError, match="stride 'pyramid', expected 4"):
        module_of("stride=pyramid", "anchors_px=[8]")


def test_stages_follow_the_share_of_lung_that_is_lesion() -> None:
    lungs = torch.ones(6, 1, 8)
    lesions = torch.zeros(6, 1, 8)
    for number, pixels in enumerate((0, 2, 3, 5)):
        lesions[number, 0, :pixels] = 3
    lesions[4] = 255
    lesions[5, 0, 0] = 3
    lungs[5] = 255
    assert stage_by_share(lungs, lesions).tolist() == [0, 1, 2, 3, 255, 255]


def test_the_stage_of_a_case_is_that_of_its_cohort_else_of_its_extent(cohort_table: Path) -> None:
    case = Cohort.read([cohort_table]).cases[0]
    system = cast("Any", load_system("spatio_temporal_rcnn"))
    assert stage_of(case.model_copy(update={"stage": 2})) == 2
    assert stage_of(case.model_copy(update={"lesions": "none", "lesions_values": ""})) == 0
    unknown = case.model_copy(update={"lesions": None, "lesions_values": ""})
    assert stage_of(unknown) is None
    assert system.truth(unknown) is None
    assert system.truth(case.model_copy(update={"modality": "radiograph"})) is None
    true = system.truth(case)
    chances, said, exclusive = system.judge(case)
    assert list(chances) == list(said) == list(true)
    assert sum(chances.values()) == pytest.approx(1, abs=1e-5)
    assert sum(true.values()) == sum(said.values()) == 1
    assert exclusive


def test_unknown_stages_cost_nothing() -> None:
    logits = torch.zeros(2, 4, requires_grad=True)
    assert stage_loss(logits, torch.tensor([255, 255])).item() == 0
    known = stage_loss(logits, torch.tensor([255, 1]))
    assert known.item() == pytest.approx(torch.log(torch.tensor(4.0)).item())


def test_specks_are_no_targets() -> None:
    lesions = torch.zeros(1, 20, 20, dtype=torch.bool)
    lesions[0, 2, 2] = True
    lesions[0, 5:9, 6:12] = True
    (target,) = find_targets(lesions, smallest_px=4)
    assert target["boxes"].tolist() == [[6, 5, 12, 9]]
    assert target["masks"].sum() == 24


def test_healthy_slices_cost_no_mask_and_break_nothing() -> None:
    batch = batch_of(torch.zeros(2, 64, 96, dtype=torch.uint8))
    parts = module_of().losses(batch)
    assert parts["mask"].item() == 0
    assert torch.isfinite(parts["loss"])


def test_unsure_instances_are_not_lesion() -> None:
    boxes = torch.tensor([[0.0, 0, 8, 8], [8, 0, 16, 8]])
    masks = torch.ones(2, 1, 4, 4)
    found = Instances(boxes, torch.tensor([0.9, 0.3]), masks, (8, 16))
    lesion = found.lesion(0.5)
    assert lesion[4, 4] > 0.5
    assert lesion[4, 12] == 0
    assert not Instances(boxes[:0], torch.zeros(0), masks[:0], (8, 16)).lesion(0.5).any()


class Ramp(torch.nn.Module):
    """Finds one lesion whose mask rises from 0 at the left to 1 at the right."""

    def forward(self, gray: Tensor) -> Answer:
        rising = torch.linspace(0, 1, 28).expand(1, 1, 28, 28)
        size = (gray.shape[-2], gray.shape[-1])
        box = torch.tensor([[20.0, 20.0, 76.0, 76.0]])
        found = Instances(box, torch.tensor([0.9]), rising, size)
        return Answer(found.lesion(0.5)[None], None, [found])


def test_pixels_of_a_lesion_are_those_over_the_threshold_of_the_card() -> None:
    system = cast("Any", load_system("spatio_temporal_rcnn"))
    system.network = Ramp()
    picture = np.full(system.card.size_px, 60, np.uint8)
    widths = []
    for threshold in (0.5, 0.75):
        system.card = system.card.model_copy(update={"lesion_threshold": threshold})
        (one,) = system.find_between([None, picture, None])
        widths.append(int(one.mask.any(0).sum()))
    assert widths[0] == pytest.approx(28, abs=2)
    assert widths[1] == pytest.approx(14, abs=2)


def test_boxes_end_at_the_borders_of_the_slice() -> None:
    """A narrow slice of 200 columns lies in the middle third of an input of 600."""

    class Beyond(torch.nn.Module):
        def forward(self, gray: Tensor) -> Answer:
            boxes = torch.tensor([[100.0, 50, 300, 150], [10, 50, 150, 150]])
            size = (gray.shape[-2], gray.shape[-1])
            found = Instances(boxes, torch.tensor([0.9, 0.8]), torch.ones(2, 1, 28, 28), size)
            return Answer(found.lesion(0.5)[None], None, [found])

    system = cast("Any", load_system("spatio_temporal_rcnn"))
    system.network = Beyond()
    system.card = system.card.model_copy(update={"size_px": (200, 600)})
    (one,) = system.find_between([None, np.full((200, 200), 60, np.uint8), None])
    assert one.box == pytest.approx((0, 50, 100, 150))


def test_the_mask_branch_keeps_the_size_and_stands_no_regions() -> None:
    branch = TinyUnet(6, 4).eval()
    assert branch(torch.rand(3, 6, 16, 16)).shape == (3, 4, 16, 16)
    assert branch(torch.rand(0, 6, 16, 16)).shape == (0, 4, 16, 16)


def test_proposals_between_the_overlaps_teach_nothing() -> None:
    network = build_network(Config.load(SMOKE, ["roi_overlap=[0.3, 0.5]"]))
    matches = network.detector.regions.proposal_matcher(torch.tensor([[0.2, 0.4, 0.6]]))
    assert matches.tolist() == [-1, -2, 0]

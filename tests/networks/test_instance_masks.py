"""Masks lie where training took them from."""

import pytest
import torch
from torch import Tensor
from torchvision.models.detection.roi_heads import project_masks_on_boxes

from groundglass.metrics.instances import connected_lesions
from groundglass.networks.instance_masks import lay_mask, paste_masks


def disk(diameter: float, row: float, column: float) -> Tensor:
    rows, columns = torch.meshgrid(torch.arange(64), torch.arange(96), indexing="ij")
    return (rows - row) ** 2 + (columns - column) ** 2 <= (diameter / 2) ** 2


def learned(true: Tensor, side: int = 32) -> tuple[Tensor, Tensor]:
    """Small mask of a branch that has learned its targets to perfection, and the box."""
    boxes, masks = connected_lesions(true.numpy())
    box = torch.from_numpy(boxes)
    mask = torch.from_numpy(masks).to(torch.uint8)
    return project_masks_on_boxes(mask, box, torch.tensor([0]), side)[:, None], box


@pytest.mark.parametrize("diameter", [4, 5, 8, 13, 30])
def test_a_mask_learned_to_perfection_is_the_lesion(diameter: float) -> None:
    true = disk(diameter, 30, 40)
    found = paste_masks(*learned(true), (64, 96))[0] > 0.5
    assert (found & true).sum() / (found | true).sum() > 0.99


def test_masks_end_at_the_border_of_the_slice() -> None:
    true = disk(20, 2, 94)
    found = paste_masks(*learned(true), (64, 96))[0] > 0.5
    assert (found & true).sum() / (found | true).sum() > 0.99


def test_a_mask_on_the_slice_lies_where_the_slice_shows_the_lesion() -> None:
    on_slice = torch.nn.functional.interpolate(
        disk(8, 30, 40)[None, None].float(), scale_factor=2, mode="bilinear"
    )[0, 0]
    # pixel i of a slice twice as large has its center at i / 2 - 1 / 4 on the input
    (small,), (box,) = learned(disk(8, 30, 40))
    found = lay_mask(small, box, (0.5, 0.5), (-0.25, -0.25), (128, 192)) > 0.5
    true = on_slice > 0.5
    assert (found & true).sum() / (found | true).sum() > 0.85
    rows, columns = found.nonzero().float().mean(0).tolist()
    assert (rows, columns) == pytest.approx((60.5, 80.5), abs=0.6)


def test_without_instances_there_are_no_masks() -> None:
    assert paste_masks(torch.zeros(0, 1, 28, 28), torch.zeros(0, 4), (64, 96)).shape == (0, 64, 96)

"""The detector: regions, their boxes and their masks; torchvision's parts around own branches.

Mask R-CNN: He et al. 2017, doi:10.1109/ICCV.2017.322.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchvision.models.detection._utils import Matcher
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.ops import MultiScaleRoIAlign

from groundglass.metrics.instances import connected_lesions
from groundglass.networks.instance_masks import paste_masks
from groundglass.systems.spatio_temporal_rcnn.blocks import TinyUnet

Target = dict[str, Tensor]
"""``boxes`` (N, 4) as left, top, right, bottom; ``labels`` (N,), all 1; ``masks`` (N, row,
column)."""

ASPECTS = (0.5, 1.0, 2.0)
"""Height of an anchor against its width."""

BOX_POOL, MASK_POOL = 7, 16

LOWEST_SCORE = 0.05
"""Instances less sure than this are not given."""


@dataclass(frozen=True, slots=True)
class Instances:
    """Lesions found on one slice, the surest first.

    Attributes:
        boxes: (N, 4) as left, top, right, bottom in pixels of the input.
        scores: (N,), 0 to 1.
        small_masks: (N, 1, side, side), probability within the box.
        size_px: (row, column) of the input.
    """

    boxes: Tensor
    scores: Tensor
    small_masks: Tensor
    size_px: tuple[int, int]

    @property
    def masks(self) -> Tensor:
        """Probability on the input, (N, row, column), 0 outside the box."""
        return paste_masks(self.small_masks, self.boxes, self.size_px)

    def lesion(self, least_score: float) -> Tensor:
        """Probability of lesion, (row, column): the largest of all masks that are sure enough."""
        sure = self.masks[self.scores >= least_score]
        return sure.amax(0) if len(sure) else sure.new_zeros(self.size_px)


class Detector(nn.Module):
    """Region proposals, boxes and masks of one class, lesion.

    Args:
        levels: Names of the feature levels it looks at, finest first.
        width: Channels of the features.
        anchors_px: Sides of anchors in pixels of the input; with several levels one for each.
        box_width: Units of the box branch.
        mask_width: Channels of the tiny U-Net; 0 for torchvision's own mask branch.
        roi_batch: Proposals of a slice that the loss looks at.
    """

    def __init__(
        self,
        levels: Sequence[str],
        width: int,
        anchors_px: Sequence[int],
        box_width: int,
        mask_width: int,
        roi_batch: int,
    ) -> None:
        super().__init__()
        several = len(levels) > 1
        sizes = tuple((side,) for side in anchors_px) if several else (tuple(anchors_px),)
        anchors = AnchorGenerator(sizes, (ASPECTS,) * len(sizes))
        self.proposals = RegionProposalNetwork(
            anchors,
            RPNHead(width, anchors.num_anchors_per_location()[0]),
            fg_iou_thresh=0.7,
            bg_iou_thresh=0.3,
            batch_size_per_image=128,
            positive_fraction=0.5,
            pre_nms_top_n={"training": 1000, "testing": 500},
            post_nms_top_n={"training": 500, "testing": 200},
            nms_thresh=0.7,
        )
        own = mask_width > 0
        self.regions = RoIHeads(
            MultiScaleRoIAlign(list(levels), BOX_POOL, 2),
            TwoMLPHead(width * BOX_POOL**2, box_width),
            FastRCNNPredictor(box_width, 2),
            fg_iou_thresh=0.5,
            bg_iou_thresh=0.5,
            batch_size_per_image=roi_batch,
            positive_fraction=0.25,
            bbox_reg_weights=None,
            score_thresh=LOWEST_SCORE,
            nms_thresh=0.5,
            detections_per_img=50,
            mask_roi_pool=MultiScaleRoIAlign(list(levels), MASK_POOL, 2),
            mask_head=TinyUnet(width, mask_width) if own else MaskRCNNHeads(width, [width] * 4, 1),
            mask_predictor=MaskRCNNPredictor(mask_width or width, mask_width or width, 2),
        )

    def match_proposals(self, none_below: float, lesion_from: float) -> None:
        """Say what a proposal teaches by its overlap with a lesion; between the two it is nothing.

        Args:
            none_below: Below this it is no lesion.
            lesion_from: From this on it is one.
        """
        self.regions.proposal_matcher = Matcher(lesion_from, none_below)

    def losses(
        self, image: Tensor, features: dict[str, Tensor], targets: list[Target]
    ) -> dict[str, Tensor]:
        """Cross-entropy of class, smooth L1 of box and cross-entropy of mask, and the proposals'.

        Args:
            image: Input that the features are of.
            features: By level.
            targets: One for each slice.
        """
        shown = _images(image)
        proposals, of_proposals = self.proposals(shown, features, targets)
        _, of_regions = self.regions(features, proposals, shown.image_sizes, targets)
        return {
            "proposals": of_proposals["loss_objectness"] + of_proposals["loss_rpn_box_reg"],
            "class": of_regions["loss_classifier"],
            "box": of_regions["loss_box_reg"],
            "mask": of_regions["loss_mask"],
        }

    def find(self, image: Tensor, features: dict[str, Tensor]) -> list[Instances]:
        """Lesions of each slice."""
        shown = _images(image)
        proposals, _ = self.proposals(shown, features)
        found, _ = self.regions(features, proposals, shown.image_sizes)
        size = shown.image_sizes[0]
        return [Instances(one["boxes"], one["scores"], one["masks"], size) for one in found]


def _images(image: Tensor) -> ImageList:
    rows, columns = image.shape[-2:]
    return ImageList(image, [(rows, columns)] * len(image))


def find_targets(lesions: Tensor, smallest_px: int) -> list[Target]:
    """Connected lesions of each slice as instances.

    Args:
        lesions: (slice, row, column), true in lesion.
        smallest_px: Smaller lesions are left out.
    """
    targets = []
    for mask in lesions.cpu().numpy():
        boxes, masks = connected_lesions(mask, smallest_px)
        targets.append(
            {
                "boxes": torch.from_numpy(boxes).to(lesions.device),
                "labels": torch.ones(len(boxes), dtype=torch.int64, device=lesions.device),
                "masks": torch.from_numpy(masks).to(lesions.device, torch.uint8),
            }
        )
    return targets

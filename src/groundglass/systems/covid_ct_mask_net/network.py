"""Stage 1: Mask R-CNN with the small anchors of lesions, and the network that both stages share.

Ter-Sarkisov 2022, doi:10.1007/s10489-021-02731-6, Table 2; Mask R-CNN: He et al. 2017,
doi:10.1109/ICCV.2017.322, from torchvision. Original repository: AlexTS1980/COVID-CT-Mask-Net.
Deviations stand in ``card.yaml``.
"""

from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import MultiScaleRoIAlign

from groundglass.labels import Lesion
from groundglass.networks.instance_masks import paste_masks
from groundglass.systems.covid_ct_mask_net.backbone import Backbone
from groundglass.systems.covid_ct_mask_net.ranked import ModuleS, Ranked, ranked_boxes
from groundglass.systems.covid_ct_mask_net.settings import Kinds, NetworkConfig

KINDS: dict[Kinds, tuple[Lesion, ...]] = {
    "both": (Lesion.GROUND_GLASS, Lesion.CONSOLIDATION),
    "ggo": (Lesion.GROUND_GLASS,),
    "merged": (Lesion.UNSPECIFIED,),
}
"""Lesions that the network's classes 1, 2, ... stand for."""

_BOX_SIDE, _MASK_SIDE = 7, 14
"""Features that a box, and a mask, is told from."""

Frozen = Literal["nothing", "statistics", "lesions"]


class Instances(NamedTuple):
    """Lesions on one slice, the surest first.

    Attributes:
        boxes: (lesion, 4) left, top, right, bottom in pixels of the input.
        scores: (lesion,) 0 to 1.
        labels: (lesion,) class, 1 the first of ``KINDS``.
        masks: (lesion, row, column) probability of the lesion on the input.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    masks: Tensor


class FramedInput(GeneralizedRCNNTransform):  # type: ignore[misc]  # torchvision has no types
    """Gray 0 to 1 to -1 to 1, in batches whose sides are multiples of 32; no change of size."""

    def resize(
        self, image: Tensor, target: dict[str, Tensor] | None = None
    ) -> tuple[Tensor, dict[str, Tensor] | None]:
        """The slice as it is: its frame has given it the size."""
        return image, target

    def postprocess(
        self,
        result: list[dict[str, Tensor]],
        image_shapes: list[tuple[int, int]],  # noqa: ARG002
        original_image_sizes: list[tuple[int, int]],
    ) -> list[dict[str, Tensor]]:
        """Masks on the slice; boxes are on it already. Training finds nothing."""
        if self.training:
            return result
        for found, size_px in zip(result, original_image_sizes, strict=True):
            if "masks" in found:
                found["masks"] = paste_masks(found["masks"], found["boxes"], size_px)[:, None]
        return result


class LesionRcnn(MaskRCNN):  # type: ignore[misc]  # torchvision has no types
    """Mask R-CNN for the lesions of slices that are framed already: it neither turns nor scales.

    Args:
        config: Its shape.
    """

    def __init__(self, config: NetworkConfig) -> None:
        backbone = Backbone(
            config.encoder, config.strides, config.coarser_levels, config.pyramid_channels
        )
        levels = len(config.strides) + config.coarser_levels
        pooled = [str(level) for level in range(len(config.strides))]
        classes = 1 + len(KINDS[config.kinds])
        channels = config.pyramid_channels
        super().__init__(
            backbone,
            rpn_anchor_generator=AnchorGenerator(
                (config.anchor_sizes_px,) * levels, (config.anchor_ratios,) * levels
            ),
            rpn_pre_nms_top_n_train=2 * config.proposals,
            rpn_pre_nms_top_n_test=2 * config.proposals,
            rpn_post_nms_top_n_train=config.proposals,
            rpn_post_nms_top_n_test=config.proposals,
            rpn_nms_thresh=config.rpn_nms,
            rpn_fg_iou_thresh=config.rpn_overlap[0],
            rpn_bg_iou_thresh=config.rpn_overlap[1],
            rpn_batch_size_per_image=config.rpn_batch,
            rpn_positive_fraction=config.rpn_positive,
            box_roi_pool=MultiScaleRoIAlign(pooled, _BOX_SIDE, sampling_ratio=2),
            box_head=TwoMLPHead(channels * _BOX_SIDE**2, config.box_units),
            box_predictor=FastRCNNPredictor(config.box_units, classes),
            box_score_thresh=config.least_score,
            box_nms_thresh=config.roi_nms,
            box_detections_per_img=config.most_detections,
            box_fg_iou_thresh=config.roi_overlap[0],
            box_bg_iou_thresh=config.roi_overlap[1],
            box_batch_size_per_image=config.roi_batch,
            box_positive_fraction=config.roi_positive,
            mask_roi_pool=MultiScaleRoIAlign(pooled, _MASK_SIDE, sampling_ratio=2),
            mask_head=MaskRCNNHeads(channels, config.mask_channels, 1),
            mask_predictor=MaskRCNNPredictor(config.mask_channels[-1], config.mask_units, classes),
        )
        self.transform = FramedInput(1, 1, [0.5] * 3, [0.5] * 3)

    def find(self, gray: Tensor) -> list[Instances]:
        """Lesions of each slice.

        Args:
            gray: (batch, 1, row, column) from 0 to 1.
        """
        found = self(color_list(gray))
        return [Instances(f["boxes"], f["scores"], f["labels"], f["masks"][:, 0]) for f in found]


def color_list(gray: Tensor) -> list[Tensor]:
    """Slices as torchvision's detection takes them: a list of (3, row, column), 0 to 1."""
    return list(gray.expand(-1, 3, -1, -1))


class CovidCtMaskNet(nn.Module):
    """Mask R-CNN for the lesions of a slice and, where there is one, module S for its class.

    Args:
        config: Shape of both.
        frozen: What keeps its batch statistics in training: ``statistics`` those of the encoder;
            ``lesions`` has all of Mask R-CNN in test mode, as module S is trained.
    """

    def __init__(self, config: NetworkConfig, frozen: Frozen = "nothing") -> None:
        super().__init__()
        self.config = config
        self.frozen = frozen
        self.lesions = LesionRcnn(config)
        self.classes: ModuleS | None = None
        if config.ranked:
            self.classes = ModuleS(config.ranked, config.class_units, len(config.classes))

    def train(self, mode: bool = True) -> "CovidCtMaskNet":
        """Training or test mode, without what is frozen."""
        super().train(mode)
        if self.frozen == "lesions":
            self.lesions.eval()
        elif self.frozen == "statistics":
            for part in self.lesions.backbone.modules():
                if isinstance(part, nn.BatchNorm2d):
                    part.eval()
        return self

    def forward(self, gray: Tensor) -> list[Instances]:
        """Lesions of each slice, for use; (batch, 1, row, column) from 0 to 1."""
        return self.lesions.find(gray)

    def rank(self, gray: Tensor) -> Ranked:
        """The N boxes of each slice that module S looks at."""
        config = self.config
        return ranked_boxes(
            self.lesions,
            color_list(gray),
            count=config.ranked,
            nms=config.ranked_nms,
            least_score=config.ranked_least_score,
        )

    def class_logits(self, gray: Tensor) -> Tensor:
        """Logits of each class, (batch, class)."""
        assert self.classes is not None
        return cast("Tensor", self.classes(self.rank(gray).features))


def build_network(config: NetworkConfig, frozen: Frozen = "nothing") -> CovidCtMaskNet:
    """The network of a config, with random weights, in training mode."""
    network = CovidCtMaskNet(config, frozen)
    _start_with_background(network.lesions)
    return network.train()


def _start_with_background(rcnn: LesionRcnn) -> None:
    """Let an untrained RPN hold one anchor in a hundred for lesion (Lin et al. 2017, RetinaNet)."""
    bias = rcnn.rpn.head.cls_logits.bias
    with torch.no_grad():
        bias.fill_(-4.6)

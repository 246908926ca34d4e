"""Stage 2: exactly N ranked boxes of a slice, whatever it shows, and module S that judges them.

Ter-Sarkisov 2022, section 3.2 and Table 3: boxes as the box head encodes them, with their scores,
in the order of scores; every score counts, so that a slice without lesion gives N boxes as well.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torchvision.models.detection.rpn import concat_box_prediction_layers
from torchvision.ops import batched_nms, clip_boxes_to_image, remove_small_boxes

NUMBERS = 5
"""Numbers that module S sees of a box: four encoded edges and the score."""


class Ranked(NamedTuple):
    """The N boxes of each slice, the surest first.

    Attributes:
        features: (batch, N, 5) box as encoded against its proposal, and score; 0 where a slice has
            fewer predictions than N.
        boxes: (batch, N, 4) left, top, right, bottom in pixels of the input.
        labels: (batch, N) class of the lesion, 1 the first; 0 where there is no prediction.
    """

    features: Tensor
    boxes: Tensor
    labels: Tensor


class ModuleS(nn.Module):
    """The ranked boxes of a slice to the logits of its classes: two fully connected layers.

    Args:
        count: Boxes, N.
        units: Units between the layers.
        classes: Number of classes.
    """

    def __init__(self, count: int, units: int, classes: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(count * NUMBERS, units)
        self.output = nn.Linear(units, classes)

    def forward(self, features: Tensor) -> Tensor:
        """Logits, (batch, class).

        Args:
            features: (batch, N, 5).
        """
        logits: Tensor = self.output(torch.relu(self.hidden(features.flatten(1))))
        return logits


class _Proposals(NamedTuple):
    """Proposals of one slice with what the region proposal network said of them."""

    boxes: Tensor
    objectness: Tensor
    deltas: Tensor


def ranked_boxes(
    rcnn: Any, images: list[Tensor], *, count: int, nms: float, least_score: float
) -> Ranked:
    """Exactly ``count`` boxes of each slice with their scores, ranked by score.

    Of predictions that overlap, the surest comes first and the others take their turn only where
    too few are left. Gradients reach every part: those that torchvision cuts off between the
    region proposal network and the boxes are passed straight through (the values are the same).

    Args:
        rcnn: Mask R-CNN in test mode.
        images: (3, row, column) each, 0 to 1, of one size.
        count: Boxes, N.
        nms: Overlap from which the less sure of two boxes of one class is put behind.
        least_score: Score that a box must exceed.
    """
    batch, _ = rcnn.transform(images)
    features = rcnn.backbone(batch.tensors)
    proposals = _propose(rcnn.rpn, batch, features)
    heads = rcnn.roi_heads
    pooled = heads.box_roi_pool(features, [p.boxes for p in proposals], batch.image_sizes)
    logits, encoded = heads.box_predictor(heads.box_head(pooled))
    counts = [len(p.boxes) for p in proposals]
    ranked = [
        _rank(heads, one, scores, deltas, (count, nms, least_score), size)
        for one, scores, deltas, size in zip(
            proposals,
            logits.softmax(-1).split(counts),
            encoded.split(counts),
            batch.image_sizes,
            strict=True,
        )
    ]
    return Ranked(*(torch.stack(parts) for parts in zip(*ranked, strict=True)))


def _propose(rpn: Any, batch: Any, features: dict[str, Tensor]) -> list[_Proposals]:
    """Proposals as torchvision's region proposal network makes them, still tied to its outputs."""
    maps = list(features.values())
    objectness, deltas = rpn.head(maps)
    anchors = rpn.anchor_generator(batch, maps)
    per_level = [int(level[0].numel()) for level in objectness]
    flat, flat_deltas = concat_box_prediction_layers(objectness, deltas)
    slices = len(anchors)
    scores, moves = flat.view(slices, -1), flat_deltas.view(slices, -1, 4)
    boxes = rpn.box_coder.decode(flat_deltas.detach(), anchors).view(slices, -1, 4)
    level_of = torch.repeat_interleave(
        torch.arange(len(per_level), device=boxes.device),
        torch.tensor(per_level, device=boxes.device),
    )
    best = rpn._get_top_n_idx(scores.detach(), per_level)  # torchvision's own choice
    found = []
    for k, top in enumerate(best):
        inside = clip_boxes_to_image(boxes[k, top], batch.image_sizes[k])
        large = remove_small_boxes(inside, rpn.min_size)
        top, inside = top[large], inside[large]  # noqa: PLW2901
        kept = batched_nms(inside, scores[k, top].detach(), level_of[top], rpn.nms_thresh)
        kept = kept[: rpn.post_nms_top_n()]
        found.append(_Proposals(inside[kept], scores[k, top[kept]], moves[k, top[kept]]))
    return found


def _rank(
    heads: Any,
    proposals: _Proposals,
    scores: Tensor,
    encoded: Tensor,
    limits: tuple[int, float, float],
    size: tuple[int, int],
) -> Ranked:
    """The ranked boxes of one slice: (N, 5), (N, 4) and (N,)."""
    count, nms, least_score = limits
    kinds = scores.shape[1] - 1
    decoded = heads.box_coder.decode(encoded.detach(), [proposals.boxes])
    boxes = clip_boxes_to_image(decoded.reshape(-1, kinds + 1, 4), size)[:, 1:].reshape(-1, 4)
    straight = proposals.objectness.sigmoid().clamp_min(1e-6)
    trusted = scores[:, 1:] * (straight / straight.detach())[:, None]
    moved = encoded.reshape(-1, kinds + 1, 4)[:, 1:]
    moved = moved + (proposals.deltas - proposals.deltas.detach())[:, None]
    values = torch.cat([moved, trusted[..., None]], -1).reshape(-1, NUMBERS)
    labels = torch.arange(1, kinds + 1, device=boxes.device).repeat(len(proposals.boxes))
    scored = values[:, -1].detach()
    order = _order(boxes, scored, labels, nms, least_score)[:count]
    order = order[scored[order].argsort(descending=True, stable=True)]
    missing = count - len(order)
    pad = nn.functional.pad
    return Ranked(
        pad(values[order], (0, 0, 0, missing)),
        pad(boxes[order], (0, 0, 0, missing)),
        pad(labels[order], (0, missing)),
    )


def _order(boxes: Tensor, scores: Tensor, labels: Tensor, nms: float, least: float) -> Tensor:
    """Which predictions come first: those that stay alone by score, then the others by score."""
    open_ = torch.where(scores > least)[0]
    alone = open_[batched_nms(boxes[open_], scores[open_], labels[open_], nms)]
    rest = torch.ones(len(scores), dtype=torch.bool, device=scores.device)
    rest[alone] = False
    rest &= scores > least
    others = torch.where(rest)[0]
    return torch.cat([alone, others[scores[others].argsort(descending=True, stable=True)]])

"""Small masks of instances, laid on a grid.

Torchvision cuts the targets of masks out with pixel centers at whole numbers, and boxes here end
one past the last pixel. Its own way to paste masks is half a pixel off from that and makes them up
to a pixel too wide, which on a lesion of 5 pixels costs a third of the overlap. Here a mask lies
where training took it from.
"""

from math import ceil

import torch
from torch import Tensor
from torch.nn import functional


def paste_masks(small_masks: Tensor, boxes: Tensor, size_px: tuple[int, int]) -> Tensor:
    """Masks on the input of the network, (N, row, column), 0 outside their boxes.

    Args:
        small_masks: (N, 1, side, side), probability within the box.
        boxes: (N, 4) as left, top, right, bottom in pixels of the input.
        size_px: (row, column) of the input.
    """
    whole = small_masks.new_zeros(len(boxes), *size_px)
    for pasted, small, box in zip(whole, small_masks, boxes, strict=True):
        pasted[:] = lay_mask(small, box, (1.0, 1.0), (0.0, 0.0), size_px)
    return whole


def lay_mask(
    small_mask: Tensor,
    box: Tensor,
    scale: tuple[float, float],
    offset: tuple[float, float],
    shape: tuple[int, int],
) -> Tensor:
    """One mask on any grid, (row, column), 0 outside its box.

    Args:
        small_mask: (1, side, side), probability within the box.
        box: (4,) as left, top, right, bottom in pixels of the input.
        scale: Pixels of the input to a pixel of the grid, (x, y).
        offset: Where the grid's first pixel center lies on the input, (x, y).
        shape: (row, column) of the grid.
    """
    whole = small_mask.new_zeros(shape)
    left, top, right, bottom = box.tolist()
    spans, places = [], []
    for low, high, step, start, count in (
        (top, bottom, scale[1], offset[1], shape[0]),
        (left, right, scale[0], offset[0], shape[1]),
    ):
        first = max(ceil((low - 0.5 - start) / step), 0)
        end = min(ceil((high - 0.5 - start) / step), count)
        if first >= end:
            return whole
        pixels = torch.arange(first, end, device=whole.device) * step + start
        spans.append(slice(first, end))
        places.append((pixels - low) / (high - low) * 2 - 1)
    rows, columns = torch.meshgrid(places[0], places[1], indexing="ij")
    where = torch.stack([columns, rows], -1)[None].to(small_mask.dtype)
    laid = functional.grid_sample(
        small_mask[None], where, padding_mode="border", align_corners=False
    )
    whole[spans[0], spans[1]] = laid[0, 0]
    return whole

"""Boxes on slices, linked through the slices of a volume into lesions with volume and place."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from groundglass.detections import Detection, Detections
from groundglass.geometry.frame import Box
from groundglass.labels import Lesion, Lung
from groundglass.mask import Mask
from groundglass.scan import CTScan

LEAST_OVERLAP = 0.3
"""Intersection over union from which boxes of one kind are taken for one lesion."""

LARGEST_STEP_MM = 5.0
"""Boxes are linked from slice to slice, and over a gap as long as they are no farther apart."""


@dataclass(frozen=True, slots=True)
class LinkedLesion:
    """One lesion of a volume, from its boxes on the slices; on pictures, one box.

    Attributes:
        kind: What it is.
        score: Score of its surest box, 0 to 1.
        items: Its boxes, from head to feet.
        lung: The lung that holds most of its boxes; ``None`` where none does.
        center_mm: Middle of its boxes, weighted by their areas, in LPS millimeters; ``None`` for
            pictures.
        size_mm: Length of the box around all its boxes along slice, row and column; ``None`` for
            pictures.
        volume_ml: Its area on each slice times the distance of slices, a slice that was missed in
            between filled in; ``None`` for pictures.
        outlined: Whether the areas are those of outlines. If not they are those of boxes, which
            hold what lies around a lesion as well, and the volume is an upper bound.
    """

    kind: Lesion
    score: float
    items: tuple[Detection, ...]
    lung: Lung | None = None
    center_mm: tuple[float, float, float] | None = None
    size_mm: tuple[float, float, float] | None = None
    volume_ml: float | None = None
    outlined: bool = False

    @property
    def slices(self) -> tuple[int, int]:
        """First and last slice."""
        return self.items[0].slice_index, self.items[-1].slice_index


def link_detections(detections: Detections, lungs: Mask | None = None) -> list[LinkedLesion]:
    """Lesions of a scan from its boxes, every box in one lesion, the largest lesion first.

    From head to feet each lesion takes at most one box of its kind from the next slice, so that
    the overlaps (intersection over union, 0.3 or more) add up to the most. Pictures are not linked:
    each box is a lesion, the surest first.

    Args:
        detections: Boxes of a scan.
        lungs: Its lungs, to tell in which one a lesion lies; left out it is not told.
    """
    scan = detections.scan
    if not isinstance(scan, CTScan):
        single = [(item,) for item in detections.items]
        lesions = [LinkedLesion(i.kind, i.score, (i,), _lung(lungs, (i,))) for (i,) in single]
        return sorted(lesions, key=lambda lesion: -lesion.score)
    slice_mm = scan.spacing_mm[0]
    reach = max(1, int(LARGEST_STEP_MM / slice_mm + 1e-6))
    chains = [
        chain
        for kind in Lesion
        for chain in _chains([item for item in detections.items if item.kind == kind], reach)
    ]
    lesions = [_measured(scan, tuple(chain), lungs) for chain in chains]
    return sorted(lesions, key=lambda lesion: -(lesion.volume_ml or 0.0))


def _chains(items: list[Detection], reach: int) -> list[list[Detection]]:
    """Boxes of one kind as chains through the slices; no two on one slice."""
    by_slice: dict[int, list[Detection]] = defaultdict(list)
    for item in items:
        by_slice[item.slice_index].append(item)
    chains: list[list[Detection]] = []
    for index in sorted(by_slice):
        near = [chain for chain in chains if index - chain[-1].slice_index <= reach]
        boxes = by_slice[index]
        overlaps = _overlaps([chain[-1].box for chain in near], [item.box for item in boxes])
        overlaps[overlaps < LEAST_OVERLAP] = 0.0
        taken = set()
        for row, column in zip(*linear_sum_assignment(-overlaps), strict=True):
            if overlaps[row, column] > 0:
                near[row].append(boxes[column])
                taken.add(int(column))
        chains += [[item] for column, item in enumerate(boxes) if column not in taken]
    return chains


def _overlaps(
    first: list[tuple[float, float, float, float]], second: list[tuple[float, float, float, float]]
) -> NDArray[np.float64]:
    """Intersection over union of each box with each other."""
    one = np.array(first, np.float64).reshape(-1, 1, 4)
    other = np.array(second, np.float64).reshape(1, -1, 4)
    start, end = np.maximum(one[..., :2], other[..., :2]), np.minimum(one[..., 2:], other[..., 2:])
    both = np.clip(end - start, 0, None).prod(-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).prod(-1) for boxes in (one, other)]
    overlaps: NDArray[np.float64] = both / np.maximum(areas[0] + areas[1] - both, 1e-9)
    return overlaps


def _measured(scan: CTScan, items: tuple[Detection, ...], lungs: Mask | None) -> LinkedLesion:
    boxes = np.array([item.box for item in items], np.float64)
    indices = np.array([item.slice_index for item in items])
    outlined = all(item.area_px is not None for item in items)
    areas_px = np.array([item.area_px if outlined else item.box_area_px for item in items])
    first, last = int(indices[0]), int(indices[-1])
    filled_px = np.interp(np.arange(first, last + 1), indices, areas_px)
    middles = np.column_stack([indices, (boxes[:, :2] + boxes[:, 2:] - 1) / 2])
    middle = np.average(middles, axis=0, weights=np.maximum(areas_px, 1e-9))
    x, y, z = scan.voxels.map_indices_to_reference(middle[None])[0]
    slice_mm, row_mm, column_mm = scan.spacing_mm
    height_px, width_px = boxes[:, 2:].max(0) - boxes[:, :2].min(0)
    return LinkedLesion(
        kind=items[0].kind,
        score=max(item.score for item in items),
        items=items,
        lung=_lung(lungs, items),
        center_mm=(float(x), float(y), float(z)),
        size_mm=((last - first + 1) * slice_mm, float(height_px) * row_mm, width_px * column_mm),
        volume_ml=float(filled_px.sum()) * slice_mm * row_mm * column_mm / 1000.0,
        outlined=outlined,
    )


def _lung(lungs: Mask | None, items: tuple[Detection, ...]) -> Lung | None:
    """The lung that most pixels of the boxes lie in."""
    if lungs is None:
        return None
    counts = np.zeros(int(max(Lung)) + 1, np.int64)
    for item in items:
        inside = box_pixels(item, lungs.slices[item.slice_index].shape)
        part = lungs.slices[item.slice_index][
            inside.top : inside.bottom, inside.left : inside.right
        ]
        counts += np.bincount(part.ravel(), minlength=counts.size)[: counts.size]
    counts[0] = 0
    return max(Lung, key=lambda lung: counts[lung]) if counts.any() else None


def box_pixels(item: Detection, shape: tuple[int, ...]) -> Box:
    """The whole pixels of a slice that a box touches."""
    top, left, bottom, right = item.box
    return Box(
        max(int(np.floor(top)), 0),
        max(int(np.floor(left)), 0),
        min(int(np.ceil(bottom)), shape[0]),
        min(int(np.ceil(right)), shape[1]),
    )

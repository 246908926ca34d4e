"""Average precision of lesions as instances, as MS COCO counts it, on whole slices."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from groundglass.data.cohort import Case
from groundglass.detections import Detection
from groundglass.errors import NotMeasurableError
from groundglass.evaluation.result import CaseMetrics, Measurement, Progress
from groundglass.labels import Lesion
from groundglass.metrics.slice_precision import overlaps_of_masks, slice_precision
from groundglass.systems import Segmenter
from groundglass.systems.covid_ct_mask_net.instances import Target, instances_of
from groundglass.systems.system import InstanceFinder

LEAST_PX = 101
"""Pixels below which a part of the truth is no instance, as in the code of Ter-Sarkisov 2022."""

_OVERLAPS = tuple(k / 100 for k in range(50, 100, 5))
_MEASURES = {"ap": "map", "ap50": "map_50", "ap75": "map_75"}


class InstancesEvaluation(Measurement):
    """A system over one split by the average precision of its instances.

    Attributes:
        protocol: Tells it apart from other protocols.
        least_px: Pixels below which a part of the truth is no instance.
        instances: Number of true instances.
        structures: ``mask`` and ``box`` over all kinds, and each kind by itself, such as
            ``mask of consolidation``; each with ``ap50`` and ``ap75``, the average precision at
            that overlap, and ``ap``, its mean over 0.50, 0.55 and so on to 0.95; 0 to 1. In ``mask
            by slice`` it is the mean over slices of that of each slice by itself.
    """

    protocol: Literal["instances"] = "instances"
    least_px: int = LEAST_PX
    instances: int
    structures: dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True, eq=False)
class JudgedSlice:
    """A slice with its true instances and those that a system found.

    Attributes:
        case: Name of the slice.
        patient: Its patient.
        kinds: Kinds that the system tells; labels are numbers in it, 1 the first.
        true: True instances.
        found: Found ones, with their outlines.
    """

    case: str
    patient: str
    kinds: tuple[Lesion, ...]
    true: Target
    found: list[tuple[Detection, NDArray[np.bool_]]]


def judge_instances(
    system: Segmenter, cases: Sequence[Case], progress: Progress | None = None
) -> list[JudgedSlice]:
    """The instances of every slice whose lesions are known, by truth and by a system.

    Raises:
        NotMeasurableError: If the system finds no instances, or no lesion is known.
    """
    if not isinstance(system, InstanceFinder):
        raise NotMeasurableError(
            f"system '{system.card.name}', which finds no instances",
            "one that does; measure it with --protocol as-used",
        )
    judged = []
    for done, case in enumerate(cases, start=1):
        lesions = case.read_lesions()
        if lesions is not None:
            kinds = system.instance_kinds
            true = instances_of(lesions, kinds, LEAST_PX)
            found = system.find_instances(case.read_image())
            judged.append(JudgedSlice(case.case, case.patient, kinds, true, found))
        if progress is not None:
            progress(done, len(cases))
    if not judged:
        raise NotMeasurableError("no slice whose lesions are known", "a cohort with lesion masks")
    return judged


def average_precision(judged: Sequence[JudgedSlice]) -> dict[str, dict[str, float]]:
    """The structures of :class:`InstancesEvaluation`."""
    structures = {"mask by slice": _by_slice(judged), **_measured(judged, None)}
    kinds = judged[0].kinds
    if len(kinds) > 1:
        for label, kind in enumerate(kinds, start=1):
            own = _measured(judged, label)
            structures |= {f"{name} of {kind.title}": value for name, value in own.items()}
    return structures


def _by_slice(judged: Sequence[JudgedSlice]) -> dict[str, float]:
    """Masks over all kinds, every slice by itself."""
    at: dict[float, list[float]] = {overlap: [] for overlap in _OVERLAPS}
    for one in judged:
        found, true = _found(one), _true(one)
        overlaps = overlaps_of_masks(found["masks"].numpy(), true["masks"].numpy())
        same_kind = (found["labels"][:, None] == true["labels"][None]).numpy()
        scores = found["scores"].double().numpy()
        for overlap, values in at.items():
            values.append(slice_precision(overlaps, same_kind, scores, overlap))
    means = {overlap: float(np.mean(values)) for overlap, values in at.items()}
    ap = float(np.mean(list(means.values())))
    return {"ap": round(ap, 4), "ap50": round(means[0.5], 4), "ap75": round(means[0.75], 4)}


def _measured(judged: Sequence[JudgedSlice], label: int | None) -> dict[str, dict[str, float]]:
    """Masks and boxes over all kinds, or of one."""
    from torchmetrics.detection import MeanAveragePrecision

    measure = MeanAveragePrecision(iou_type=("bbox", "segm"), backend="pycocotools")
    for one in judged:
        found = _found(one)
        measure.update([_of_label(found, label)], [_of_label(_true(one), label)])
    computed = measure.compute()
    return {
        name: {
            title: round(max(float(computed[f"{prefix}_{key}"]), 0.0), 4)
            for title, key in _MEASURES.items()
        }
        for name, prefix in (("mask", "segm"), ("box", "bbox"))
    }


def _found(one: JudgedSlice) -> Target:
    shape = one.true["masks"].shape[1:]
    masks = [torch.from_numpy(mask) for _, mask in one.found]
    corners = [(d.box[1], d.box[0], d.box[3], d.box[2]) for d, _ in one.found]
    return {
        "boxes": torch.tensor(corners, dtype=torch.float32).reshape(-1, 4),
        "scores": torch.tensor([d.score for d, _ in one.found]),
        "labels": torch.tensor([1 + one.kinds.index(d.kind) for d, _ in one.found]).long(),
        "masks": torch.stack(masks) if masks else torch.zeros((0, *shape), dtype=torch.bool),
    }


def _true(one: JudgedSlice) -> Target:
    return {**one.true, "masks": one.true["masks"].bool()}


def _of_label(target: Target, label: int | None) -> Target:
    if label is None:
        return target
    own = target["labels"] == label
    return {name: value[own] for name, value in target.items()}


def instance_rows(judged: Sequence[JudgedSlice]) -> list[CaseMetrics]:
    """For each slice how many instances there are and how many were found over one half."""
    return [
        CaseMetrics(
            one.case,
            one.patient,
            "lesion",
            {
                "instances": float(len(one.true["labels"])),
                "found": float(sum(d.score > 0.5 for d, _ in one.found)),
            },
        )
        for one in judged
    ]

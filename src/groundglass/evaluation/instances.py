"""Average precision of lesions as instances, as MS COCO counts it, on whole slices."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self
from zlib import compress, decompress

import numpy as np
import torch
from numpy.typing import NDArray

from groundglass.data.cohort import Case
from groundglass.detections import Detection
from groundglass.errors import CohortError, NotMeasurableError
from groundglass.evaluation.result import CaseMetrics, Measurement, Progress
from groundglass.labels import Lesion
from groundglass.metrics.slice_precision import overlaps_of_masks, slice_precision
from groundglass.systems import Segmenter
from groundglass.systems.covid_ct_mask_net.instances import (
    Target,
    hides_kinds,
    instances_of,
)
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
            by slice`` it is the mean over slices of that of each slice by itself. A kind of which
            there is no true instance has none.
    """

    protocol: Literal["instances"] = "instances"
    least_px: int = LEAST_PX
    instances: int
    structures: dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True, eq=False)
class PackedInstances:
    """Instances of a slice, their outlines packed, so that those of a whole split have room.

    Attributes:
        shape: (row, column) of the slice.
        numbers: What is known of each instance but its outline: ``boxes``, ``labels``, ``scores``.
        outlines: Outlines, a bit for each pixel, compressed.
    """

    shape: tuple[int, ...]
    numbers: Target
    outlines: tuple[bytes, ...]

    @classmethod
    def of(cls, target: Target) -> Self:
        """Pack instances; ``masks`` (instance, row, column) among them."""
        numbers = {name: value for name, value in target.items() if name != "masks"}
        masks = target["masks"].numpy()
        return cls(
            masks.shape[1:], numbers, tuple(compress(np.packbits(m).tobytes()) for m in masks)
        )

    def unpack(self) -> Target:
        """The instances with their ``masks``."""
        masks = np.zeros((len(self.outlines), *self.shape), np.bool_)
        for mask, outline in zip(masks, self.outlines, strict=True):
            bits = np.frombuffer(decompress(outline), np.uint8)
            mask[:] = np.unpackbits(bits, count=mask.size).reshape(mask.shape)
        return {**self.numbers, "masks": torch.from_numpy(masks)}

    def __len__(self) -> int:
        """How many there are."""
        return len(self.outlines)


@dataclass(frozen=True, slots=True, eq=False)
class JudgedSlice:
    """A slice with its true instances and those that a system found.

    Attributes:
        case: Name of the slice.
        patient: Its patient.
        kinds: Kinds that the system tells; labels are numbers in it, 1 the first.
        true: True instances.
        found: Found ones, with their scores.
    """

    case: str
    patient: str
    kinds: tuple[Lesion, ...]
    true: PackedInstances
    found: PackedInstances


def judge_instances(
    system: Segmenter, cases: Sequence[Case], progress: Progress | None = None
) -> list[JudgedSlice]:
    """The instances of every slice whose lesions are known, by truth and by a system.

    Raises:
        NotMeasurableError: If the system finds no instances, or no lesion is known.
        CohortError: If a mask hides the kinds of lesion that the system tells.
    """
    if not isinstance(system, InstanceFinder):
        raise NotMeasurableError(
            f"system '{system.card.name}', which finds no instances",
            "one that does; measure it with --protocol as-used",
        )
    kinds = system.instance_kinds
    slices = [case for case in cases if case.lesions is not None]
    hiding = [case for case in slices if hides_kinds(case, kinds)]
    if hiding:
        raise CohortError(
            f"found lesions of unspecified kind in the mask of case '{hiding[0].case}' "
            f"({len(hiding)} such cases), expected kinds, as the system tells them and each find "
            "would count as wrong; leave these cases out, or measure weights of merged kinds"
        )
    judged = []
    for done, case in enumerate(slices, start=1):
        lesions = case.read_lesions()
        assert lesions is not None
        true = PackedInstances.of(instances_of(lesions, kinds, LEAST_PX))
        found = _target(system.find_instances(case.read_image()), lesions.shape, kinds)
        judged.append(JudgedSlice(case.case, case.patient, kinds, true, PackedInstances.of(found)))
        if progress is not None:
            progress(done, len(slices))
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
    return {name: numbers for name, numbers in structures.items() if numbers}


def _by_slice(judged: Sequence[JudgedSlice]) -> dict[str, float]:
    """Masks over all kinds, every slice by itself."""
    at: dict[float, list[float]] = {overlap: [] for overlap in _OVERLAPS}
    for one in judged:
        found, true = one.found.unpack(), one.true.unpack()
        overlaps = overlaps_of_masks(found["masks"].numpy(), true["masks"].numpy())
        same_kind = (found["labels"][:, None] == true["labels"][None]).numpy()
        scores = found["scores"].double().numpy()
        for overlap, values in at.items():
            values.append(slice_precision(overlaps, same_kind, scores, overlap))
    means = {overlap: float(np.mean(values)) for overlap, values in at.items()}
    ap = float(np.mean(list(means.values())))
    return {"ap": round(ap, 4), "ap50": round(means[0.5], 4), "ap75": round(means[0.75], 4)}


def _measured(judged: Sequence[JudgedSlice], label: int | None) -> dict[str, dict[str, float]]:
    """Masks and boxes over all kinds, or of one; without numbers where there is nothing to find."""
    from torchmetrics.detection import MeanAveragePrecision

    measure = MeanAveragePrecision(iou_type=("bbox", "segm"), backend="pycocotools")
    for one in judged:
        found, true = one.found.unpack(), one.true.unpack()
        measure.update([_of_label(found, label)], [_of_label(true, label)])
    computed = measure.compute()
    return {
        name: {
            title: round(float(value), 4)
            for title, key in _MEASURES.items()
            if (value := computed[f"{prefix}_{key}"]) >= 0
        }
        for name, prefix in (("mask", "segm"), ("box", "bbox"))
    }


def _target(
    found: Sequence[tuple[Detection, NDArray[np.bool_]]],
    shape: tuple[int, ...],
    kinds: tuple[Lesion, ...],
) -> Target:
    """Found lesions of a slice as torchmetrics takes them."""
    masks = [torch.from_numpy(mask) for _, mask in found]
    corners = [(d.box[1], d.box[0], d.box[3], d.box[2]) for d, _ in found]
    return {
        "boxes": torch.tensor(corners, dtype=torch.float32).reshape(-1, 4),
        "scores": torch.tensor([d.score for d, _ in found]),
        "labels": torch.tensor([1 + kinds.index(d.kind) for d, _ in found]).long(),
        "masks": torch.stack(masks) if masks else torch.zeros((0, *shape), dtype=torch.bool),
    }


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
                "instances": float(len(one.true)),
                "found": float((one.found.numbers["scores"] > 0.5).sum()),
            },
        )
        for one in judged
    ]

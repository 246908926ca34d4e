"""What the page shows of boxes and class probabilities: figures and rows of its tables."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.classification import Classification
from groundglass.detections import Detection
from groundglass.findings import Findings
from groundglass.labels import Label, Lesion, Lung
from groundglass.linking import LinkedLesion, link_detections
from groundglass.mask import Mask
from groundglass.report import Answer
from groundglass.scan import CTScan
from groundglass.write import figures
from groundglass.write.figures import Marked, Picture
from groundglass.write.key_slices import key_pictures, key_slices
from groundglass.write.relevance import RelevanceCurve, relevance_curve
from groundglass.write.slices import SliceRow
from groundglass.write.wording import NARROW_SPACE, quantity

KEY_SLICES = 6
KEY_RELEVANT = 5
MOST_LESIONS = 30
MOST_EVIDENCE = 8
"""Slices and rows that the page shows; the tables beside it hold all."""


@dataclass(frozen=True, slots=True)
class BoxFigure:
    """One slice with its boxes."""

    picture: Picture
    caption: str


@dataclass(frozen=True, slots=True)
class DetectionsSection:
    """Lesions as boxes: figures, and a row of texts for each lesion."""

    system: str
    boxes: int
    lesions: int
    kinds: list[Label]
    figures: list[BoxFigure]
    rows: list[tuple[str, ...]]
    left_out: int
    outlined: bool
    is_volume: bool


@dataclass(frozen=True, slots=True)
class ClassificationSection:
    """Class probabilities, the slices that weighed most, and the boxes behind the answer."""

    system: str
    most_likely: str
    exclusive: bool
    rows: list[tuple[str, float, str]]
    slices: list[tuple[str, str]]
    figures: list[BoxFigure]
    key_slices: list[BoxFigure]
    relevance: RelevanceCurve | None
    manifestations: list[tuple[str, float, str, str, str]]
    marked: bool
    class_map: BoxFigure | None
    notes: list[str]
    calibrated: bool
    trained_on: str


def detections_section(answer: Answer, findings: Findings) -> DetectionsSection | None:
    """The section on boxes; ``None`` where there are none to speak of.

    Args:
        answer: With or without detections.
        findings: What the slices are drawn from.
    """
    found = answer.detections
    if found is None:
        return None
    lesions = link_detections(found, answer.lungs)
    numbers = {id(item): str(n) for n, one in enumerate(lesions, 1) for item in one.items}
    return DetectionsSection(
        system=found.system,
        boxes=len(found.items),
        lesions=len(lesions),
        kinds=[kind for kind in Lesion if any(item.kind == kind for item in found.items)],
        figures=_figures(findings, found.items, numbers),
        rows=[_row(number, lesion) for number, lesion in enumerate(lesions[:MOST_LESIONS], 1)],
        left_out=max(0, len(lesions) - MOST_LESIONS),
        outlined=all(lesion.outlined for lesion in lesions),
        is_volume=isinstance(answer.scan, CTScan),
    )


def classification_section(
    answer: Answer, findings: Findings, rows: Sequence[SliceRow] | None = None
) -> ClassificationSection | None:
    """The section on classes; ``None`` where the system does not say.

    Args:
        answer: With or without classes.
        findings: What the slices are drawn from.
        rows: What the masks show on each slice, to stand beside the signs; ``None`` where lesions
            were not looked for.
    """
    found = answer.classification
    if found is None:
        return None
    ranked = sorted(found.probabilities.items(), key=lambda pair: -pair[1])
    slices: list[tuple[str, str]] = []
    if found.relevance is not None:
        first = np.argsort(-found.relevance, kind="stable")[:KEY_SLICES]
        slices = [(_name(findings, int(k)), _percent(float(found.relevance[k]))) for k in first]
    evidence = found.evidence[:MOST_EVIDENCE]
    numbers = {id(item): str(n) for n, item in enumerate(evidence, 1)}
    return ClassificationSection(
        system=found.system,
        most_likely=found.most_likely,
        exclusive=found.exclusive,
        rows=[(name, 100.0 * p, _percent(p)) for name, p in ranked],
        slices=slices,
        figures=_figures(findings, evidence, numbers),
        key_slices=_relevant_slices(findings, found.relevance),
        relevance=relevance_curve(answer, slice(0, len(findings.lungs.slices)), 1.0),
        manifestations=[
            (
                one.name,
                100.0 * one.probability,
                _percent(one.probability),
                f"{'shown' if one.shown else 'not shown'} (from {_percent(one.threshold)})",
                _marked_on(one.name, rows or ()),
            )
            for one in found.manifestations
        ],
        marked=rows is not None,
        class_map=_class_map(findings, found),
        notes=[note.message for note in found.notes],
        calibrated=found.calibrated,
        trained_on=found.trained_on.rstrip("."),
    )


def _marked_on(sign: str, rows: Sequence[SliceRow]) -> str:
    """On how many slices the masks mark a sign; empty for one that is no kind of lesion."""
    marked = Counter(kind for row in rows for kind in row.lesion_pixels)
    if sign not in {kind.title for kind in Lesion}:
        return ""
    if marked[Lesion.UNSPECIFIED.title] and not marked[sign]:
        return "kind not told"
    return f"{marked[sign]} of {len(rows)}"


def _class_map(findings: Findings, found: Classification) -> BoxFigure | None:
    """The slice that is surest of the likeliest class, with what spoke for it in color."""
    if found.class_map is None:
        return None
    index = found.class_map.slice_index
    caption = f"{_name(findings, index)}, what spoke for '{found.most_likely}'"
    plane = figures.axial(findings, index)
    return BoxFigure(figures.mapped(plane, found.class_map.spoke, caption), caption)


def _relevant_slices(findings: Findings, relevance: NDArray[np.float32] | None) -> list[BoxFigure]:
    """The slices that weighed most, no neighbors, from head to feet.

    One that weighed less than an equal share is not among them.
    """
    if relevance is None:
        return []
    equal = 1 / max(1, int(np.count_nonzero(relevance)))
    weighty = np.where(relevance >= (1 - 1e-3) * equal, relevance, 0)
    parts = np.rint(1e6 * weighty / max(float(relevance.max()), 1e-9)).astype(int)
    rows = [
        SliceRow(index=k, lung_pixels={}, opacity_pixels={"relevance": int(part)})
        for k, part in enumerate(parts)
    ]
    box = figures.lung_box(findings) if isinstance(findings.scan, CTScan) else None
    if isinstance(findings.scan, CTScan):
        chosen = key_slices(rows, KEY_RELEVANT, findings.scan.spacing_mm[0])
    else:
        chosen = key_pictures(rows, KEY_RELEVANT)
    shown = []
    for index in chosen:
        share = f"{_name(findings, index)}, {_percent(float(relevance[index]))} of the answer"
        picture = figures.plain(figures.axial(findings, index, box), share)
        shown.append(BoxFigure(picture, share))
    return shown


def findings_of(answer: Answer) -> Findings:
    """Scan and lungs of an answer, as findings without lesions, to draw slices from."""
    none = [np.zeros(lungs.shape, np.uint8) for lungs in answer.lungs.slices]
    empty = np.stack(none) if isinstance(answer.scan, CTScan) else none
    return Findings(answer.scan, answer.lungs, Mask.on(answer.scan, empty, Lesion))


def _figures(
    findings: Findings, items: Sequence[Detection], numbers: dict[int, str]
) -> list[BoxFigure]:
    """The slices with most of the boxes, each with its boxes drawn."""
    if not items:
        return []
    box = figures.lung_box(findings) if isinstance(findings.scan, CTScan) else None
    chosen = [k for k in _chosen(findings, items) if any(i.slice_index == k for i in items)]
    shown = []
    for index in chosen:
        here = [item for item in items if item.slice_index == index]
        marked = [_marked(item, box, numbers[id(item)]) for item in reversed(here)]
        name = _name(findings, index)
        said = ", ".join(dict.fromkeys(item.kind.title for item in here))
        plane = figures.axial(findings, index, box)
        count = f"{len(here)} {'boxes' if len(here) > 1 else 'box'}"
        picture = figures.boxed(plane, marked, f"{name}, {count}: {said}")
        shown.append(BoxFigure(picture, f"{name}, {count}"))
    return shown


def _chosen(findings: Findings, items: Sequence[Detection]) -> list[int]:
    areas = np.zeros(len(findings.lungs.slices))
    for item in items:
        areas[item.slice_index] += item.box_area_px
    rows = [
        SliceRow(index=k, lung_pixels={}, opacity_pixels={"boxes": int(np.ceil(area))})
        for k, area in enumerate(areas)
    ]
    if isinstance(findings.scan, CTScan):
        return key_slices(rows, KEY_SLICES, findings.scan.spacing_mm[0])
    return key_pictures(rows, KEY_SLICES)


def _marked(item: Detection, box: figures.Box | None, number: str) -> Marked:
    first_row, first_column = (box[1].start, box[2].start) if box else (0, 0)
    top, left, bottom, right = item.box
    return Marked(
        top - first_row,
        left - first_column,
        bottom - first_row,
        right - first_column,
        item.kind.color,
        number,
    )


def _name(findings: Findings, index: int) -> str:
    scan = findings.scan
    if isinstance(scan, CTScan):
        return f"Slice {index + 1} of {len(scan.slices)}"
    return scan.names[index]


def _row(number: int, lesion: LinkedLesion) -> tuple[str, ...]:
    first, last = lesion.slices
    slices = f"{first + 1}" if first == last else f"{first + 1} to {last + 1}"
    if lesion.center_mm is None or lesion.size_mm is None or lesion.volume_ml is None:
        measured = ("", "", "")
    else:
        measured = (
            ", ".join(_signed(mm) for mm in lesion.center_mm),
            ", ".join(f"{mm:.0f}" for mm in lesion.size_mm),
            f"{lesion.volume_ml:.2f}{NARROW_SPACE}ml",
        )
    return (
        str(number),
        lesion.kind.title,
        _side(lesion.lung),
        slices,
        *measured,
        f"{lesion.score:.2f}",
    )


def _side(lung: Lung | None) -> str:
    return lung.title if lung else "outside the lungs"


def _percent(share: float) -> str:
    return quantity(100.0 * share, "%")


def _signed(value: float) -> str:
    return f"{value:.0f}".replace("-", "\N{MINUS SIGN}")

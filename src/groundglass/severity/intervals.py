"""How sure a score is: its interval when the lesions are drawn a little smaller and larger.

The boundary of the lesions is moved by one voxel in and out within the lungs, which is about what
two careful readers differ by, and every score is measured again. Where a system gives variants of
its own answer, their scores widen the interval.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.errors import NotMeasurableError
from groundglass.findings import Findings
from groundglass.labels import OPACITIES
from groundglass.mask import Mask
from groundglass.scan import CTScan, Note
from groundglass.score import Score
from groundglass.severity import SCORES, score_all
from groundglass.severity.ct_ss import SEVERE_ABOVE

WITHOUT_LESIONS = frozenset(
    {
        "lung_volume_ml",
        "percentage_of_well_aerated_lung",
        "well_aerated_volume_ml",
        "mean_lung_density_hu",
    }
)
"""Scores that depend on the lungs alone; they have no interval."""

SAME_VALUE = {"percentage_of_opacity_by_zone": "percentage_of_opacity"}
"""Scores whose whole value is that of another one, which is measured in their place: zones take
long."""

CUT_OFFS: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "ct_severity_score": (SEVERE_ABOVE,),
        "total_severity_score": (7.5,),
        "ct_score_by_lobe": (18.0,),
        "mosmed_category": (1.0, 2.0, 3.0, 4.0),
        "fung_grade": (1.0, 2.0),
    }
)
"""Published cut-offs: a value from there on means something else than one below."""


def score_with_intervals(
    findings: Findings, variants: Iterable[Mask] = ()
) -> tuple[tuple[Score, ...], tuple[Note, ...]]:
    """Every score that the scan allows with its interval, and a note on those it does not.

    Args:
        findings: Lungs and lesions of a CT volume or of pictures.
        variants: Further answers of the system on the grid of the scan, label set ``Lesion``.

    Returns:
        As :func:`groundglass.severity.score_all`.
    """
    near = cut_to_lungs(findings)
    scores, notes = score_all(near)
    values = {
        score.name: [score.value]
        for score in scores
        if score.name not in WITHOUT_LESIONS and score.name not in SAME_VALUE
    }
    for lesions in _answers(findings, near, variants):
        other = replace(near, lesions=lesions)
        for name in values:
            values[name] += _value(name, other)
    return tuple(
        _with_interval(score, values.get(SAME_VALUE.get(score.name, score.name), ()))
        for score in scores
    ), notes


def moved_boundary(lungs: Mask, lesions: Mask, *, outward: bool) -> Mask:
    """The lesions with their boundary moved by one voxel, within the lungs.

    A voxel that joins takes the denser of the kinds beside it; the border between two kinds stays
    where it is. The border of the lungs is no boundary of a lesion. Voxels touch at their faces;
    pictures have no neighbors but within themselves. Lesions outside the lungs and effusions are
    left out, as they do not count.

    Args:
        lungs: Label set ``Lung``.
        lesions: Label set ``Lesion``, on the same grid.
        outward: Whether lesions grow or shrink.
    """
    stacked = lungs.geometry is not None
    own = [
        np.asarray(cv2.LUT(found, _OPACITY), np.uint8) * (lung > 0)
        for lung, found in zip(lungs.slices, lesions.slices, strict=True)
    ]
    if outward:
        moving = own
    else:
        moving = [
            ((lung > 0) & (found == 0)).view(np.uint8)
            for lung, found in zip(lungs.slices, own, strict=True)
        ]
    moved = [
        np.where((found == 0) & (lung > 0), near, found) if outward else found * (near == 0)
        for lung, found, near in zip(lungs.slices, own, _spread(moving, stacked), strict=True)
    ]
    return Mask(np.stack(moved) if stacked else tuple(moved), lesions.labels, lesions.geometry)


def cut_to_lungs(findings: Findings) -> Findings:
    """The findings within the box around the lungs of a volume; pictures come back as they are.

    No score looks further, and every one is measured several times.
    """
    scan, lungs = findings.scan, findings.lungs
    if not isinstance(scan, CTScan):
        return findings
    box = _box(lungs.array)
    near = type(scan)(scan.voxels[box], scan.source)  # type: ignore[index]  # annotated for one
    masks = {
        name: Mask.on(near, mask.array[box], mask.labels)
        for name in ("lungs", "lesions", "lobes", "regions")
        if (mask := getattr(findings, name)) is not None
    }
    return Findings(near, **masks)


def _answers(findings: Findings, near: Findings, variants: Iterable[Mask]) -> Iterator[Mask]:
    """The lesions smaller, larger, and as the system might have found them as well."""
    for outward in (False, True):
        yield moved_boundary(near.lungs, near.lesions, outward=outward)
    for variant in variants:
        yield cut_to_lungs(replace(findings, lesions=variant)).lesions


def _value(name: str, findings: Findings) -> list[float]:
    try:
        return [SCORES[name](findings).value]
    except NotMeasurableError:  # such as the density of lesions where none is left
        return []


def _with_interval(score: Score, values: Sequence[float]) -> Score:
    if not values:
        return score
    interval = (min(values), max(values))
    cautions = filter(None, (score.caution, _crossing(score, interval)))
    return score.model_copy(update={"interval": interval, "caution": "; ".join(cautions) or None})


def _crossing(score: Score, interval: tuple[float, float]) -> str | None:
    """What to say where the interval crosses a published cut-off."""
    low, high = interval
    crossed = [bound for bound in CUT_OFFS.get(score.name, ()) if low < bound <= high]
    if not crossed:
        return None
    return (
        f"the interval, {low:g} to {high:g}, crosses the published cut-off"
        if len(CUT_OFFS[score.name]) > 1
        else f"the interval, {low:g} to {high:g}, crosses the cut-off of {crossed[0]:g}"
    )


def _spread(slices: Sequence[NDArray[np.uint8]], stacked: bool) -> list[NDArray[np.uint8]]:
    """The largest number at each voxel and at those that touch it with a face."""
    spread = [np.asarray(cv2.dilate(s, _CROSS), np.uint8) if s.any() else s.copy() for s in slices]
    if stacked:
        for before, after in ((slices[:-1], spread[1:]), (slices[1:], spread[:-1])):
            for source, target in zip(before, after, strict=True):
                np.maximum(target, source, out=target)
    return spread


_OPACITY = np.array([k if k in OPACITIES else 0 for k in range(256)], np.uint8)
"""Number of an opacity at its own number, 0 elsewhere."""

_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)).astype(np.uint8)


def _box(lungs: NDArray[np.uint8]) -> tuple[slice, slice, slice]:
    flat = lungs.max(axis=0)
    spans = (
        np.flatnonzero(lungs.reshape(len(lungs), -1).any(axis=1)),
        np.flatnonzero(flat.any(axis=1)),
        np.flatnonzero(flat.any(axis=0)),
    )
    first, second, third = (slice(int(s[0]), int(s[-1]) + 1) for s in spans)
    return first, second, third

"""Lesions followed from one scan to the next: new, resolved, grown, shrunk."""

from dataclasses import dataclass
from typing import Any

import cc3d
import numpy as np
import SimpleITK
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from groundglass.findings import Findings
from groundglass.followup.comparison import LesionChange, Status
from groundglass.followup.lung_image import cut, empty_image, lung_box
from groundglass.followup.registration import Registration
from groundglass.labels import OPACITIES
from groundglass.mask import Mask

sitk: Any = SimpleITK  # its functions carry no types

LEAST_ML = 0.5
"""Lesions smaller on both scans are not followed: registration and noise move them about."""

OVERLAP = 0.1
"""Two lesions are one if they share this part of the smaller, once laid on each other."""

REACH_MM = 2.0
"""Lesions of the later scan are widened by this for the matching, against misregistration."""

CHANGED_PERCENT = 25.0
"""A lesion has grown or shrunk if its volume changed by more than this, and by ``LEAST_ML``."""

RULES = (
    f"Lesions are pieces of opacified lung that touch at a face, an edge or a corner, each lung by "
    f"itself. Two are the same lesion if, after registration and with the later one widened by "
    f"{REACH_MM:g} mm, they share {100 * OVERLAP:.0f} % of the smaller one; pieces that part or "
    f"join are one lesion. Pieces below {LEAST_ML} ml belong to the one that they share most with, "
    f"and what is below it on both scans is left out. Grown or shrunk: its volume changed by more "
    f"than {CHANGED_PERCENT:g} % and {LEAST_ML} ml. Volumes are as measured on each scan, not "
    "corrected for inspiration."
)
"""How lesions are followed, in words. The thresholds are our own."""


@dataclass(frozen=True, slots=True, eq=False)
class _Lesions:
    """Lesions of one scan: numbered voxels, and the volume and place of each number from 1."""

    numbers: NDArray[np.int32]
    volumes_ml: NDArray[np.float64]
    places: list[str]


def follow_lesions(
    earlier: Findings, later: Findings, registration: Registration
) -> tuple[LesionChange, ...]:
    """What became of each lesion, the largest change of volume first.

    Args:
        earlier: Earlier scan.
        later: Later scan.
        registration: How the later one lies on the earlier one.
    """
    before, after = _lesions(earlier), _lesions(later)
    pairs = _pairs(earlier, later, before, after, registration)
    n_before, n_after = len(before.places), len(after.places)
    joined = coo_array(
        (np.ones(len(pairs)), (pairs[:, 0], n_before + pairs[:, 1])),
        shape=(n_before + n_after,) * 2,
    )
    count, groups = connected_components(joined, directed=False)
    ends = np.cumsum(np.bincount(groups, minlength=count))
    found = []
    for members in np.split(np.argsort(groups, kind="stable"), ends)[:count]:
        old, new = members[members < n_before], members[members >= n_before] - n_before
        change = _change(before, after, old, new)
        if max(change.earlier_ml, change.later_ml) >= LEAST_ML:
            found.append(change)
    return tuple(sorted(found, key=lambda one: -abs(one.later_ml - one.earlier_ml)))


def _change(
    before: _Lesions, after: _Lesions, old: NDArray[np.int_], new: NDArray[np.int_]
) -> LesionChange:
    earlier_ml, later_ml = float(before.volumes_ml[old].sum()), float(after.volumes_ml[new].sum())
    main = after if later_ml >= earlier_ml else before
    members = new if main is after else old
    largest = int(members[np.argmax(main.volumes_ml[members])])
    return LesionChange(
        status=status_of(earlier_ml, later_ml),
        place=main.places[largest],
        earlier_ml=round(earlier_ml, 3),
        later_ml=round(later_ml, 3),
        earlier_pieces=len(old),
        later_pieces=len(new),
    )


def status_of(earlier_ml: float, later_ml: float) -> Status:
    """What became of a lesion with these volumes."""
    if earlier_ml == 0:
        return "new"
    if later_ml == 0:
        return "resolved"
    change = later_ml - earlier_ml
    if abs(change) <= max(LEAST_ML, CHANGED_PERCENT / 100 * earlier_ml):
        return "unchanged"
    return "grown" if change > 0 else "shrunk"


def _lesions(findings: Findings) -> _Lesions:
    lungs, lesions = findings.lungs.array, findings.lesions.array
    opaque = np.where(np.isin(lesions, [int(kind) for kind in OPACITIES]), lungs, 0)
    # the numbers of the lungs keep a lesion of one lung apart from one of the other
    pieces = cc3d.connected_components(opaque, connectivity=26, out_dtype=np.uint32)
    numbers = pieces.astype(np.int32)
    voxels = np.bincount(numbers.ravel())[1:]
    volumes_ml = np.asarray(voxels * findings.lungs.voxel_volume_ml, np.float64)
    parts = findings.lobes or findings.lungs
    return _Lesions(numbers, volumes_ml, _places(numbers, parts, len(volumes_ml)))


def _places(numbers: NDArray[np.int32], parts: Mask, count: int) -> list[str]:
    """Title of the lobe, or lung, that holds most of each lesion."""
    size = int(max(parts.labels)) + 1
    inside = numbers > 0
    pairs = numbers[inside].astype(np.int64) * size + parts.array[inside]
    table = np.bincount(pairs, minlength=(count + 1) * size).reshape(-1, size)
    titles = {int(label): label.title for label in parts.labels}
    return [titles.get(int(np.argmax(row)), "") for row in table[1:]]


def _pairs(
    earlier: Findings,
    later: Findings,
    before: _Lesions,
    after: _Lesions,
    registration: Registration,
) -> NDArray[np.int_]:
    """Lesions of both scans that are the same, counted from 0, shape (pair, 2)."""
    if not (len(before.places) and len(after.places)):
        return np.zeros((0, 2), int)
    grid = empty_image(cut(earlier.lungs.voxels, lung_box(earlier)), REACH_MM)
    still = sitk.Transform(3, sitk.sitkIdentity)
    ours = _on_grid(earlier, before, grid, still)
    theirs_image = _image_on_grid(later, after, grid, registration.transform)
    theirs = sitk.GetArrayFromImage(theirs_image)
    wide = sitk.GetArrayFromImage(sitk.GrayscaleDilate(theirs_image, [1, 1, 1]))
    wide = np.where(theirs > 0, theirs, wide)
    both = (ours > 0) & (wide > 0)
    size = len(after.places) + 1
    keys, counts = np.unique(ours[both].astype(np.int64) * size + wide[both], return_counts=True)
    own, other = np.bincount(ours.ravel()), np.bincount(theirs.ravel(), minlength=size)
    old, new = keys // size, keys % size
    smaller = np.minimum(own[old], np.maximum(other[new], 1))
    same = counts >= OVERLAP * smaller
    pairs, shared = np.stack([old, new], axis=1)[same] - 1, counts[same]
    best = np.ones(len(pairs), bool)
    for side, lesions in enumerate((before, after)):
        small = lesions.volumes_ml[pairs[:, side]] < LEAST_ML
        best &= ~small | _most_shared(pairs[:, side], shared)
    kept: NDArray[np.int_] = pairs[best]
    return kept


def _most_shared(pieces: NDArray[np.int_], shared: NDArray[np.int_]) -> NDArray[np.bool_]:
    """Whether each pair is the one of its piece that shares most: a speck bridges no lesions."""
    order = np.argsort(-shared, kind="stable")
    _, first = np.unique(pieces[order], return_index=True)
    most = np.zeros(len(pieces), bool)
    most[order[first]] = True
    return most


def _on_grid(findings: Findings, lesions: _Lesions, grid: Any, transform: Any) -> NDArray[np.int32]:
    found: NDArray[np.int32] = sitk.GetArrayFromImage(
        _image_on_grid(findings, lesions, grid, transform)
    )
    return found


def _image_on_grid(findings: Findings, lesions: _Lesions, grid: Any, transform: Any) -> Any:
    image = findings.lungs.voxels.with_array(lesions.numbers).to_simpleitk()
    return sitk.Resample(image, grid, transform, sitk.sitkNearestNeighbor, 0, sitk.sitkInt32)

"""Lobes that another program or a person drew, brought onto the grid and the lungs of a scan."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import edt
import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform

from groundglass.errors import GeometryError, UnreadableScanError
from groundglass.labels import Lobe, Lung
from groundglass.lungs.lobe_conventions import (
    CONVENTIONS,
    LOBES_OF,
    convention_of,
    fits,
    lobe_named,
    overlaps_of,
)
from groundglass.mask import Mask
from groundglass.read.label_map import LabelMap, read_label_map
from groundglass.scan import CTScan, Note

MOST_WITHOUT_LOBE_PERCENT = 10.0
"""More lung voxels without a lobe than this, and the mask does not belong to the lungs."""

SAME_PLACE_VOXELS = 0.1
"""Corners of two grids this near, in voxels, are the same corner; headers are rounded."""

FOLDER_PATTERN = "*lobe*.nii*"
"""Files of a folder that holds one file for each lobe, as TotalSegmentator writes it."""


@dataclass(frozen=True, slots=True, eq=False)
class GivenLobes:
    """Lobes from outside.

    Attributes:
        lobes: Label set ``Lobe`` on the grid of the scan, a number for every lung voxel.
        source: How they were told, such as ``numbers of lungmask LTRCLobes``.
        notes: What was done to bring the mask onto the lungs.
    """

    lobes: Mask
    source: str
    notes: tuple[Note, ...]


def read_lobes(path: Path, scan: CTScan, lungs: Mask, tolerate: Collection[str] = ()) -> GivenLobes:
    """The lobes of a mask made elsewhere.

    Args:
        path: NIfTI, NRRD, MetaImage or DICOM Segmentation, or a folder of one NIfTI for each lobe
            (``lung_upper_lobe_left.nii.gz`` and so on).
        scan: The scan.
        lungs: Label set ``Lung`` on its grid.
        tolerate: Names in ``groundglass.read.TOLERABLE``.

    Raises:
        UnreadableScanError: If the file is no mask, or its numbers are not known.
        GeometryError: If the mask does not cover the lungs, or leaves too much of them without a
            lobe.
    """
    given = read_lobe_numbers(path, tolerate)
    on_scan, moved = _on_grid(given, scan, lungs)
    placed = place_lobes(on_scan, scan, lungs, names=given.names)
    return GivenLobes(placed.lobes, placed.source, (*given.notes, *moved, *placed.notes))


def read_lobe_numbers(path: Path, tolerate: Collection[str] = ()) -> LabelMap:
    """The mask as it is stored, before any lungs are known; see :func:`read_lobes`."""
    return _of_folder(path, tolerate) if path.is_dir() else _of_file(path, tolerate)


def place_lobes(
    numbers: NDArray[np.uint16],
    scan: CTScan,
    lungs: Mask,
    names: Mapping[int, tuple[str, ...]] | None = None,
) -> GivenLobes:
    """Lobes from the numbers of a mask on the grid of the scan.

    Lung voxels without a lobe of their own lung go to the nearest one, and a note says how many.

    Args:
        numbers: Shape of the scan.
        scan: The scan.
        lungs: Label set ``Lung`` on its grid.
        names: What the mask calls its numbers, where it does.

    Raises:
        UnreadableScanError: If the numbers are not known.
        GeometryError: If too much of the lungs has no lobe.
    """
    source, convention = _convention(numbers, lungs.array, names or {})
    lobe_of = np.zeros(int(numbers.max()) + 1, np.uint8)
    for number, lobe in convention.items():
        if number < len(lobe_of):
            lobe_of[number] = lobe
    lobes = lobe_of[numbers]
    percent = _fill(lobes, lungs.array, scan.spacing_mm)
    notes: tuple[Note, ...] = ()
    if percent >= 0.05:
        notes = (
            Note(
                "lobes-filled",
                f"Found {percent:.1f} % of the lungs without a lobe in the mask of lobes; they "
                "were given to the nearest one.",
            ),
        )
    return GivenLobes(Mask.on(scan, lobes, Lobe), source, notes)


def _of_file(path: Path, tolerate: Collection[str]) -> LabelMap:
    return read_label_map(path, tolerate=tolerate, wanted=lambda names: _lobe(names) is not None)


def _of_folder(folder: Path, tolerate: Collection[str]) -> LabelMap:
    """One map from the files of a folder; a voxel of two lobes has none."""
    files = {lobe_named(f.name.split(".")[0]): f for f in sorted(folder.glob(FOLDER_PATTERN))}
    files.pop(None, None)
    if not files:
        raise UnreadableScanError(
            f"found no file such as lung_upper_lobe_left.nii.gz in '{folder.name}', expected one "
            "for each lobe; give the folder that TotalSegmentator wrote, or one mask file"
        )
    together: hd.Volume | None = None
    notes: list[Note] = []
    for lobe, file in files.items():
        given = read_label_map(file, tolerate=tolerate)
        voxels = given.voxels
        notes += given.notes
        if together is None:
            together, found = voxels, np.zeros(voxels.shape, np.uint8)
            twice = np.zeros(voxels.shape, np.bool_)
        if not _same_grid(voxels, together):
            raise GeometryError(
                f"found '{file.name}' on another grid than the other lobes of '{folder.name}', "
                "expected one grid; make them from one scan"
            )
        own = voxels.array > 0
        twice |= own & (found > 0)
        found[own] = int(lobe or 0)
    found[twice] = 0
    assert together is not None
    named = {int(lobe): (lobe.title,) for lobe in files if lobe is not None}
    numbers = together.with_array(found.astype(np.uint16))
    return LabelMap(numbers, named, tuple(dict.fromkeys(notes)))


def _lobe(names: tuple[str, ...]) -> Lobe | None:
    return next((lobe for name in names if (lobe := lobe_named(name)) is not None), None)


def _on_grid(
    given: LabelMap, scan: CTScan, lungs: Mask
) -> tuple[NDArray[np.uint16], tuple[Note, ...]]:
    """The mask on the grid of the scan, by the nearest voxel where its own differs."""
    mask = given.voxels
    if given.cropped:
        mask = _uncropped(mask, scan)
    if _same_grid(mask, scan.voxels):
        return mask.array, ()
    to_mask = np.linalg.inv(mask.affine) @ scan.voxels.affine
    if not given.cropped:
        _refuse_uncovered(to_mask, mask, lungs)
    moved = affine_transform(
        mask.array,
        to_mask,
        output_shape=scan.slices.shape,
        order=0,
        mode="constant" if given.cropped else "nearest",
    )
    size, expected = (" x ".join(map(str, v.spatial_shape)) for v in (mask, scan.voxels))
    note = Note(
        "lobes-resampled",
        f"Found lobes on another grid ({size} voxels) than the scan ({expected}); each voxel of "
        "the scan took the nearest one.",
    )
    return moved, (note,)


def _uncropped(mask: hd.Volume, scan: CTScan) -> hd.Volume:
    """The mask with the empty slices that its file leaves out, where it is a part of the grid."""
    first = mask.affine[:3, 3:]
    start = np.linalg.inv(scan.voxels.affine)[:3] @ np.vstack([first, [[1.0]]])
    offset = np.rint(start[:, 0]).astype(int)
    ends = offset + mask.spatial_shape
    if (offset < 0).any() or (ends > scan.slices.shape).any():
        return mask
    rest = scan.slices.shape - ends
    padded: hd.Volume = mask.pad([[int(o), int(r)] for o, r in zip(offset, rest, strict=True)])
    return padded if _same_grid(padded, scan.voxels) else mask


def _refuse_uncovered(to_mask: NDArray[np.float64], mask: hd.Volume, lungs: Mask) -> None:
    """Refuse a mask that ends within the lungs."""
    inside = [np.flatnonzero(lungs.array.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    ends = [(span[0], span[-1]) for span in inside]
    corners = np.array(np.meshgrid(*ends, indexing="ij")).reshape(3, -1)
    places = to_mask[:3, :3] @ corners + to_mask[:3, 3:]
    last = np.array(mask.spatial_shape)[:, None] - 1
    beyond = np.maximum(-places, places - last).max()
    if beyond > 1.0:
        raise GeometryError(
            f"found a mask of lobes that ends {beyond:.0f} of its voxels within the lungs, "
            "expected one that covers them; make it from this scan"
        )


def _same_grid(one: hd.Volume, other: hd.Volume) -> bool:
    if one.spatial_shape != other.spatial_shape:
        return False
    ends = np.array(np.meshgrid(*[(0, n - 1) for n in one.spatial_shape])).reshape(3, -1)
    apart = (one.affine - other.affine) @ np.vstack([ends, np.ones(ends.shape[1])])
    nearest = min(other.spacing)
    return bool(np.abs(apart).max() <= SAME_PLACE_VOXELS * nearest)


def _convention(
    numbers: NDArray[np.uint16], lungs: NDArray[np.uint8], names: Mapping[int, tuple[str, ...]]
) -> tuple[str, Mapping[int, Lobe]]:
    """How the numbers were told, and the lobe of each."""
    named = {number: lobe for number, own in names.items() if (lobe := _lobe(own)) is not None}
    found = overlaps_of(numbers, lungs)
    if named and fits(named, found):
        return "named in the mask", named
    if not named and (known := convention_of(found)) is not None:
        return f"numbers of {known[0]}", known[1]
    if named:
        raise UnreadableScanError(
            "found lobes that lie in the other lung than their names say, expected right lobes in "
            "the right lung and upper above lower ones; check that the mask is of this scan and "
            "not mirrored"
        )
    shown = [str(n) for n in np.flatnonzero(found.voxels.sum(axis=0)) if n]
    listed = ", ".join(shown[:12]) + (" ..." if len(shown) > 12 else "")
    raise UnreadableScanError(
        f"found the numbers {listed or 'of the background alone'} in the mask of lobes, expected "
        f"those of {', '.join(CONVENTIONS)}, in the lungs they belong to; check that the mask is "
        "of this scan and not mirrored, or renumber it to 1 to 5: right upper, middle and lower, "
        "left upper and lower lobe"
    )


def _fill(
    lobes: NDArray[np.uint8], lungs: NDArray[np.uint8], spacing_mm: tuple[float, float, float]
) -> float:
    """Give every lung voxel a lobe of its lung, in place, and take those outside the lungs away.

    Returns:
        Per cent of lung voxels that had none.
    """
    missing, total = 0, 0
    wanting: list[tuple[tuple[slice, ...], NDArray[np.bool_], Lung]] = []
    lobes[lungs == 0] = 0
    for lung in Lung:
        own = lungs == int(lung)
        spans = [np.flatnonzero(own.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
        if not len(spans[0]):
            continue
        box = tuple(slice(int(s[0]), int(s[-1]) + 1) for s in spans)
        without = own[box] & ~np.isin(lobes[box], [int(lobe) for lobe in LOBES_OF[lung]])
        missing += int(without.sum())
        total += int(own.sum())
        wanting.append((box, without, lung))
    percent = 100.0 * missing / max(total, 1)
    if percent > MOST_WITHOUT_LOBE_PERCENT:
        raise GeometryError(
            f"found {percent:.0f} % of the lungs without a lobe in the mask of lobes, expected at "
            f"most {MOST_WITHOUT_LOBE_PERCENT:.0f} %; check that the mask is of this scan"
        )
    for box, without, lung in wanting:
        if without.any():
            _fill_lung(lobes[box], without, lung, spacing_mm)
    return percent


def _fill_lung(
    lobes: NDArray[np.uint8],
    without: NDArray[np.bool_],
    lung: Lung,
    spacing_mm: tuple[float, float, float],
) -> None:
    present = [lobe for lobe in LOBES_OF[lung] if (lobes == int(lobe)).any()]
    if not present:
        raise GeometryError(
            f"found no lobe of the {lung.title} in the mask of lobes, expected at least one; "
            "check that the mask is of this scan"
        )
    nearest_mm = np.full(int(without.sum()), np.inf, np.float32)
    nearest = np.zeros(nearest_mm.shape, np.uint8)
    for lobe in present:
        away = edt.edt(lobes != int(lobe), anisotropy=spacing_mm, black_border=False, parallel=2)
        distance_mm = away[without]
        closer = distance_mm < nearest_mm
        nearest[closer], nearest_mm[closer] = int(lobe), distance_mm[closer]
    lobes[without] = nearest

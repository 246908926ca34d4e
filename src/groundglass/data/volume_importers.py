"""Public data sets as they are downloaded, NIfTI volumes: their slices written, in a cohort table.

A volume in Hounsfield units is written through ``LUNG_WINDOW_HU``, one in gray as it stands. The
orientation is that of the files' headers.
"""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Literal

import highdicom as hd
import numpy as np
from numpy.typing import NDArray

from groundglass.data.case import Case, Split, write_gray
from groundglass.errors import CohortError, UnreadableScanError
from groundglass.geometry.frame import Box
from groundglass.intensity import window_hu
from groundglass.labels import Lesion
from groundglass.read.grid import check_grid
from groundglass.read.label_map import read_label_map
from groundglass.read.nifti import MOST_VOXELS_APART, read_stored_nifti, voxels_apart
from groundglass.read.oddities import Oddities
from groundglass.read.request import Request
from groundglass.read.volume import scan_of
from groundglass.scan import AXES

LUNG_MARGIN = 0.04
"""Margin around the lungs that is written, as a share of their box: what systems see of a scan."""

Kind = Literal["lungs", "lesions"]

_VOLUMES = "COVID-19-CT-Seg_20cases"
_NAME_OF_VOLUME = re.compile(r"(coronacases_\d+)|(radiopaedia_\d+)_\d+_\d+")
_SEPARATE: dict[Kind, tuple[str, str]] = {
    "lungs": ("Lung_Mask", "1:left 2:right"),
    "lesions": ("Infection_Mask", f"1:{int(Lesion.UNSPECIFIED)}"),
}
_TOGETHER: dict[Kind, tuple[str, str]] = {
    "lungs": ("Lung_and_Infection_Mask", "1:left 2:right 3:both"),
    "lesions": ("Lung_and_Infection_Mask", f"1:0 2:0 3:{int(Lesion.UNSPECIFIED)}"),
}
"""Folder of the masks and the meaning of their values, in both ways that the set is published."""

_HELD_OUT: dict[str, Split] = {
    **dict.fromkeys(("coronacases_002", "radiopaedia_27"), "val"),
    **dict.fromkeys(("coronacases_003", "coronacases_009", "radiopaedia_7"), "test"),
}
_MEDSEG_VALUES = " ".join(
    f"{value}:{int(kind)}"
    for value, kind in enumerate(
        (Lesion.GROUND_GLASS, Lesion.CONSOLIDATION, Lesion.PLEURAL_EFFUSION), start=1
    )
)
_EXTENT = ("small-field", "thick-slices")
"""Oddities that say nothing about a published volume, or a pile of slices."""

Volume = hd.Volume
Masks = Mapping[Kind, tuple[Volume, str]]


def split_of(patient: str) -> Split:
    """The split of a patient of COVID-19-CT-Seg.

    The five held out are those that ``BENCHMARKS.md`` is validated and tested on: shipped weights
    have not learned from them.
    """
    return _HELD_OUT.get(patient, "train")


def import_covid_ct_seg_volumes(
    folder: Path, slices: Path, tolerate: Collection[str] = ()
) -> list[Case]:
    """Slices of the volumes of COVID-19-CT-Seg (Ma et al. 2021, Zenodo 3757476) that show lung.

    Each volume is cut to its lungs. Two volumes of one case of Radiopaedia are of one patient.

    Args:
        folder: Holds ``COVID-19-CT-Seg_20cases/``, and ``Lung_Mask/`` and ``Infection_Mask/`` or
            ``Lung_and_Infection_Mask/``, as unpacked.
        slices: Folder for the slices, new.
        tolerate: Names in ``groundglass.read.TOLERABLE``.

    Raises:
        CohortError: If a folder or a mask is missing, or a mask does not fit its volume.
        UnreadableScanError: If a file cannot be read faithfully.
    """
    volumes = _volumes_in(folder / _VOLUMES)
    if not volumes:
        raise CohortError(
            f"found neither 'index.csv' nor '{_VOLUMES}/NAME.nii.gz' in '{folder.name}', expected "
            "the slices of COVID-19-CT-Seg with their table, or its volumes as unpacked from "
            "Zenodo 3757476; check the folder"
        )
    separate = all((folder / part).is_dir() for part, _ in _SEPARATE.values())
    chosen = _SEPARATE if separate else _TOGETHER
    there = {kind: _volumes_in(folder / part) for kind, (part, _) in chosen.items()}
    for name in volumes:
        _refuse_unknown_name(name)
        for kind, (part, _) in chosen.items():
            if name not in there[kind]:
                raise CohortError(
                    f"found no '{part}/{name}.nii.gz' in '{folder.name}', expected the masks of "
                    "every volume: Lung_Mask and Infection_Mask, or Lung_and_Infection_Mask; "
                    "unpack them beside the volumes"
                )
    cases = []
    for name, path in volumes.items():
        gray = _read_gray(path, tolerate)
        masks: Masks = {
            kind: (_read_mask(there[kind][name], values, gray, tolerate), values)
            for kind, (_, values) in chosen.items()
        }
        _refuse_swapped_sides(masks["lungs"][0].array, name)
        cases += _write_volume(name, gray, masks, slices)
    return cases


def import_medseg_volumes(folder: Path, slices: Path, tolerate: Collection[str] = ()) -> list[Case]:
    """The 100 slices of MedSeg with ground-glass opacity, consolidation and pleural effusion.

    The set does not say whose slices they are: all count as one patient, to learn from. The ten
    slices of ``val_im.nii.gz`` have no masks and are left out.

    Args:
        folder: Holds ``tr_im.nii.gz`` and ``tr_mask.nii.gz``, whose values are 1 ground-glass
            opacity, 2 consolidation, 3 pleural effusion.
        slices: Folder for the slices, new.
        tolerate: Names in ``groundglass.read.TOLERABLE``.

    Raises:
        CohortError: If a file is missing, or the masks do not fit.
        UnreadableScanError: If a file cannot be read faithfully.
    """
    there = _volumes_in(folder, "*.nii*")
    for name in ("tr_im", "tr_mask"):
        if name not in there:
            raise CohortError(
                f"found neither 'index.csv' nor '{name}.nii.gz' in '{folder.name}', expected the "
                "pictures of the MedSeg set with their table, or tr_im.nii.gz and tr_mask.nii.gz "
                "as downloaded; check the folder"
            )
    gray = _read_gray(there["tr_im"], tolerate)
    lesions = _read_mask(there["tr_mask"], _MEDSEG_VALUES, gray, tolerate)
    return [
        Case(
            case=f"medseg_slice_{number:03d}",
            patient="medseg",
            split="train",
            image=_write_png(slices, "image", f"{number:03d}", pixels),
            lesions=_write_png(slices, "lesions", f"{number:03d}", mask) if mask.any() else "none",
            lesions_values=_MEDSEG_VALUES if mask.any() else "",
        )
        for number, (pixels, mask) in enumerate(zip(gray.array, lesions.array, strict=True))
    ]


def _volumes_in(folder: Path, pattern: str = "**/*.nii*") -> dict[str, Path]:
    """NIfTI files in and below a folder by their names; not what a Mac leaves beside them."""
    return {
        path.name.partition(".nii")[0]: path
        for path in sorted(folder.glob(pattern))
        if path.name.endswith((".nii", ".nii.gz")) and not path.name.startswith(".")
    }


def _refuse_unknown_name(name: str) -> None:
    if not _NAME_OF_VOLUME.fullmatch(name):
        raise CohortError(
            f"found '{_VOLUMES}/{name}.nii.gz', expected names such as coronacases_001 or "
            "radiopaedia_4_85506_1, which tell the patient; leave the volumes of that set alone"
        )


def _read_gray(path: Path, tolerate: Collection[str]) -> Volume:
    """A volume in gray of 8 bits, turned; Hounsfield units through the window of the lung."""
    oddities = Oddities({*tolerate, *_EXTENT})
    request = Request(path.name, None, oddities, single_file=True)
    try:
        stored = read_stored_nifti(path, request)
        slope, intercept = stored.rescale
        ends = np.array([stored.values.min(), stored.values.max()], np.float64) * slope + intercept
        if ends.min() < 0 or not 1.5 < ends.max() <= 255:
            scan = scan_of(stored, request, file_format="nifti")
            gray = np.stack([np.rint(255 * window_hu(hu)) for hu in scan.slices])
            return scan.voxels.with_array(gray.astype(np.uint8))
        check_grid(stored.geometry, oddities)
    except UnreadableScanError as error:
        raise UnreadableScanError(f"{path.parent.name}/{path.name}: {error}") from None
    values = np.rint(stored.values.astype(np.float32) * slope + intercept).astype(np.uint8)
    return stored.geometry.with_array(values).to_patient_orientation(AXES)


def _read_mask(path: Path, values: str, like: Volume, tolerate: Collection[str]) -> Volume:
    """Label numbers on the grid of a volume, each with a meaning."""
    name = f"{path.parent.name}/{path.name}"
    try:
        found = read_label_map(path, tolerate=tolerate)
    except UnreadableScanError as error:
        raise UnreadableScanError(f"{name}: {error}") from None
    shape, expected = found.voxels.spatial_shape, like.spatial_shape
    apart = np.inf
    if shape == expected:
        apart = voxels_apart(like.affine, found.voxels.affine, shape)
    if apart > MOST_VOXELS_APART:
        on = f"{apart:.1f} voxels away" if shape == expected else f"of {shape} voxels"
        raise CohortError(
            f"found the mask '{name}' {on}, expected it on the grid of its volume, {expected}; "
            "download both again"
        )
    known = {int(item.partition(":")[0]) for item in values.split()}
    strange = [number for number in found.numbers if number not in known]
    if strange:
        listed = ", ".join(map(str, strange[:5])) + (" ..." if strange[5:] else "")
        raise CohortError(
            f"found '{name}' with the values {listed}, expected 0 and {sorted(known)}, whose "
            "meaning is known; take the mask as published"
        )
    return found.voxels.with_array(found.voxels.array.astype(np.uint8))


def _refuse_swapped_sides(lungs: NDArray[np.uint8], name: str) -> None:
    """Refuse lungs whose sides contradict the header; columns run to the patient's left."""
    left, right = ((lungs == side).sum((0, 1)) for side in (1, 2))
    columns = np.arange(lungs.shape[2])
    if left.any() and right.any() and left @ columns / left.sum() <= right @ columns / right.sum():
        raise CohortError(
            f"found the left lung of '{name}' on the patient's right, expected the sides of the "
            "mask where the orientation in the header has them; download both again"
        )


def _write_volume(name: str, gray: Volume, masks: Masks, slices: Path) -> list[Case]:
    told = _NAME_OF_VOLUME.fullmatch(name)
    assert told is not None
    patient = told[1] or told[2]
    lungs, lesions = masks["lungs"][0].array, masks["lesions"][0].array
    box = Box.around(np.asarray(((lungs > 0) | (lesions > 0)).any(0)), LUNG_MARGIN)
    if box is None:
        raise CohortError(
            f"found no lung in the masks of '{name}', expected some; download them again"
        )
    cut = np.s_[box.top : box.bottom, box.left : box.right]
    meanings = (item.partition(":") for item in masks["lesions"][1].split())
    of_lesion = [int(value) for value, _, meaning in meanings if int(meaning)]
    cases = []
    for index in np.flatnonzero((lungs > 0).any((1, 2))).tolist()[::-1]:
        number = len(lungs) - 1 - index  # from the feet up, as the files and their pictures count
        case = f"{name}_{number:04d}"
        ill = bool(np.isin(lesions[index], of_lesion).any())
        cases.append(
            Case(
                case=case,
                patient=patient,
                series=name,
                number=number,
                split=split_of(patient),
                image=_write_png(slices, "image", case, gray.array[index][cut]),
                lungs=_write_png(slices, "lungs", case, lungs[index][cut]),
                lungs_values=masks["lungs"][1],
                lesions=_write_png(slices, "lesions", case, lesions[index][cut]) if ill else "none",
                lesions_values=masks["lesions"][1] if ill else "",
            )
        )
    return cases


def _write_png(folder: Path, kind: str, name: str, pixels: NDArray[np.uint8]) -> Path:
    return write_gray(folder / kind / f"{name}.png", pixels)

"""Lesions as a reader corrected them, from the files of segmentation programs."""

import re
from collections.abc import Mapping
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
from numpy.typing import NDArray

from groundglass.errors import ConfigError, UnreadableScanError
from groundglass.followup.grid import placed
from groundglass.labels import Lesion, Lobe, Lung, Region
from groundglass.read.content import kind_of
from groundglass.read.damage import damage_explained
from groundglass.read.label_map import LabelMap, Names, read_label_map
from groundglass.scan import Note

NOTHING = "none"
"""Meaning of a label that is to be left out."""

KINDS: dict[str, Lesion] = {
    "ground glass opacity": Lesion.GROUND_GLASS,
    "ground glass": Lesion.GROUND_GLASS,
    "ggo": Lesion.GROUND_GLASS,
    "consolidation": Lesion.CONSOLIDATION,
    "lung consolidation": Lesion.CONSOLIDATION,
    "lesion of unknown kind": Lesion.UNSPECIFIED,
    "lesion": Lesion.UNSPECIFIED,
    "pleural effusion": Lesion.PLEURAL_EFFUSION,
    "effusion": Lesion.PLEURAL_EFFUSION,
}
"""Names of a segment, in lower case and without hyphens, and the lesion that each means."""

NUMBERS: dict[int, Lesion] = {int(kind): kind for kind in Lesion}
"""Numbers in files without names, as in ``lesions.nii.gz``."""

_ANATOMY = {
    name.lower()
    for labels in (Lung, Lobe, Region)
    for label in labels
    for name in (label.title, *(label.code[2:] if label.code else ()))
}
_SINGLE = re.compile(r"lesion \d+: (.+)")

_Segments = dict[int, Names]
_Kinds = dict[int, Lesion | None]


def read_lesions(
    path: Path, geometry: hd.VolumeGeometry, labels: Mapping[str, str] | None = None
) -> tuple[NDArray[np.uint8], tuple[Note, ...]]:
    """Lesions of a corrected mask, on the grid of a result.

    A segment counts by its name, or by its number where the file has no names. Segments of lungs,
    lobes and regions are left out, and so are single lesions (``lesion 1: ...``) where the segment
    of their kind is there: both are what ``--format seg`` writes beside the kinds.

    Args:
        path: NIfTI, NRRD, MetaImage or DICOM Segmentation.
        geometry: Grid of the result, orientation ``FPL``.
        labels: Meaning of further names and numbers, such as ``{"5": "ground-glass"}``.

    Returns:
        Numbers of the label set ``Lesion``, shape of the grid; and notes on what was left out.

    Raises:
        UnreadableScanError: If the file is no mask, or a name or number has no known meaning.
        GeometryError: If the mask lies on another grid.
        ConfigError: If ``labels`` gives a meaning that is no lesion.
    """
    given = {_plain(name): _meaning(name, words) for name, words in (labels or {}).items()}
    segments = _segments_of_dicom(path)
    drawn = read_label_map(path) if segments is None else None
    if drawn is not None:
        segments = {number: drawn.names.get(number, ()) for number in drawn.numbers}
    kinds = _kinds(path, segments or {}, given)
    if drawn is None:
        drawn = _chosen(path, segments or {}, kinds)
    notes = _notes(path, segments or {}, kinds)
    numbers = np.zeros(max(int(drawn.voxels.array.max()), *kinds, 0) + 1, np.uint8)
    for number, kind in kinds.items():
        numbers[number] = int(kind or 0)
    lesions = drawn.voxels.with_array(numbers[drawn.voxels.array])
    on_grid = placed(lesions, geometry, f"the mask '{path.name}'").array
    return np.asarray(on_grid, np.uint8), (*drawn.notes, *notes)


def known_labels(pairs: str) -> dict[str, str]:
    """Names and their meanings from words such as ``1=ground-glass 2=consolidation``.

    Raises:
        ConfigError: If a word has no equals sign.
    """
    found: dict[str, str] = {}
    for word in re.findall(r"[^\s,=][^,=]*=\s*[^\s,]+|[^\s,]+", pairs):
        name, sign, meaning = word.partition("=")
        if not sign:
            raise ConfigError(
                f"found '{word}' among the labels, expected NAME=MEANING such as 1=ground-glass; "
                "separate them by spaces"
            )
        found[name.strip()] = meaning.strip()
    return found


def _plain(name: str) -> str:
    return " ".join(re.sub(r"[-_\s]+", " ", name.lower()).split())


def _meaning(name: str, words: str) -> Lesion | None:
    if _plain(words) == NOTHING:
        return None
    if _plain(words) not in KINDS:
        known = ", ".join(["ground-glass", "consolidation", "lesion", "effusion", NOTHING])
        raise ConfigError(
            f"found '{words}' as meaning of the label {name}, expected one of {known}"
        )
    return KINDS[_plain(words)]


def _segments_of_dicom(path: Path) -> _Segments | None:
    """Names of each segment of a DICOM Segmentation; ``None`` for other files."""
    if not path.is_file() or kind_of(path) != "dicom":
        return None
    with damage_explained(path, "a DICOM Segmentation"):
        data = pydicom.dcmread(path, stop_before_pixels=True)
        listed = data.get("SegmentSequence", ())
        return {
            int(one.SegmentNumber): (
                str(one.SegmentLabel),
                str(one.SegmentedPropertyTypeCodeSequence[0].CodeMeaning),
            )
            for one in listed
            if int(one.SegmentNumber)  # 0 is the background of a label map
        }


def _chosen(path: Path, segments: _Segments, kinds: _Kinds) -> LabelMap:
    """The lesions of a DICOM Segmentation."""
    wanted = {segments[number] for number, kind in kinds.items() if kind is not None}
    if segments and not wanted:
        listed = ", ".join(names[0] for names in segments.values())
        raise UnreadableScanError(
            f"found no lesion among the segments of '{path.name}' ({listed}), expected one; to say "
            "that there is none, give a NIfTI mask of zeros"
        )
    return read_label_map(path, wanted=lambda names: not segments or names in wanted)


def _kinds(path: Path, segments: _Segments, given: Mapping[str, Lesion | None]) -> _Kinds:
    kinds: _Kinds = {}
    singles: dict[int, Lesion] = {}
    unknown: list[str] = []
    for number, names in segments.items():
        plain = [_plain(name) for name in names]
        known = next((name for name in (*plain, str(number)) if name in given), None)
        single = _SINGLE.fullmatch(names[0].lower()) if names else None
        if known is not None:
            kinds[number] = given[known]
        elif single and _plain(single[1]) in KINDS:
            singles[number] = KINDS[_plain(single[1])]
        elif any(name in KINDS for name in plain):
            kinds[number] = next(KINDS[name] for name in plain if name in KINDS)
        elif _ANATOMY & {name.lower() for name in names}:
            kinds[number] = None
        elif not names and number in NUMBERS:
            kinds[number] = NUMBERS[number]
        else:
            unknown.append(f"{number} ('{names[0]}')" if names else str(number))
    if unknown:
        raise UnreadableScanError(
            f"found the labels {', '.join(unknown)} in '{path.name}', expected "
            + ", ".join(f"{int(kind)} ({kind.title})" for kind in Lesion)
            + f'; say what each is with --labels "{unknown[0].split()[0]}=ground-glass", or none'
        )
    drawn = {kind for kind in kinds.values() if kind is not None}
    return kinds | {n: None if kind in drawn else kind for n, kind in singles.items()}


def _notes(path: Path, segments: _Segments, kinds: _Kinds) -> tuple[Note, ...]:
    """What was left out of the file."""
    names = [
        segments[number][0] if segments[number] else f"label {number}"
        for number, kind in kinds.items()
        if kind is None
    ]
    listed = [name for name in names if not _SINGLE.fullmatch(name.lower())]
    if len(listed) < len(names):
        listed.append("single lesions, since their kinds are there")
    if not listed:
        return ()
    return (Note("corrected", f"Left out of '{path.name}': {', '.join(listed)}."),)

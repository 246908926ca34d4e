"""Which series of a folder is the chest CT, by a stated rule or by the user's word."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydicom.uid import UID

from groundglass.errors import UnknownNameError, UnreadableScanError
from groundglass.read.dicom_files import CT_CLASSES, Header
from groundglass.read.grid import SMALLEST_CHEST_MM
from groundglass.read.oddities import Oddities
from groundglass.read.wording import counted, plain

RULE = (
    "of the CT series of one examination, without localizers: one as long as a chest before a "
    "shorter one, original images before derived ones, axial before other planes, chest before "
    "another body part, then the most slices, then the lowest series number"
)
"""How a series is chosen where the user names none."""

_MODALITIES = {
    "CR": "a radiograph",
    "DX": "a radiograph",
    "RG": "a radiograph",
    "MG": "a mammogram",
    "RF": "a fluoroscopy",
    "XA": "an angiogram",
    "MR": "a magnetic resonance image",
    "PT": "a PET image",
    "NM": "a nuclear medicine image",
    "US": "an ultrasound image",
    "SC": "a secondary capture, a picture of a screen",
    "OT": "a secondary capture, a picture of a screen",
    "SEG": "a segmentation",
    "SR": "a structured report",
    "PR": "a presentation state",
    "KO": "a key object selection",
    "RTSTRUCT": "a set of contours",
    "RTDOSE": "a radiotherapy dose",
    "DOC": "a document",
}

_UNKNOWN = "an object of unknown kind"
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_CHEST_WORDS = ("CHEST", "THORAX", "LUNG", "THORACIC")


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """The images of one Series Instance UID.

    Attributes:
        uid: Series Instance UID.
        headers: One header per file, at least one.
    """

    uid: str
    headers: tuple[Header, ...]

    @property
    def number(self) -> str:
        """Series Number, or ``""``."""
        return self.headers[0].text("SeriesNumber")

    @property
    def slices(self) -> int:
        """Number of pictures in all files."""
        return sum(header.frames for header in self.headers)

    @property
    def derived(self) -> int:
        """Number of files that say they were computed from other images."""
        return sum("DERIVED" in h.image_type or "SECONDARY" in h.image_type for h in self.headers)

    def __str__(self) -> str:
        """Number, slices, thickness and kernel: nothing that may hold a name."""
        first = self.headers[0]
        facts = [counted(self.slices, "slice")]
        if thickness := first.text("SliceThickness"):
            facts.append(f"{plain(thickness)} mm")
        if kernel := first.text("ConvolutionKernel"):
            facts.append(plain(kernel))
        uid = self.uid if UID(self.uid).is_valid else "one without number"
        return f"{plain(self.number or uid)} ({', '.join(facts)})"


def choose_series(headers: Sequence[Header], wanted: str | None, oddities: Oddities) -> Series:
    """The series to read.

    Args:
        headers: All DICOM headers that were found, at least one.
        wanted: Series Instance UID, Series Number, or part of a Series Description; ``None`` for
            ``RULE``.
        oddities: Where to note what was left out.

    Raises:
        UnreadableScanError: If there is no CT series, or several examinations.
        UnknownNameError: If the wanted series does not exist or is not the only one of that name.
    """
    every = _grouped(_ct_images(headers, oddities))
    if wanted is not None:
        chosen = _named(every, wanted)
    else:
        _refuse_several_examinations(every)
        chosen = max(every, key=_rank)
        if len(every) > 1:
            others = "; ".join(str(series) for series in every if series is not chosen)
            oddities.note(
                "series", f"Found {len(every)} series and chose {chosen}; left out: {others}."
            )
    if chosen.derived:
        oddities.tolerate(
            "derived",
            found=f"{chosen.derived} of {len(chosen.headers)} images in series {chosen} marked as "
            "derived from other images (such as a reformat or a projection)",
            expected="original slices",
            advice="give the original axial series",
            done="they were read as they are",
        )
    return chosen


def _ct_images(headers: Sequence[Header], oddities: Oddities) -> list[Header]:
    """The CT images that are no localizers."""
    images = [header for header in headers if _is_ct(header)]
    others = Counter(_words_for(header) for header in headers if not _is_ct(header))
    listed = ", ".join(f"{words} ({count})" for words, count in sorted(others.items()))
    if not images:
        what = next(iter(others)) if len(others) == 1 else f"no CT image but {listed}"
        raise UnreadableScanError(
            f"found {what}, expected CT images of the chest; give the folder of the CT series"
        )
    if others:
        oddities.note("other-objects", f"Left out DICOM objects that are no CT images: {listed}.")
    kept = [image for image in images if "LOCALIZER" not in image.image_type]
    if not kept:
        raise UnreadableScanError(
            f"found only localizers ({len(images)}), expected axial slices; "
            "give the folder of the CT series"
        )
    if len(kept) < len(images):
        oddities.note(
            "localizer", f"Left out {counted(len(images) - len(kept), 'localizer image')}."
        )
    return kept


def _is_ct(header: Header) -> bool:
    if header.object_class:
        return header.object_class in CT_CLASSES and header.text("Modality") in ("CT", "")
    return header.text("Modality") == "CT"


def _words_for(header: Header) -> str:
    if header.object_class.startswith(_SECONDARY_CAPTURE):
        return _MODALITIES["SC"]
    modality = header.text("Modality")
    known = _MODALITIES.get(modality)
    if known is None and modality in ("", "CT"):
        name = header.object_class.name  # the UID itself where it is not a registered one
        return _UNKNOWN if name == str(header.object_class) else f"'{name}'"
    if known is None:
        return f"an object of modality '{plain(modality)}'"
    return f"{known} ({modality})" if modality in ("CR", "DX", "MR", "PT", "US") else known


def _grouped(headers: Sequence[Header]) -> list[Series]:
    groups: dict[str, list[Header]] = defaultdict(list)
    for header in headers:
        groups[header.text("SeriesInstanceUID")].append(header)
    series = [Series(uid, tuple(members)) for uid, members in groups.items()]
    return sorted(series, key=lambda s: (_number(s), s.uid))


def _named(every: Sequence[Series], wanted: str) -> Series:
    """The one series whose UID, else number, else description fits."""
    name = wanted.strip()
    matches = [s for s in every if s.uid == name]
    matches = matches or [s for s in every if s.number == name]
    if not matches and name:
        matches = [
            s for s in every if name.lower() in s.headers[0].text("SeriesDescription").lower()
        ]
    if len(matches) == 1:
        return matches[0]
    listed = "; ".join(str(series) for series in (matches or every))
    if not matches:
        raise UnknownNameError(f"unknown series '{wanted}'; known: {listed}")
    uids = ", ".join(plain(series.uid) for series in matches)
    raise UnknownNameError(
        f"found {len(matches)} series for '{wanted}' ({listed}), expected one; "
        f"name it by its Series Instance UID: {uids}"
    )


def _refuse_several_examinations(every: Sequence[Series]) -> None:
    """Which patient, or which date, no rule can know."""
    studies = {series.headers[0].text("StudyInstanceUID") for series in every}
    if len(studies) > 1:
        listed = "; ".join(f"{series} {plain(series.uid)}" for series in every)
        raise UnreadableScanError(
            f"found CT series of {len(studies)} examinations, expected one; give one folder, or "
            f"choose with --series: {listed}"
        )


def _rank(series: Series) -> tuple[bool, bool, bool, int, int, float]:
    """Larger is better; see ``RULE``."""
    length_mm, axial = _length_and_plane(series)
    part = series.headers[0].text("BodyPartExamined").upper()
    return (
        length_mm >= SMALLEST_CHEST_MM[0],
        not series.derived,
        axial,
        2 if any(word in part for word in _CHEST_WORDS) else 0 if part else 1,
        series.slices,
        -_number(series),
    )


def _length_and_plane(series: Series) -> tuple[float, bool]:
    """Length along the slices in mm, and whether the slices are axial; zero where unknown."""
    try:
        across = np.array(series.headers[0].value("ImageOrientationPatient"), dtype=float)
        normal = np.cross(across[:3], across[3:])
        along = [
            float(np.dot(np.array(h.value("ImagePositionPatient", f), dtype=float), normal))
            for h in series.headers
            for f in range(h.frames)
        ]
    except (TypeError, ValueError, IndexError):
        return 0.0, False
    step = (max(along) - min(along)) / max(1, len(along) - 1)
    return max(along) - min(along) + step, bool(np.argmax(np.abs(normal)) == 2)


def _number(series: Series) -> float:
    try:
        return float(series.number)
    except ValueError:
        return float("inf")

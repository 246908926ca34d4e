"""What the splits of a cohort share although no patient crosses: near-duplicates, groups."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from groundglass.data.case import Case, Split
from groundglass.data.file_check import find_faults
from groundglass.errors import CohortError

ALIKE = 0.88
"""Correlation above which two pictures count as near-duplicates.

Of 98 slices of more than 40 patients (MedSeg), and of every fourth slice of 15 patients
(COVID-19-CT-Seg), no two of different patients reach it; the copies in COVID-CT have 0.98 and more.
"""

_THUMBNAIL_PX = 32
_FINER_THAN_PX = 4.0
_AT_ONCE = 256
"""Pictures compared with all others at once; more would need memory for nothing."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Leak(_Part):
    """A case that is not as unseen as its split says.

    Attributes:
        case: Case that is to be judged by.
        split: Its split, ``val`` or ``test``.
        other: Case that it shares something with; for look-alikes the likest.
        other_split: Split of that one, from which a system learns or is chosen.
        shared: What they share: ``looks``, or the name of a group.
        correlation: Of the two pictures, -1 to 1; ``None`` where they share a group.
    """

    case: str
    split: Split
    other: str
    other_split: Split
    shared: str
    correlation: float | None = None


class CohortCheck(_Part):
    """Result of a check.

    Attributes:
        cases: Number of cases in each split.
        faults: One line for each fault of a file.
        look_alikes: Cases with a near-duplicate in a split before theirs.
        shared_groups: Cases with a case of their group in a split before theirs.
    """

    cases: dict[str, int]
    faults: tuple[str, ...]
    look_alikes: tuple[Leak, ...]
    shared_groups: tuple[Leak, ...]

    def warnings(self) -> list[str]:
        """One line for each way in which a split leaks."""
        return [
            *_leak_lines(self.look_alikes, self.cases, "look like"),
            *_leak_lines(self.shared_groups, self.cases, "share a group with"),
        ]


def check_cohort(cases: Sequence[Case], *, known_sound: bool = False) -> CohortCheck:
    """Look into every file of a cohort, and for what its splits share.

    Args:
        cases: Rows of a cohort.
        known_sound: Whether the files were looked into before, as ``Cohort.read`` does.
    """
    return CohortCheck(
        cases=dict(Counter(case.split for case in cases)),
        faults=() if known_sound else tuple(find_faults(cases)),
        look_alikes=tuple(_look_alikes(cases)),
        shared_groups=tuple(_shared_groups(cases)),
    )


def thumbnail(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What a picture looks like from afar, as a vector of length 1 that scalar products compare.

    It does not change with size, brightness and contrast. Coarse shading is taken out: it is much
    the same in all slices of all chests.
    """
    small = cv2.resize(
        picture.astype(np.float32), (_THUMBNAIL_PX, _THUMBNAIL_PX), interpolation=cv2.INTER_AREA
    )
    fine = small - cv2.GaussianBlur(small, (0, 0), _FINER_THAN_PX)
    fine -= fine.mean()
    return np.asarray(fine.ravel() / max(float(np.linalg.norm(fine)), 1e-6), np.float32)


def _look_alikes(cases: Sequence[Case]) -> list[Leak]:
    thumbnails = {}
    for case in cases:
        with suppress(CohortError):  # a fault, reported as such
            if not case.is_series:
                thumbnails[case.case] = thumbnail(case.read_image())
    known = [case for case in cases if case.case in thumbnails]
    leaks = []
    for split, before in _EARLIER.items():
        judged = [case for case in known if case.split == split]
        learned = [case for case in known if case.split in before]
        if not judged or not learned:
            continue
        seen = np.stack([thumbnails[case.case] for case in learned])
        for first in range(0, len(judged), _AT_ONCE):
            some = judged[first : first + _AT_ONCE]
            alike = np.stack([thumbnails[case.case] for case in some]) @ seen.T
            for case, likest, correlation in zip(some, alike.argmax(1), alike.max(1), strict=True):
                if correlation >= ALIKE:
                    other = learned[int(likest)]
                    leaks.append(_leak(case, other, "looks", round(float(correlation), 3)))
    return leaks


def _shared_groups(cases: Sequence[Case]) -> list[Leak]:
    members: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        members[case.group].append(case)
    members.pop("", None)
    leaks = []
    for case in cases:
        before = _EARLIER.get(case.split, ())
        others = [other for other in members.get(case.group, ()) if other.split in before]
        if others:
            leaks.append(_leak(case, others[0], case.group))
    return leaks


_EARLIER: dict[Split, tuple[Split, ...]] = {"val": ("train",), "test": ("train", "val")}
"""What a split must share nothing with: all that a system has learned or was chosen by."""


def _leak(case: Case, other: Case, shared: str, correlation: float | None = None) -> Leak:
    return Leak(
        case=case.case,
        split=case.split,
        other=other.case,
        other_split=other.split,
        shared=shared,
        correlation=correlation,
    )


def _leak_lines(leaks: Sequence[Leak], cases: dict[str, int], verb: str) -> list[str]:
    lines = []
    for split in _EARLIER:
        found = [leak for leak in leaks if leak.split == split]
        if found:
            first = max(found, key=lambda leak: leak.correlation or 0.0)
            alike = f", correlation {first.correlation}" if first.correlation is not None else ""
            lines.append(
                f"{len(found)} of {cases[split]} {split} cases {verb} cases of an earlier split "
                f"('{first.case}' and '{first.other}'{alike}): results on them will be too good"
            )
    return lines

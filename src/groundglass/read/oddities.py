"""Oddities of a scan: refused with a reason, or read as the user allowed and noted."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from groundglass.errors import UnknownNameError, UnreadableScanError

if TYPE_CHECKING:  # scans load libraries that the help of the command line does without
    from groundglass.scan import Note

TOLERABLE: dict[str, str] = {
    "body-part": "reads a radiograph that says it is of another part of the body than the chest",
    "broken-files": "leaves out damaged files of a folder; the gap they leave is a matter of its "
    "own",
    "color": "turns colored pictures to gray by their luminance",
    "conflicting-affines": "believes the sform where a NIfTI file states two different geometries",
    "ct-slice": "reads a picture that looks like a CT slice as if it were a radiograph",
    "derived": "reads images that were computed from other images as if they were original",
    "duplicates": "keeps the first of several slices at one position, by file name",
    "gantry-tilt": "shifts every slice of a tilted gantry to its true place in mm, linearly, and "
    "fills the border with air",
    "gap": "fills missing slices linearly from their neighbors, each in its true place in mm",
    "irregular-spacing": "resamples unevenly spaced slices linearly to even spacing, first and "
    "last slice in place",
    "no-orientation": "takes the default axes of the format where the file states none; left and "
    "right may be swapped",
    "no-rescale": "takes stored values as Hounsfield units where the header has no rescale",
    "not-finite": "reads values that are no number as air, -1024 HU",
    "oblique": "reads slices tilted by more than 20 degrees as if they were axial",
    "offset-1024": "subtracts 1024 from values that are stored as Hounsfield units plus 1024",
    "radiograph": "reads pictures that look like radiographs as if they were CT slices",
    "small-field": "reads a scan too small to hold the chest of an adult: a child, a part, a crop",
    "soft-tissue-window": "reads pictures of CT slices whose window shows nothing inside the lungs",
    "thick-slices": "reads voxels too long to show small lesions",
}
"""What ``--tolerate NAME`` does, in one clause each; every use becomes a note in the report."""


class Oddities:
    """What is odd about a scan: stops the reading, or becomes a note.

    Args:
        tolerate: Names in ``TOLERABLE`` that the user accepts.

    Raises:
        UnknownNameError: If a name is not in ``TOLERABLE``.
    """

    def __init__(self, tolerate: Collection[str] = ()) -> None:
        for name in tolerate:
            if name not in TOLERABLE:
                raise UnknownNameError.of("oddity to tolerate", name, TOLERABLE)
        self._tolerated = frozenset(tolerate)
        self._notes: list[tuple[str, str]] = []

    @property
    def notes(self) -> "tuple[Note, ...]":
        """What was noticed so far, in order."""
        from groundglass.scan import Note

        return tuple(Note(name, message) for name, message in self._notes)

    def note(self, name: str, message: str) -> None:
        """Keep something harmless for the report, in one sentence."""
        self._notes.append((name, message))

    def tolerate(self, name: str, *, found: str, expected: str, advice: str, done: str) -> None:
        """Note an oddity that the user accepts, and refuse it otherwise.

        Args:
            name: Name in ``TOLERABLE``.
            found: What was found, following the word "found".
            expected: What was expected, following the word "expected".
            advice: What to do other than to tolerate it.
            done: What was done, for the note, following a semicolon.

        Raises:
            UnreadableScanError: If the user did not name it.
        """
        if name not in self._tolerated:
            raise UnreadableScanError(
                f"found {found}, expected {expected}; {advice}, "
                f"or use --tolerate {name} ({TOLERABLE[name]})"
            )
        self.note(name, f"Found {found}; {done}.")

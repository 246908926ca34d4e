"""Every score again, from the lesions that a reader corrected."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from groundglass.deidentify import SETTING, refuse_versions
from groundglass.deidentify.notes import without_names
from groundglass.errors import OutputError
from groundglass.findings import Findings
from groundglass.followup.corrected_lesions import read_lesions
from groundglass.followup.result_folder import Result, quality_of, read_result
from groundglass.labels import OPACITIES, Lung
from groundglass.mask import Mask
from groundglass.provenance import library_versions
from groundglass.report import Change, Correction, Outcome, Report
from groundglass.scan import Note
from groundglass.score import Score
from groundglass.severity.intervals import score_with_intervals
from groundglass.version import __version__
from groundglass.write import (
    DEFAULT_FORMATS,
    VERSIONS,
    check_formats,
    earlier_results,
    make_formats,
)
from groundglass.write.folder import keep, move_in_when_done
from groundglass.write.wording import printable

BOTH = "both lungs"

OPACITY_NUMBERS = [int(kind) for kind in OPACITIES]

NOTE = "corrected"

OF_THE_SYSTEM = ("uncertainty", "classify")
"""Settings of what the system alone can say, and corrected lesions cannot."""


def rescore(
    folder: Path,
    lesions: Path,
    *,
    scan: Path | None = None,
    series: str | None = None,
    by: str = "",
    labels: Mapping[str, str] | None = None,
) -> Report:
    """The report of a folder of results with every score computed again from corrected lesions.

    Lungs, lobes and regions stay as they are, and so does quality control: where it withheld the
    scores, there are none. The report's provenance says who corrected, when,
    and how much changed; nobody is named where the result was de-identified. Boxes and classes
    that a system gave are left out, and variants of its answer no longer widen intervals; notes
    say so.

    Args:
        folder: Folder that ``groundglass analyze`` wrote.
        lesions: Corrected mask: NIfTI, NRRD, MetaImage or DICOM Segmentation on the same grid.
        scan: The scan that was analyzed; without it, scores that need Hounsfield units are left
            out.
        series: Series to read from the scan; by default the one that the result was asked of.
        by: Who corrected.
        labels: Meaning of names and numbers that are not ours, such as ``{"5": "ground-glass"}``.

    Raises:
        UnreadableScanError: If folder, scan or mask cannot be read, or a label has no meaning.
        GeometryError: If the mask or the scan lies on another grid.
        ConfigError: If ``labels`` gives a meaning that is no lesion.
    """
    before = read_result(folder, scan, series)
    found = before.findings
    numbers, notes = read_lesions(lesions, found.lungs.voxels.get_geometry(), labels)
    after = replace(found, lesions=Mask.on(found.scan, numbers, found.lesions.labels))
    quality = quality_of(before)
    scores: tuple[Score, ...] = ()
    score_notes: tuple[Note, ...] = ()
    if quality is None or quality.outcome is not Outcome.WITHHELD:
        scores, score_notes = score_with_intervals(after)
    made = before.record.provenance
    nameless = SETTING in made.settings
    correction = Correction(
        by="" if nameless else printable(by.strip()),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        file="..." if nameless else printable(lesions.name),
        file_sha256=hashlib.sha256(lesions.read_bytes()).hexdigest(),
        changes=changes(found, after),
    )
    told = map(_note_of, (*made.corrections, correction))
    new = (*notes, *_outside(after), *told, *_left_out(before), *score_notes)
    if nameless:
        new = tuple(Note(n.name, without_names(n.message, (lesions.name,))) for n in new)
    provenance = made.model_copy(
        update={
            "version": __version__,
            "settings": {k: v for k, v in made.settings.items() if k not in OF_THE_SYSTEM},
            "created": correction.created,
            "libraries": made.libraries | library_versions(),
            "corrections": (*made.corrections, correction),
        }
    )
    return Report(after, scores, provenance, (*_kept_notes(before), *new), quality)


def write_rescored(
    report: Report,
    folder: Path,
    *,
    of: Path,
    spare: Path,
    formats: Collection[str] = DEFAULT_FORMATS,
) -> list[Path]:
    """Write the results of a correction: all of them, or nothing.

    In the folder of the results that were corrected, these go to ``versions/1``, the next time to
    ``versions/2``, with every format that is not written again. Another folder gets the new
    results alone; those of an earlier run in it go.

    Args:
        report: From :func:`rescore`.
        folder: Where to.
        of: Folder of the results that were corrected.
        spare: The corrected mask, which is no result even where it lies among them.
        formats: Names in ``groundglass.write.FORMATS``.

    Returns:
        The new files.

    Raises:
        UnknownNameError: If a format does not exist.
        OutputError: If the scan does not allow a format, the folder cannot be written, a result
            would take the place of the corrected mask, or a de-identified one would come beside
            earlier versions of another. The folder is then as it was.
    """
    check_formats(formats, report.findings.scan)

    def make_results(at: Path) -> list[Path]:
        made = make_formats(report, at, formats)
        _refuse_to_overwrite(spare, [folder / file.relative_to(at) for file in made])
        return made

    spared = spare.resolve()
    if folder.resolve() != of.resolve():
        if SETTING in report.provenance.settings:
            refuse_versions(folder)
        obsolete = [n for n in earlier_results(folder) if (folder / n).resolve() != spared]
        return move_in_when_done(folder, make_results, obsolete)
    earlier = [name for name in earlier_results(folder) if (folder / name).resolve() != spared]
    number = 1
    while (folder / VERSIONS / str(number)).exists():
        number += 1
    version = Path(VERSIONS, str(number))

    def make(at: Path) -> list[Path]:
        made = make_results(at)
        for name in earlier:
            (at / version / name).parent.mkdir(parents=True, exist_ok=True)
            keep(folder / name, at / version / name)
        return [*made, *(at / version / name for name in earlier)]

    files = move_in_when_done(folder, make, earlier)
    return files[: len(files) - len(earlier)]


def _refuse_to_overwrite(mask: Path, files: Sequence[Path]) -> None:
    """Refuse results of which one would take the place of the corrected mask."""
    if mask.resolve() in [file.resolve() for file in files]:
        raise OutputError(
            f"found the corrected mask '{mask.name}' where a new result of that name belongs, "
            "expected it elsewhere; move it away or name it otherwise"
        )


def changes(before: Findings, after: Findings) -> dict[str, Change]:
    """How much the lesions changed, in both lungs and in each lung that the scan shows."""
    counts = {lung: np.zeros(5, np.int64) for lung in Lung}
    slices = zip(before.lungs.slices, before.lesions.slices, after.lesions.slices, strict=True)
    for lungs, old, new in slices:
        if not (old.any() or new.any()):
            continue
        for lung in Lung:
            inside = lungs == int(lung)
            counts[lung] += _count(old[inside], new[inside])
    voxel_ml = before.lungs.voxel_volume_ml
    present = set(np.unique(before.lungs.array))
    named = {BOTH: sum(counts.values(), np.zeros(5, np.int64))} | {
        lung.title: counts[lung] for lung in Lung if int(lung) in present
    }
    return {name: _change(count, voxel_ml) for name, count in named.items()}


def _count(old: NDArray[np.uint8], new: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Voxels opaque before, after, only after, only before, and of another kind."""
    was, is_now = np.isin(old, OPACITY_NUMBERS), np.isin(new, OPACITY_NUMBERS)
    sets = (was, is_now, is_now & ~was, was & ~is_now, was & is_now & (old != new))
    return np.array([np.count_nonzero(one) for one in sets], np.int64)


def _change(count: NDArray[np.int64], voxel_ml: float) -> Change:
    before, after, added, removed, other = (int(n) for n in count)
    dice = 2 * (after - added) / (before + after) if before + after else 1.0
    ml = [round(n * voxel_ml, 4) for n in (before, after, added, removed, other)]
    return Change(
        dice=round(dice, 4),
        before_ml=ml[0],
        after_ml=ml[1],
        added_ml=ml[2],
        removed_ml=ml[3],
        other_kind_ml=ml[4],
    )


def _kept_notes(before: Result) -> tuple[Note, ...]:
    """The notes of the result, without those on scores and corrections, which are made again."""
    notes = (Note(note.name, note.message) for note in before.record.notes)
    return tuple(note for note in notes if note.name not in ("scores", NOTE))


def _left_out(before: Result) -> tuple[Note, ...]:
    """What the result had from its system that is not of the corrected lesions."""
    record, told = before.record, []
    if "uncertainty" in record.provenance.settings:
        told.append(
            "Intervals are of the boundary alone: variants of the system's answer say nothing of "
            "corrected lesions."
        )
    answers = {"boxes": record.detections, "classes": record.classification}
    if named := [name for name, answer in answers.items() if answer is not None]:
        told.append(
            f"Left out the {' and '.join(named)} that a system gave: they are of the scan before "
            "the correction."
        )
    return tuple(Note("left-out", message) for message in told)


def _outside(found: Findings) -> tuple[Note, ...]:
    """What the reader drew outside the lungs."""
    outside = sum(
        int(np.count_nonzero(np.isin(lesions, OPACITY_NUMBERS) & (lungs == 0)))
        for lungs, lesions in zip(found.lungs.slices, found.lesions.slices, strict=True)
    )
    if not outside:
        return ()
    ml = outside * found.lungs.voxel_volume_ml
    message = f"Of the corrected opacity {ml:.1f} ml lie outside the lungs and do not count."
    return (Note(NOTE, message),)


def _note_of(correction: Correction) -> Note:
    change = correction.changes[BOTH]
    by = correction.by or "a reader who was not named"
    return Note(
        NOTE,
        f"Lesions corrected by {by} on {correction.created[:10]}: Dice {change.dice:.3f} with "
        f"those before, {change.added_ml:.1f} ml added, {change.removed_ml:.1f} ml removed, "
        f"{change.other_kind_ml:.1f} ml of another kind.",
    )

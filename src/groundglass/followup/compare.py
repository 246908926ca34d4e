"""Scans of one patient over time: what changed, where, and what became of each lesion."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from groundglass.analyze import DEFAULT_SYSTEM, analyze
from groundglass.errors import ConfigError, UnreadableScanError, WithheldError
from groundglass.findings import Findings
from groundglass.followup.comparison import Comparison, Interval, Scan
from groundglass.followup.lesion_changes import RULES, follow_lesions
from groundglass.followup.measures import changes, measures
from groundglass.followup.registration import Registration, register
from groundglass.followup.result_folder import is_result, quality_of, read_result
from groundglass.labels import OPACITIES
from groundglass.provenance import acquired_on
from groundglass.report import Outcome, Provenance, Quality
from groundglass.scan import CTScan, Note
from groundglass.version import __version__
from groundglass.write.wording import printable

LARGEST_ERROR_MM = 4.0
"""Lungs farther apart after registration make the matching of lesions unsure."""

Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True, eq=False)
class TimePoint:
    """One scan with what was found on it.

    Attributes:
        name: Name of the scan.
        findings: Scan, lungs, lesions, lobes and regions.
        provenance: What made them.
        day: Days since the first scan; ``None`` where no date is known.
        notes: What was noticed on it, warnings of quality control among it.
    """

    name: str
    findings: Findings
    provenance: Provenance
    day: int | None = None
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """A comparison with the scans and registrations that its pictures are drawn from."""

    comparison: Comparison
    points: tuple[TimePoint, ...]
    registrations: tuple[Registration, ...]


def compare(
    paths: Sequence[Path],
    *,
    scans: Sequence[Path] = (),
    days: Sequence[int] = (),
    system: str = DEFAULT_SYSTEM,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Compared:
    """Compare scans of one patient over time.

    Args:
        paths: Folders of results, or scans, which are then analyzed; two or more.
        scans: The scan behind each folder of results, in the same order; without them the lungs
            are registered by their shape alone.
        days: Day of each path, from any first day; by default from the dates of DICOM scans, and
            where one is missing the paths are taken to be in time order.
        system: System that finds the lesions on scans.
        device: Where networks run.
        progress: Told how far each stage is.

    Raises:
        ConfigError: If there are too few paths, or not as many scans or days as there must be.
        UnreadableScanError: If a path is neither, or holds pictures.
        WithheldError: If quality control found a scan unfit to be measured.
    """
    folders = [path for path in paths if is_result(path)]
    _check_numbers(paths, folders, scans, days)
    behind = dict(zip(folders, scans, strict=False))
    points = [
        _result(path, behind.get(path))
        if path in folders
        else _analyzed(path, system, device, progress)
        for path in paths
    ]
    points, notes = _in_time_order(points, days)
    return compare_points(points, notes, progress)


def compare_points(
    points: Sequence[TimePoint], notes: Sequence[Note] = (), progress: Progress | None = None
) -> Compared:
    """Compare scans that were read and analyzed, in time order; see :func:`compare`."""
    told = [*notes, *_differences(points), *_notes_of(points)]
    registrations, intervals = [], []
    measured = [_scan(point) for point in points]
    for number in range(1, len(points)):
        if progress is not None:
            progress("registration", (number - 1) / (len(points) - 1))
        earlier, later = points[number - 1], points[number]
        found = register(earlier.findings, later.findings)
        registrations.append(found)
        lesions = follow_lesions(earlier.findings, later.findings, found)
        intervals.append(
            Interval(
                registration=found.method,
                surface_mm=found.surface_mm,
                folded_percent=found.folded_percent,
                changes=changes(measured[number - 1].parts, measured[number].parts),
                lesions=lesions,
            )
        )
        told += _doubts(found, later)
    if progress is not None:
        progress("registration", 1.0)
    comparison = Comparison(
        written_by=f"groundglass {__version__}",
        rules=RULES,
        scans=tuple(measured),
        intervals=tuple(intervals),
        notes=tuple(told),
    )
    return Compared(comparison, tuple(points), tuple(registrations))


def _check_numbers(
    paths: Sequence[Path], folders: Sequence[Path], scans: Sequence[Path], days: Sequence[int]
) -> None:
    if len(paths) < 2:
        raise ConfigError(f"found {len(paths)} scan, expected two or more; name the other ones")
    if scans and len(scans) != len(folders):
        raise ConfigError(
            f"found {len(scans)} scans for {len(folders)} folders of results, expected one for "
            "each in the same order; name all of them or none"
        )
    if days and len(days) != len(paths):
        raise ConfigError(
            f"found {len(days)} days for {len(paths)} scans, expected one for each in the same "
            "order; give all of them or none"
        )


def _result(folder: Path, scan: Path | None) -> TimePoint:
    found = read_result(folder, scan)
    quality, record = quality_of(found), found.record
    _refuse_withheld(quality, record.scan.name)
    notes = tuple(Note(note.name, note.message) for note in record.notes)
    return TimePoint(
        record.scan.name,
        found.findings,
        record.provenance,
        notes=(*_warnings(quality), *notes),
    )


def _analyzed(path: Path, system: str, device: str, progress: Progress | None) -> TimePoint:
    report = analyze(path, system=system, device=device, progress=progress)
    if not isinstance(report.findings.scan, CTScan):
        raise UnreadableScanError(
            f"found pictures in '{path.name}', expected a CT volume; compare DICOM, NIfTI, "
            "MetaImage or NRRD"
        )
    _refuse_withheld(report.quality, report.findings.scan.source.name)
    return TimePoint(
        report.findings.scan.source.name,
        report.findings,
        report.provenance,
        notes=(*_warnings(report.quality), *report.notes),
    )


def _refuse_withheld(quality: Quality | None, name: str) -> None:
    """Refuse a scan that quality control found unfit to be measured."""
    if quality is not None and quality.outcome is Outcome.WITHHELD:
        raise WithheldError(
            f"found '{name}', of which quality control withheld the scores, expected scans fit to "
            "be measured; leave it out"
        )


def _warnings(quality: Quality | None) -> tuple[Note, ...]:
    """What quality control warned of."""
    warned = () if quality is None else quality.having(Outcome.WARNING)
    return tuple(Note(check.name, check.message) for check in warned)


def _in_time_order(
    points: Sequence[TimePoint], days: Sequence[int]
) -> tuple[list[TimePoint], list[Note]]:
    dates = [acquired_on(point.findings.scan.source) for point in points]
    known = [date.toordinal() for date in dates if date is not None]
    numbers = list(days) or known
    if len(numbers) < len(points):
        note = Note("no-dates", "Not every scan states its date: taken in the order given.")
        return list(points), [note]
    order = sorted(range(len(points)), key=lambda i: numbers[i])
    first = numbers[order[0]]
    placed = [replace(points[i], day=numbers[i] - first) for i in order]
    if order == sorted(order):
        return placed, []
    return placed, [Note("reordered", "The scans were put in the order of their dates.")]


def _scan(point: TimePoint) -> Scan:
    found, made = point.findings, point.provenance
    kinds = {
        kind.title: float(
            np.count_nonzero((found.lesions.array == int(kind)) & (found.lungs.array > 0))
            * found.lungs.voxel_volume_ml
        )
        for kind in OPACITIES
    }
    weights = f", weights {made.weights_sha256[:8]}" if made.weights_sha256 else ""
    return Scan(
        name=printable(point.name),
        day=point.day,
        system=f"{made.system}{weights}",
        corrected=bool(made.corrections),
        parts=measures(found),
        kinds_ml={title: ml for title, ml in kinds.items() if ml},
    )


def _notes_of(points: Sequence[TimePoint]) -> list[Note]:
    """What was noticed on each scan, with which one it is."""
    return [
        Note(note.name, f"Scan {number}, '{point.name}': {note.message}")
        for number, point in enumerate(points, start=1)
        for note in point.notes
    ]


def _differences(points: Sequence[TimePoint]) -> list[Note]:
    """What differs between the scans other than the disease."""
    notes = []
    systems = {(p.provenance.system, p.provenance.weights_sha256) for p in points}
    if len(systems) > 1:
        notes.append(
            Note("systems", "The lesions were found by different systems: a change may be theirs.")
        )
    ways = {
        "lungs": {p.provenance.lungs_method for p in points},
        "lobes": {p.provenance.regions_source or "not found" for p in points},
    }
    notes += [
        Note(
            name,
            f"The {name} were found in different ways: {'; '.join(sorted(map(printable, found)))}. "
            "A change of volume or share may be theirs.",
        )
        for name, found in ways.items()
        if len(found) > 1
    ]
    if len({bool(p.provenance.corrections) for p in points}) > 1:
        notes.append(
            Note("corrected", "A reader corrected the lesions of some of the scans, not of all.")
        )
    steps = [float(p.findings.lungs.voxels.spacing[0]) for p in points]
    if max(steps) > 1.5 * min(steps):
        notes.append(
            Note(
                "spacing",
                f"The distance between slices differs, {min(steps):g} to {max(steps):g} mm: small "
                "lesions may show on one scan alone.",
            )
        )
    return notes


def _doubts(found: Registration, later: TimePoint) -> list[Note]:
    if found.error_mm <= LARGEST_ERROR_MM:
        return []
    return [
        Note(
            "registration",
            f"The lungs of '{later.name}' lie {found.error_mm:.1f} mm from those before after "
            f"registration, more than {LARGEST_ERROR_MM:g} mm: which lesions are new or resolved "
            "is unsure; look whether both scans are of one patient.",
        )
    ]

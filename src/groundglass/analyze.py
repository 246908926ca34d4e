"""One scan to one report: the only place that knows the order of the stages."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter

from groundglass.classification import Classification
from groundglass.detections import Detections
from groundglass.errors import NotMeasurableError
from groundglass.findings import Findings
from groundglass.lungs.lobes import check_lobes, check_lobes_for, outside_lobes
from groundglass.lungs.regions import find_regions
from groundglass.mask import Mask
from groundglass.provenance import describe
from groundglass.quality import check_quality
from groundglass.read import read
from groundglass.report import Answer, Outcome, Provenance, Quality, Report
from groundglass.scan import CTScan, Note, Scan
from groundglass.score import Score
from groundglass.severity.intervals import score_with_intervals
from groundglass.systems import Card, Segmenter, load_system
from groundglass.systems.card import AnswerKind
from groundglass.systems.scan_lungs import (
    DEFAULT_LUNGS,
    Found,
    check_lung_method,
    find_scan_lungs,
)
from groundglass.systems.system import (
    Classifier,
    Detector,
    VariantSegmenter,
    find_card,
    need_answer,
)
from groundglass.write.wording import printable

Progress = Callable[[str, float], None]
"""Called with the name of the running stage and its finished fraction, 0 to 1."""

Check = Callable[[Scan], object]
"""Called with the scan once it is read, before the long work; raises to stop."""

DEFAULT_SYSTEM = "baseline_unet"


@dataclass
class _Stages:
    """Times each stage and tells how far it is."""

    progress: Progress | None
    check: Check | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    _name: str = ""
    _start: float = 0.0

    def begin(self, name: str) -> None:
        self.end()
        self._name, self._start = name, perf_counter()
        self.tell(0.0)

    def tell(self, fraction: float) -> None:
        if self.progress is not None:
            self.progress(self._name, fraction)

    def end(self, parts: Mapping[str, float] | None = None) -> None:
        """Note the time of the running stage, or of its parts where they are known."""
        if self._name:
            seconds = parts or {self._name: perf_counter() - self._start}
            self.seconds |= {name: round(value, 2) for name, value in seconds.items()}
            self.tell(1.0)
            self._name = ""


def analyze(  # noqa: PLR0913 - one argument for each choice of the user
    path: Path,
    *,
    system: str = DEFAULT_SYSTEM,
    series: str | None = None,
    tolerate: Collection[str] = (),
    device: str = "cpu",
    lungs: str = DEFAULT_LUNGS,
    lobes: str | Path | None = None,
    uncertainty: bool = False,
    classifier: str | None = None,
    progress: Progress | None = None,
    check: Check | None = None,
) -> Report:
    """Read a chest CT, find lungs and pneumonia, and score the severity.

    Args:
        path: File or folder of DICOM, NIfTI, MetaImage, NRRD or pictures.
        system: Name of the system that finds the lesions, or folder of a training run.
        series: Series to read where a folder holds several.
        tolerate: Names of oddities to accept; each becomes a note in the report.
        device: Where the network runs.
        lungs: How the lungs of volumes are found: ``threshold+network``, ``threshold``, ``unet``,
            or the folder of a run of ``lung_unet``.
        lobes: Mask of lobes or folder of such masks, or ``lungmask``; by default they are
            estimated.
        uncertainty: Whether the system looks at variants of the scan as well, which widen the
            intervals of the scores; it takes several times as long.
        classifier: System that says what the scan most likely shows, or folder of a run; by default
            the system itself where it can.
        progress: Told how far each stage is.
        check: Called with the scan once it is read; whatever it raises ends the analysis.

    Returns:
        The report; without scores, lobes and regions where quality control withheld them.

    Raises:
        GroundglassError: What was found, what was expected, what to do.
    """
    if lobes is not None:
        check_lobes(lobes)
    asked = None if classifier is None else _load_classifier(classifier, device)
    stages = _Stages(progress, check)
    request = _Request(path, system, series, tolerate, device, lungs, lobes)
    segmenter, findings, lungs_method, notes = _segment(request, stages)
    stages.begin("quality")
    quality = check_quality(findings.scan, findings.lungs)
    stages.end()
    scores: tuple[Score, ...] = ()
    regions_source = ""
    notes = _not_told_by(quality, notes)
    if quality.outcome is not Outcome.WITHHELD:
        findings, regions_source, region_notes = _with_regions(
            findings, lobes, tolerate, device, stages
        )
        scores, score_notes = _scores(findings, segmenter if uncertainty else None, stages)
        notes = (*notes, *region_notes, *score_notes)
    detections = _boxes(segmenter, findings.scan, findings.lungs, stages)
    asked = segmenter if asked is None else asked
    classification = _classes(asked, findings.scan, findings.lungs, stages)
    notes = (*notes, *_notes_of(detections), *_notes_of(classification))
    settings = {
        "series": series or "",
        "tolerate": " ".join(sorted(tolerate)),
        "lobes": Path(lobes).name if lobes is not None else "",
        "uncertainty": "yes" if uncertainty else "",
        "classify": Path(classifier).name if classifier is not None else "",
    }
    provenance = _provenance(
        findings.scan,
        segmenter.card,
        stages,
        device=device,
        settings={name: printable(value) for name, value in settings.items()},
        lungs_method=lungs_method,
        regions_source=regions_source,
    )
    return Report(findings, scores, provenance, notes, quality, detections, classification)


def segment(
    path: Path,
    *,
    system: str = DEFAULT_SYSTEM,
    series: str | None = None,
    tolerate: Collection[str] = (),
    device: str = "cpu",
    progress: Progress | None = None,
) -> tuple[Findings, tuple[Note, ...]]:
    """Read a chest CT and find lungs and lesions; arguments and errors as for :func:`analyze`."""
    request = _Request(path, system, series, tolerate, device)
    _, findings, _, notes = _segment(request, _Stages(progress))
    return findings, notes


def detect(
    path: Path,
    *,
    system: str,
    series: str | None = None,
    tolerate: Collection[str] = (),
    device: str = "cpu",
    progress: Progress | None = None,
) -> Answer:
    """Read a chest CT and find lesions as boxes; arguments and errors as for :func:`analyze`."""
    request = _Request(path, system, series, tolerate, device)
    return _answer(request, "detect", _Stages(progress))


def classify(
    path: Path,
    *,
    system: str,
    series: str | None = None,
    tolerate: Collection[str] = (),
    device: str = "cpu",
    progress: Progress | None = None,
) -> Answer:
    """Read a chest CT and say what it shows; arguments and errors as for :func:`analyze`."""
    request = _Request(path, system, series, tolerate, device)
    return _answer(request, "classify", _Stages(progress))


def find_lungs_in(
    path: Path,
    *,
    series: str | None = None,
    tolerate: Collection[str] = (),
    device: str = "cpu",
    lungs: str = DEFAULT_LUNGS,
    progress: Progress | None = None,
) -> tuple[Scan, Mask, tuple[Note, ...]]:
    """Read a chest CT and find its lungs; arguments and errors as for :func:`analyze`."""
    stages = _Stages(progress)
    stages.begin("reading")
    check_lung_method(lungs)
    scan = read(path, series=series, tolerate=tolerate)
    found, _, notes = _lungs_of(scan, None, device, stages, lungs)
    stages.end()
    return scan, found, (*scan.source.notes, *notes)


@dataclass(frozen=True, slots=True)
class _Request:
    """What is asked, and of which system."""

    path: Path
    system: str
    series: str | None
    tolerate: Collection[str]
    device: str
    lungs: str = DEFAULT_LUNGS
    lobes: str | Path | None = None


def _load_classifier(name: str, device: str) -> Segmenter:
    """A system that says what a CT shows, weights checked and loaded before the long work."""
    card, _ = find_card(name)
    need_answer(card, "classify")
    if card.modality == "radiograph":
        raise NotMeasurableError(
            f"weights of '{card.name}' that learned from radiographs alone",
            "weights that learned from CT; give --classify a run of them, or leave it out",
        )
    return load_system(name, device)


def _answer(request: _Request, wanted: AnswerKind, stages: _Stages) -> Answer:
    """One kind of answer on a scan."""
    card, _ = find_card(request.system)
    need_answer(card, wanted)
    stages.begin("reading")
    scan = read(request.path, series=request.series, tolerate=request.tolerate)
    system = load_system(request.system, request.device)
    lungs, lungs_method, notes = _lungs_of(scan, system, request.device, stages)
    detecting = wanted == "detect"
    detections = _boxes(system, scan, lungs, stages) if detecting else None
    classification = None if detecting else _classes(system, scan, lungs, stages)
    settings = {
        "series": request.series or "",
        "tolerate": " ".join(sorted(request.tolerate)),
    }
    provenance = _provenance(
        scan,
        system.card,
        stages,
        device=request.device,
        settings=settings,
        lungs_method=lungs_method,
    )
    notes = (*scan.source.notes, *notes, *_notes_of(detections), *_notes_of(classification))
    return Answer(scan, lungs, provenance, detections, classification, notes)


def _boxes(system: object, scan: Scan, lungs: Mask, stages: _Stages) -> Detections | None:
    """Lesions as boxes, of a system that gives them."""
    if not (isinstance(system, Detector) and "detect" in system.card.answers):
        return None
    stages.begin("boxes")
    found = system.detect(scan, lungs, stages.tell)
    stages.end()
    return found


def _classes(system: object, scan: Scan, lungs: Mask, stages: _Stages) -> Classification | None:
    """What the scan shows, of a system that says."""
    if not (isinstance(system, Classifier) and "classify" in system.card.answers):
        return None
    stages.begin("class")
    found = system.classify(scan, lungs, stages.tell)
    stages.end(found.seconds)
    return found


def _notes_of(found: Detections | Classification | None) -> tuple[Note, ...]:
    return () if found is None else found.notes


def _provenance(  # noqa: PLR0913 - one argument for each fact
    scan: Scan,
    card: Card,
    stages: _Stages,
    *,
    device: str,
    settings: Mapping[str, str],
    lungs_method: str,
    regions_source: str = "",
) -> Provenance:
    return describe(
        scan.source,
        system=card.name,
        weights_sha256=card.weights.sha256 if card.weights else "",
        lungs_method=lungs_method,
        regions_source=regions_source,
        device=device,
        settings={name: value for name, value in settings.items() if value},
        seconds=stages.seconds,
        facts=card.facts,
    )


def _segment(
    request: _Request, stages: _Stages
) -> tuple[Segmenter, Findings, str, tuple[Note, ...]]:
    need_answer(find_card(request.system)[0], "segment")  # told before the long work
    check_lung_method(request.lungs)
    stages.begin("reading")
    scan = read(request.path, series=request.series, tolerate=request.tolerate)
    if stages.check is not None:
        stages.check(scan)
    if request.lobes is not None:
        check_lobes_for(request.lobes, scan, request.tolerate)
    segmenter = load_system(request.system, request.device)
    lungs, lungs_method, notes = _lungs_of(scan, segmenter, request.device, stages, request.lungs)
    stages.begin("lesions")
    lesions = segmenter.segment(scan, lungs, stages.tell)
    stages.end()
    return segmenter, Findings(scan, lungs, lesions), lungs_method, (*scan.source.notes, *notes)


def _not_told_by(quality: Quality, notes: tuple[Note, ...]) -> tuple[Note, ...]:
    """The notes without those that a check of the same name tells with its number."""
    told = {check.name for check in quality.checks if check.message}
    return tuple(note for note in notes if note.name not in told)


def _scores(
    findings: Findings, varying: Segmenter | None, stages: _Stages
) -> tuple[tuple[Score, ...], tuple[Note, ...]]:
    """The scores with their intervals, which variants of the given system widen, and notes."""
    variants: list[Mask] = []
    missing: tuple[Note, ...] = ()
    if isinstance(varying, VariantSegmenter):
        stages.begin("uncertainty")
        variants += varying.segment_variants(findings.scan, findings.lungs, stages.tell)
    elif varying is not None:
        message = f"{varying.card.name} gives no variants: intervals are of the boundary alone."
        missing = (Note("uncertainty", message),)
    stages.begin("scores")
    scores, notes = score_with_intervals(findings, variants)
    stages.end()
    return scores, (*missing, *notes)


def _with_regions(
    findings: Findings,
    lobes: str | Path | None,
    tolerate: Collection[str],
    device: str,
    stages: _Stages,
) -> tuple[Findings, str, tuple[Note, ...]]:
    """The findings with lobes and regions, their source, and what was noticed."""
    scan = findings.scan
    if not isinstance(scan, CTScan):
        return findings, "", ()
    stages.begin("regions")
    given = None if lobes is None else outside_lobes(lobes, scan, findings.lungs, tolerate, device)
    try:
        found = find_regions(scan, findings.lungs, given.lobes if given else None)
    except NotMeasurableError as error:
        return findings, "", (Note("regions", f"No lobes and regions: {error}."),)
    finally:
        stages.end()
    known = replace(findings, lobes=found.lobes, regions=found.regions)
    if given is None:
        return known, found.source, ()
    return known, f"{found.source}, {given.source}", given.notes


def _lungs_of(
    scan: Scan,
    segmenter: Segmenter | None,
    device: str,
    stages: _Stages,
    method: str = DEFAULT_LUNGS,
) -> Found:
    stages.begin("lungs")
    return find_scan_lungs(scan, method, segmenter=segmenter, device=device, progress=stages.tell)

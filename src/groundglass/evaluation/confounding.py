"""Do pixels without lung give the class away? A probe of what a network could go by instead."""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from groundglass.data.cohort import Case, Cohort
from groundglass.errors import CohortError
from groundglass.evaluation.result import Result
from groundglass.intensity import window_hu
from groundglass.lungs import find_lungs
from groundglass.read import read
from groundglass.scan import CTScan, CTSlices, Source
from groundglass.systems.system import lung_finder

THUMBNAIL_PX = 24
"""Side of the picture of everything but the lungs that the probe sees."""

GRAYS = 16
"""Bins of the histogram of its gray."""

FOLDS = 5
PENALTY = 1.0
"""Weight of the squared coefficients of the probe, on standardized features."""

_MARGIN = 0.03
"""Margin of the lungs that is blanked with them, as a share of the width."""

_SLICES = 9
"""Slices of a series that are looked at."""


class Told(Result):
    """What a probe tells from pixels without lung.

    Attributes:
        classes: Cases by what was to be told.
        accuracy: Mean over classes of the share told right, by cross-validation over patients.
        chance: The same by guessing.
        low: Lower end of the 95 % bootstrap interval of the accuracy, patients resampled.
        high: Upper end.
    """

    classes: dict[str, int]
    accuracy: float
    chance: float
    low: float
    high: float


class Confounding(Result):
    """How far class and source can be told without seeing the lungs.

    Attributes:
        name: Name of the measurement.
        sources: Names of the tables.
        patients: Number of patients.
        label: What is told of the class; ``None`` where there is one class alone, or too few
            patients of one.
        source: What is told of the source; ``None`` where there is one source alone, or too few
            patients of one.
        label_is_source: Whether each source has cases of one class alone, so that no measure can
            tell the one from the other.
    """

    name: str
    sources: tuple[str, ...]
    patients: int
    label: Told | None
    source: Told | None
    label_is_source: bool


def measure_confounding(
    tables: Sequence[Path], name: str, progress: Callable[[float], None] | None = None
) -> Confounding:
    """Train and test a linear probe on everything but the lungs.

    Cases without a label serve to tell the source alone. The probe is a logistic regression on a
    thumbnail and a gray histogram of pictures, or of nine slices of a series, with the lungs and a
    margin blanked.

    Args:
        tables: Cohort tables; each is a source.
        name: Name of the measurement.
        progress: Told how far it is.

    Raises:
        CohortError: If there is one table alone and no case in it has a label, two tables have
            one name, a case is a radiograph, whose lungs nothing here finds, or a series shows no
            lung.
    """
    cohorts = [Cohort.read([table]) for table in tables]
    Cohort([case for cohort in cohorts for case in cohort.cases])  # no name or patient twice
    sources = [
        table.stem if table.stem != "cohort" else table.resolve().parent.name for table in tables
    ]
    if len(set(sources)) < len(sources):
        raise CohortError(
            f"found tables of the sources {', '.join(sources)}, expected a name of its own for "
            "each; rename the files"
        )
    cases = [
        (case, source)
        for source, cohort in zip(sources, cohorts, strict=True)
        for case in cohort.cases
    ]
    if len(tables) == 1 and not any(case.label for case, _ in cases):
        raise CohortError("found no case with a label, expected some; fill the label column")
    _refuse_unknown_lungs([case for case, _ in cases])
    rows = []
    for done, (case, _) in enumerate(cases, start=1):
        rows.append(lung_free_features(case))
        if progress is not None:
            progress(done / len(cases))
    features = np.stack(rows)
    patients = [case.patient for case, _ in cases]
    labels, sources = [case.label for case, _ in cases], [source for _, source in cases]
    labeled = [k for k, label in enumerate(labels) if label]
    pairs = {(sources[k], labels[k]) for k in labeled}
    known = {label for _, label in pairs}
    return Confounding(
        name=name,
        sources=tuple(dict.fromkeys(sources)),
        patients=len(set(patients)),
        label=tell(features[labeled], [labels[k] for k in labeled], [patients[k] for k in labeled]),
        source=tell(features, sources, patients),
        label_is_source=len(known) > 1 and len(pairs) == len({source for source, _ in pairs}),
    )


def _refuse_unknown_lungs(cases: Sequence[Case]) -> None:
    """Refuse radiographs without lungs: what finds them on CT slices would find something else."""
    strange = [c.case for c in cases if c.modality == "radiograph" and c.lungs is None]
    if strange:
        raise CohortError(
            f"found {len(strange)} radiographs without a mask of the lungs, the first "
            f"'{strange[0]}', expected one for each, as lungs are found on CT alone; give the "
            "masks, or leave the rows out"
        )


def lung_free_features(case: Case) -> NDArray[np.float64]:
    """Thumbnail and histogram of a case with its lungs blanked, averaged over slices."""
    shown = [
        _features(gray, lung) for gray, lung in (_slices(case) if case.is_series else [_one(case)])
    ]
    return np.asarray(np.mean(shown, axis=0), np.float64)


def tell(
    features: NDArray[np.float64], names: Sequence[str], patients: Sequence[str]
) -> Told | None:
    """How well names are told from features by a linear probe, cross-validated over patients.

    Args:
        features: (case, feature).
        names: What is to be told of each case.
        patients: Patient of each case; never in two folds.

    Returns:
        ``None`` where there are fewer than two names, or a name has fewer than two patients.
    """
    if not names:
        return None
    classes, index = np.unique(list(names), return_inverse=True)
    people, person = np.unique(list(patients), return_inverse=True)
    each = [len(set(person[index == k].tolist())) for k in range(len(classes))]
    if len(classes) < 2 or min(each) < 2:
        return None
    fold = _folds(person, index, min(FOLDS, *each))
    said = np.empty(len(index), np.int64)
    for number in np.unique(fold):
        test = fold == number
        said[test] = _probe(features[~test], index[~test], features[test], len(classes))
    right = said == index
    random = np.random.default_rng(0)
    drawn = random.multinomial(len(people), np.full(len(people), 1 / len(people)), 1000)
    resampled = [_balanced(right, index, weights[person]) for weights in drawn]
    low, high = np.nanpercentile(resampled, [2.5, 97.5])
    counts = np.bincount(index)
    return Told(
        classes={str(n): int(c) for n, c in zip(classes, counts, strict=True)},
        accuracy=round(_balanced(right, index, np.ones(len(index))), 4),
        chance=round(1 / len(classes), 4),
        low=round(float(low), 4),
        high=round(float(high), 4),
    )


def _folds(person: NDArray[np.int64], index: NDArray[np.int64], folds: int) -> NDArray[np.int64]:
    """Fold of each case: patients of each class dealt out in turn."""
    of_person = np.zeros(person.max() + 1, np.int64)
    first = {int(p): int(index[person == p][0]) for p in np.unique(person)}
    for name in np.unique(index).tolist():
        members = np.array([p for p, own in first.items() if own == name], np.int64)
        order = np.random.default_rng((0, name)).permutation(members)
        of_person[order] = np.arange(len(order)) % folds
    return np.asarray(of_person[person])


def _balanced(
    right: NDArray[np.bool_], index: NDArray[np.int64], weights: NDArray[np.float64]
) -> float:
    """Mean over classes of the share told right."""
    total = np.bincount(index, weights)
    hits = np.bincount(index, weights * right)
    if (total == 0).any():
        return float("nan")
    return float((hits / total).mean())


def _probe(
    seen: NDArray[np.float64], index: NDArray[np.int64], unseen: NDArray[np.float64], classes: int
) -> NDArray[np.int64]:
    """Multinomial logistic regression, every class of the same weight: the classes it tells."""
    mean, deviation = seen.mean(0), seen.std(0) + 1e-6
    inputs = np.hstack([(seen - mean) / deviation, np.ones((len(seen), 1))])
    weights = 1 / (classes * np.bincount(index, minlength=classes).clip(1)[index])
    wanted = np.eye(classes)[index]

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        coefficients = flat.reshape(-1, classes)
        logits = inputs @ coefficients
        logits -= logits.max(1, keepdims=True)
        shares = np.exp(logits)
        shares /= shares.sum(1, keepdims=True)
        likely = np.log(np.maximum(shares[np.arange(len(index)), index], 1e-12))
        penalized = coefficients.copy()
        penalized[-1] = 0
        cost = -(weights * likely).sum() + PENALTY / 2 * (penalized**2).sum() / len(seen)
        slope = inputs.T @ (weights[:, None] * (shares - wanted)) + PENALTY * penalized / len(seen)
        return float(cost), slope.ravel()

    start = np.zeros(inputs.shape[1] * classes)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200})
    asked = np.hstack([(unseen - mean) / deviation, np.ones((len(unseen), 1))])
    return np.asarray((asked @ found.x.reshape(-1, classes)).argmax(1))


def _features(gray: NDArray[np.float32], lung: NDArray[np.bool_]) -> NDArray[np.float32]:
    side = 2 * max(1, round(_MARGIN * gray.shape[1])) + 1
    blank = cv2.dilate(lung.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    outside = np.where(blank, np.float32(0.5), np.clip(gray, 0, 1))
    size = (THUMBNAIL_PX, THUMBNAIL_PX)
    small = cv2.resize(outside, size, interpolation=cv2.INTER_AREA)
    counts, _ = np.histogram(np.clip(gray, 0, 1)[~blank], GRAYS, (0, 1))
    return np.concatenate([small.ravel(), counts / max(1, counts.sum())]).astype(np.float32)


def _one(case: Case) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Gray and lungs of a picture; where these are not known, they are found."""
    pixels, lung = case.read_image(), case.read_lungs()
    if lung is None:
        scan = CTSlices((case.case,), (pixels,), Source(case.case, "pictures"))
        lung = lung_finder(None, "cpu").find_lungs(scan).slices[0]
    return pixels.astype(np.float32) / np.float32(255.0), lung > 0


def _slices(case: Case) -> list[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
    """Gray and lungs of some slices of a series, spread evenly over those that show lung."""
    scan = read(case.image)
    if isinstance(scan, CTScan):
        lungs, _ = find_lungs(scan)
    else:
        lungs = lung_finder(None, "cpu").find_lungs(scan)
    shown = [k for k, lung in enumerate(lungs.slices) if lung.any()]
    if not shown:
        raise CohortError(
            f"found no lung on any picture of '{case.case}', expected a series of CT slices that "
            "shows some; correct the row, or leave it out"
        )
    chosen = np.unique(np.linspace(0, len(shown) - 1, _SLICES).round().astype(int))
    pairs = []
    for k in (shown[place] for place in chosen):
        pixels = scan.slices[k]
        # A picture's window is told by its lungs as well: its gray is taken as it stands.
        gray = window_hu(pixels) if isinstance(scan, CTScan) else pixels / np.float32(255.0)
        pairs.append((gray, lungs.slices[k] > 0))
    return pairs

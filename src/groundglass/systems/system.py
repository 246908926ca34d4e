"""What every system offers, and how one is loaded by name or from a training run."""

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from groundglass.classification import Classification
from groundglass.detections import Detection, Detections
from groundglass.errors import UnknownNameError, WeightsError
from groundglass.labels import Lesion
from groundglass.mask import Mask
from groundglass.metrics.instances import Instance
from groundglass.scan import CTScan, CTSlices, Note, Scan
from groundglass.systems.card import AnswerKind, Card, home, load_card, read_card

Progress = Callable[[float], None]
"""Called with the finished fraction, 0 to 1."""


class Segmenter(Protocol):
    """A system that finds lesions.

    Attributes:
        card: Its facts.
        device: Where its network runs.
    """

    card: Card
    device: str

    def segment(self, scan: Scan, lungs: Mask, progress: Progress | None = None) -> Mask:
        """Lesions on the scan's own grid, label set ``Lesion``.

        Args:
            scan: CT volume or pictures.
            lungs: Its lungs, label set ``Lung``.
            progress: Told how far it is.
        """
        ...


@runtime_checkable
class Detector(Protocol):
    """A system that finds lesions as boxes with scores.

    Attributes:
        card: Its facts.
    """

    card: Card

    def detect(self, scan: Scan, lungs: Mask, progress: Progress | None = None) -> Detections:
        """Lesions slice by slice.

        Args:
            scan: CT volume or pictures.
            lungs: Its lungs, label set ``Lung``.
            progress: Told how far it is.
        """
        ...


@runtime_checkable
class Classifier(Protocol):
    """A system that says what a scan most likely shows.

    Attributes:
        card: Its facts.
    """

    card: Card

    def classify(self, scan: Scan, lungs: Mask, progress: Progress | None = None) -> Classification:
        """Class probabilities of the whole scan.

        Args:
            scan: CT volume or pictures.
            lungs: Its lungs, label set ``Lung``.
            progress: Told how far it is.
        """
        ...


@runtime_checkable
class LungFinder(Protocol):
    """A system that finds lungs on pictures, which have no Hounsfield units."""

    def find_lungs(self, scan: CTSlices, progress: Progress | None = None) -> Mask:
        """Lungs of every picture, label set ``Lung``; a picture may show none."""
        ...


@runtime_checkable
class LungMapper(Protocol):
    """A system that gives the probability of lung on slices of a volume."""

    def lung_probability(
        self,
        scan: CTScan,
        lungs: Mask,
        numbers: Sequence[int],
        progress: Progress | None = None,
    ) -> Iterator[NDArray[np.float32]]:
        """Probability of lung, 0 to 1, (row, column) of the scan, for each of some slices.

        Args:
            scan: CT volume.
            lungs: Its lungs as far as they are known; what lies far from them is not looked at.
            numbers: Numbers of the slices.
            progress: Told how far it is.
        """
        ...


@runtime_checkable
class VolumeLungFinder(Protocol):
    """A system that finds the lungs of volumes.

    Attributes:
        card: Its facts.
    """

    card: Card

    def find_volume_lungs(
        self, scan: CTScan, progress: Progress | None = None
    ) -> tuple[Mask, tuple[Note, ...]]:
        """Lungs of a volume, label set ``Lung``, and what was noticed."""
        ...


@runtime_checkable
class TripleDetector(Protocol):
    """A system that finds lesions on a slice between its neighbors, lungs not looked for."""

    def find_between(self, pictures: Sequence[NDArray[np.uint8] | None]) -> list[Instance]:
        """Lesions on the grid of the slice, the surest first.

        Args:
            pictures: The slice before, the slice, the slice after, each (row, column), 0 to 255;
                ``None`` for a neighbor that there is not.
        """
        ...


@runtime_checkable
class LesionMapper(Protocol):
    """A system that gives the probability of lesion on whole pictures, lungs not looked for."""

    def lesion_probability(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probability of lesion, 0 to 1, on the grid of the picture.

        Args:
            pixels: Picture, (row, column), 0 to 255.
        """
        ...


@runtime_checkable
class InstanceFinder(Protocol):
    """A system that finds each lesion by itself on whole pictures, lungs not looked for.

    Attributes:
        instance_kinds: Kinds of lesion that it tells.
    """

    instance_kinds: tuple[Lesion, ...]

    def find_instances(
        self, pixels: NDArray[np.uint8]
    ) -> list[tuple[Detection, NDArray[np.bool_]]]:
        """Lesions with their outlines, (row, column) of the picture, however low their scores.

        Args:
            pixels: Picture, (row, column), 0 to 255.
        """
        ...


@runtime_checkable
class KindMapper(Protocol):
    """A system that gives the probability of each kind of lesion on whole pictures."""

    def kind_probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """Probability of ground-glass opacity and of consolidation on the grid of the picture.

        Args:
            pixels: Picture, (row, column), 0 to 255.

        Returns:
            (2, row, column), adding up to at most 1; ``None`` where these weights tell no kinds.
        """
        ...


@runtime_checkable
class VariantSegmenter(Protocol):
    """A system that can say how its answer varies where the scan means the same."""

    def segment_variants(
        self, scan: Scan, lungs: Mask, progress: Progress | None = None
    ) -> Iterator[Mask]:
        """Further answers, label set ``Lesion``, each from the scan changed in a harmless way.

        Each takes as long as :meth:`Segmenter.segment`, whose answer is not among them.

        Args:
            scan: CT volume or pictures.
            lungs: Its lungs, label set ``Lung``.
            progress: Told how far all of them together are.
        """
        ...


PICTURE_LUNGS_SYSTEM = "baseline_unet"
"""Finds the lungs on pictures for systems that do not."""


def lung_finder(segmenter: Segmenter | None, device: str) -> LungFinder:
    """What finds the lungs on pictures: the system itself where it can, else the baseline.

    Args:
        segmenter: The system in use, if there is one.
        device: Where the baseline's network runs.
    """
    if isinstance(segmenter, LungFinder):
        return segmenter
    baseline = build(PICTURE_LUNGS_SYSTEM, device)
    assert isinstance(baseline, LungFinder)
    return baseline


LUNG_NETWORK = "lung_unet"
"""The system that ``unet`` means where lungs are asked for."""


def load_lung_network(name: str, device: str) -> VolumeLungFinder:
    """A system that finds the lungs of volumes, its weights checked and loaded.

    Args:
        name: ``unet``, or the folder of a training run.
        device: Where its network runs.

    Raises:
        UnknownNameError: If there is no such way to find lungs, or the run finds none.
        WeightsError: If it has no weights.
    """
    if name != "unet" and not (Path(name) / "card.yaml").is_file():
        raise UnknownNameError.of(
            "way to find lungs", name, ("threshold+network", "threshold", "hull", "unet", "RUN")
        )
    card, folder = find_card(LUNG_NETWORK if name == "unet" else name)
    need_answer(card, "lungs")
    if card.weights is None:
        raise WeightsError(
            f"found no weights for the lung network in '{folder.name}', expected some; train it "
            f"with groundglass train {LUNG_NETWORK} and give the folder of the run, or take "
            "--lungs threshold"
        )
    system = build(str(folder) if name != "unet" else LUNG_NETWORK, device)
    assert isinstance(system, VolumeLungFinder)
    return system


def find_card(name: str) -> tuple[Card, Path]:
    """Card of a system, by name or folder of a training run, and the folder it lies in.

    Raises:
        UnknownNameError: If there is no such system or run.
    """
    from groundglass.systems import SYSTEMS

    if name in SYSTEMS:
        return load_card(name), home(name)
    if (Path(name) / "card.yaml").is_file():
        return read_card(Path(name) / "card.yaml"), Path(name)
    raise UnknownNameError.of("system", name, SYSTEMS)


def need_answer(card: Card, wanted: AnswerKind) -> None:
    """Make sure that a system gives an answer of some kind, before the work that leads to it.

    Raises:
        UnknownNameError: If it does not; the message names those that do.
    """
    from groundglass.systems import list_systems

    if wanted in card.answers:
        return
    able = [one.name for one in list_systems() if wanted in one.answers and one.weights is not None]
    others = f"one of {', '.join(able)}" if able else "a run of a system that does"
    raise UnknownNameError(
        f"found system '{card.name}', which does not {wanted} (it can {', '.join(card.answers)}), "
        f"expected one that does; give --system {others}"
    )


def build(name: str, device: str) -> Segmenter:
    """A system by name or by the folder of a training run, weights checked and loaded."""
    card, folder = find_card(name)
    if card.weights is None:
        raise WeightsError(
            f"found no weights for '{card.name}', expected some; train it with groundglass train"
        )
    predictor = import_module(f"groundglass.systems.{card.name}.predict").Predictor
    system: Segmenter = predictor(card, folder / card.weights.file, device)
    return system

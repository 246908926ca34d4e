"""The system at work: lesions as masks and boxes, and the stage of the disease."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groundglass.classification import Classification
from groundglass.data.triples import laid_on
from groundglass.detections import Detection, Detections
from groundglass.errors import ConfigError
from groundglass.geometry.frame import Box, Frame
from groundglass.intensity import picture_gray, window_hu
from groundglass.labels import Lesion
from groundglass.mask import Mask
from groundglass.metrics.instances import Instance, as_instances
from groundglass.scan import CTScan, Scan
from groundglass.systems.card import Card
from groundglass.systems.overlapping import keep_apart
from groundglass.systems.slice_segmenter import AS_IT_IS, LUNG_MARGIN, SliceSegmenter, View
from groundglass.systems.spatio_temporal_rcnn.detector import Instances
from groundglass.systems.spatio_temporal_rcnn.network import (
    STAGES,
    Answer,
    Form,
    Shape,
    SpatioTemporalRcnn,
    Stage,
    Stride,
)
from groundglass.systems.system import Progress

IN_LUNG = 0.5
"""Share of an instance that lies in the lungs, at least."""

Rectangle = tuple[float, float, float, float]

Shown = tuple[Frame, NDArray[np.float32]]
"""A slice in lung gray with its frame."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the network says of one slice of a scan.

    Attributes:
        index: The slice.
        frame: Frame between the part of the slice that was looked at and the input.
        corner: (row, column) of that part on the slice.
        answer: The network's answer, a batch of one.
    """

    index: int
    frame: Frame
    corner: tuple[int, int]
    answer: Answer


class Predictor(SliceSegmenter):
    """The system with its weights, of any of its stages and forms.

    A slice is looked at between its neighbors where it has them. Without a detector, boxes are
    those around connected lesions.
    """

    network: SpatioTemporalRcnn
    lesion = 0
    consolidation = None

    def __init__(self, card: Card, weights: Path, device: str = "cpu") -> None:
        super().__init__(card, weights, device)
        self._memo: tuple[Scan, Mask, tuple[Seen, ...]] | None = None
        self._ready: Iterator[Seen] | None = None

    def build(self, card: Card) -> SpatioTemporalRcnn:
        """The network of a card, with random weights."""
        settings = card.network
        channels = tuple(cast("list[int]", settings["decoder_channels"]))
        shape = Shape(
            stage=cast("Stage", settings["stage"]),
            form=cast("Form", settings["form"]),
            encoder=str(settings["encoder"]),
            decoder_channels=cast("tuple[int, int, int, int]", channels),
            width=int(cast("int", settings["width"])),
            stride=cast("Stride", settings["stride"]),
            anchors_px=tuple(cast("list[int]", settings["anchors_px"])),
            box_width=int(cast("int", settings["box_width"])),
            mask_width=int(cast("int", settings["mask_width"])),
            roi_batch=int(cast("int", settings["roi_batch"])),
            least_score=float(cast("float", settings["least_score"])),
        )
        return SpatioTemporalRcnn(shape)

    def probabilities(self, gray: Tensor) -> Tensor:
        """Chance of lesion on the middle slice, (batch, 1, row, column)."""
        answer: Answer = self.network(gray)
        return answer.lesion[:, None]

    def segment(self, scan: Scan, lungs: Mask, progress: Progress | None = None) -> Mask:
        """Lesions inside the lungs, of unspecified kind.

        Args:
            scan: CT volume or pictures.
            lungs: Its lungs.
            progress: Told how far it is.

        Returns:
            Label set ``Lesion`` on the scan's own grid.
        """
        self._ready = iter(self.look(scan, lungs, progress))
        try:
            return super().segment(scan, lungs)
        finally:
            self._ready = None

    def detect(self, scan: Scan, lungs: Mask, progress: Progress | None = None) -> Detections:
        """Lesions slice by slice, at least half of each inside the lungs.

        A lesion that for the most part lies in surer ones is left out.

        Args:
            scan: CT volume or pictures.
            lungs: Its lungs.
            progress: Told how far it is.
        """
        items = [
            Detection(seen.index, _moved(box, seen.corner), score, Lesion.UNSPECIFIED, area_px)
            for seen in self.look(scan, lungs, progress)
            for box, score, area_px in self._apart(seen, lungs.slices[seen.index] > 0)
        ]
        return Detections(self.card.name, self._sha256, scan, tuple(items))

    def classify(self, scan: Scan, lungs: Mask, progress: Progress | None = None) -> Classification:
        """The stage of the disease.

        The stages of the slices, averaged over those where lesion was found in the lung, in the
        measure of its area; over all slices with lung where none was.

        Args:
            scan: CT volume or pictures.
            lungs: Its lungs.
            progress: Told how far it is.

        Raises:
            ConfigError: If these weights tell no stage.
        """
        seen = self.look(scan, lungs, progress)
        if not self.network.tells_stage or not seen:
            raise ConfigError(
                f"found weights of '{self.card.name}' of form '{self.network.shape.form}' that "
                "tell no stage, expected form 'spatio-temporal' and lungs in the scan; give a run "
                "with them"
            )
        told = [one.answer.stage for one in seen if one.answer.stage is not None]
        stages = torch.cat(told).numpy()
        lesion = np.array([_lesion_in(one, lungs.slices[one.index] > 0) for one in seen])
        weights = lesion / lesion.sum() if lesion.any() else np.full(len(seen), 1 / len(seen))
        by_slice = np.zeros((len(scan.slices), len(STAGES)), np.float32)
        by_slice[:, 0] = 1  # no lung, no disease
        relevance = np.zeros(len(scan.slices), np.float32)
        places = [one.index for one in seen]
        by_slice[places], relevance[places] = stages, weights
        whole = weights @ stages
        probabilities = {n: float(p) for n, p in zip(STAGES, whole / whole.sum(), strict=True)}
        return Classification(
            self.card.name, self._sha256, probabilities, True, by_slice, relevance
        )

    def find_between(self, pictures: Sequence[NDArray[np.uint8] | None]) -> list[Instance]:
        """Lesions of a whole picture between its neighbors, lungs not looked for.

        Args:
            pictures: The slice before, the slice, the slice after, each (row, column), 0 to 255;
                ``None`` for a neighbor that there is not.

        Returns:
            Lesions on the grid of the slice, the surest first, down to a score of 0.05.
        """
        before, picture, after = pictures
        assert picture is not None
        frame = Frame.fit(Box.whole(picture.shape), picture.shape, self.card.size_px)
        shown = [
            None if p is None else (frame, picture_gray(p if p is picture else laid_on(picture, p)))
            for p in (before, picture, after)
        ]
        return self._restored(Seen(0, frame, (0, 0), self._answer(shown)), 0.0)

    def look(self, scan: Scan, lungs: Mask, progress: Progress | None = None) -> tuple[Seen, ...]:
        """What the network says of every slice that shows lung; kept for the last scan."""
        if self._memo is not None and self._memo[0] is scan and self._memo[1] is lungs:
            return self._memo[2]
        parts = self._parts(scan, lungs)
        triples = _triples([shown for _, _, shown in parts], volume=isinstance(scan, CTScan))
        seen = []
        for done, (triple, (index, corner, (frame, _))) in enumerate(
            zip(triples, parts, strict=True)
        ):
            seen.append(Seen(index, frame, corner, self._answer(triple)))
            if progress is not None:
                progress((done + 1) / len(parts))
        self._memo = scan, lungs, tuple(seen)
        return self._memo[2]

    def outputs(
        self, inputs: Iterable[Shown], view: View = AS_IT_IS
    ) -> Iterator[NDArray[np.float32]]:
        """Chance of lesion, (1, row, column), of each input; inputs that follow are neighbors.

        Args:
            inputs: Frame and lung gray of each slice.
            view: How the network sees them.
        """
        if self._ready is not None:
            for _ in inputs:
                yield next(self._ready).answer.lesion.numpy()
            return
        for triple in _triples(inputs, volume=True):
            lesion = self._answer(triple, view).lesion
            yield (lesion.flip(-1) if view.mirrored else lesion).numpy()

    def _parts(self, scan: Scan, lungs: Mask) -> list[tuple[int, tuple[int, int], Shown]]:
        """Slices with lung: index, corner of what is looked at, and that in its frame."""
        shown = [k for k, lung in enumerate(lungs.slices) if lung.any()]
        if not shown:
            return []
        if isinstance(scan, CTScan):
            whole = Box.around(lungs.array.max(0) > 0, LUNG_MARGIN)
            assert whole is not None
            inside = np.s_[whole.top : whole.bottom, whole.left : whole.right]
            shape = scan.slices[0][inside].shape
            frame = Frame.fit(Box.whole(shape), shape, self.card.size_px)
            corner = (whole.top, whole.left)
            return [(k, corner, (frame, window_hu(scan.slices[k][inside]))) for k in shown]
        parts = []
        for k in shown:
            box = Box.around(lungs.slices[k] > 0, LUNG_MARGIN)
            assert box is not None
            frame = Frame.fit(box, scan.slices[k].shape, self.card.size_px)
            parts.append((k, (0, 0), (frame, picture_gray(scan.slices[k]))))
        return parts

    def _answer(self, triple: Sequence[Shown | None], view: View = AS_IT_IS) -> Answer:
        size = self.card.size_px
        slices = [
            np.zeros(size, np.float32)
            if shown is None
            else np.clip(shown[0].gray(shown[1]) + np.float32(view.gray_offset), 0.0, 1.0)
            for shown in triple
        ]
        with torch.inference_mode():
            gray = torch.from_numpy(np.stack(slices)[None]).to(self.device)
            answer: Answer = self.network(gray.flip(-1) if view.mirrored else gray)
        return Answer(
            answer.lesion.float().cpu(),
            None if answer.stage is None else answer.stage.float().cpu(),
            None if answer.instances is None else [_on_cpu(one) for one in answer.instances],
        )

    def _apart(
        self, seen: Seen, lung: NDArray[np.bool_]
    ) -> Iterator[tuple[Rectangle, float, float]]:
        """Box, score and area of the lesions of a slice that lie in the lung, none found twice."""
        kept = [
            one
            for one in self._restored(seen, self.network.shape.least_score)
            if _lies_in(one.mask, seen.corner, lung)
        ]
        kept.sort(key=lambda one: -one.score)
        everywhere = np.s_[:, :]
        owned = keep_apart(((everywhere, one.mask) for one in kept), seen.frame.shape)
        for one, own in zip(kept, owned, strict=True):
            if own is not None:
                yield one.box, one.score, float(np.count_nonzero(own))

    def _restored(self, seen: Seen, least_score: float) -> list[Instance]:
        """Instances on the part of the slice that was looked at."""
        if seen.answer.instances is None:
            return as_instances(seen.frame.restore(seen.answer.lesion[0].numpy()))
        (found,) = seen.answer.instances
        restored = []
        for box, score, mask in zip(found.boxes, found.scores, found.masks, strict=True):
            if score >= least_score:
                pixels = seen.frame.restore(mask.numpy()) > 0.5
                restored.append(Instance(_on_slice(box.tolist(), seen.frame), float(score), pixels))
        return restored

    @property
    def _sha256(self) -> str:
        return self.card.weights.sha256 if self.card.weights else ""


def _triples(inputs: Iterable[Shown], *, volume: bool) -> Iterator[tuple[Shown | None, ...]]:
    """Each input between those before and after it; pictures of no volume stand alone."""
    if not volume:
        yield from ((None, one, None) for one in inputs)
        return
    window: deque[Shown | None] = deque([None], maxlen=3)
    for one in chain(inputs, [None]):
        window.append(one)
        if len(window) == 3:
            yield tuple(window)
        elif one is None:
            return


def _on_cpu(found: Instances) -> Instances:
    boxes, scores = found.boxes.float().cpu(), found.scores.float().cpu()
    return Instances(boxes, scores, found.small_masks.float().cpu(), found.size_px)


def _on_slice(box: Sequence[float], frame: Frame) -> Rectangle:
    """A box of the input on the slice; edges of pixels lie half a pixel before their centers."""
    linear, offset = frame.matrix[:, :2], frame.matrix[:, 2]
    corners = np.array([[box[0], box[2]], [box[1], box[3]]]) - 0.5
    x, y = np.linalg.solve(linear, corners - offset[:, None]) + 0.5
    return float(x[0]), float(y[0]), float(x[1]), float(y[1])


def _lesion_in(seen: Seen, lung: NDArray[np.bool_]) -> int:
    """Pixels of lesion within the lung of a slice."""
    likely = seen.frame.restore(seen.answer.lesion[0].numpy()) > 0.5
    rows, columns = likely.shape
    top, left = seen.corner
    return int(np.count_nonzero(likely & lung[top : top + rows, left : left + columns]))


def _moved(box: Rectangle, corner: tuple[int, int]) -> Rectangle:
    """(top, left, bottom, right) on the whole slice."""
    left, top, right, bottom = box
    return top + corner[0], left + corner[1], bottom + corner[0], right + corner[1]


def _lies_in(mask: NDArray[np.bool_], corner: tuple[int, int], lung: NDArray[np.bool_]) -> bool:
    rows, columns = mask.shape
    part = lung[corner[0] : corner[0] + rows, corner[1] : corner[1] + columns]
    return bool(np.count_nonzero(mask & part) >= max(IN_LUNG * np.count_nonzero(mask), 1))

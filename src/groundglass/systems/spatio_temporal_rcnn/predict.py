"""The system at work: lesions as masks and boxes, and the stage of the disease."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groundglass.classification import Classification
from groundglass.data.case import Case
from groundglass.data.triples import laid_on
from groundglass.detections import Detection, Detections
from groundglass.errors import ConfigError, NotMeasurableError
from groundglass.geometry.frame import Box, Frame
from groundglass.intensity import picture_gray, window_hu
from groundglass.labels import Lesion
from groundglass.mask import Mask
from groundglass.metrics.instances import Instance, as_instances
from groundglass.networks.instance_masks import lay_mask
from groundglass.scan import CTScan, Note, Scan
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
from groundglass.systems.spatio_temporal_rcnn.stages import stage_of
from groundglass.systems.system import Progress

IN_LUNG = 0.5
"""Share of an instance that lies in the lungs, at least."""

_EXTENT = Note(
    "stage",
    "Where the cohort that was learned from told no stage, the share of the lung that is lesion "
    "stood in for it: the stage then tells extent, not time.",
)

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
        least = self.card.lesion_threshold
        lesion = np.array([_lesion_in(one, lungs.slices[one.index] > 0, least) for one in seen])
        weights = lesion / lesion.sum() if lesion.any() else np.full(len(seen), 1 / len(seen))
        by_slice = np.zeros((len(scan.slices), len(STAGES)), np.float32)
        by_slice[:, 0] = 1  # no lung, no disease
        relevance = np.zeros(len(scan.slices), np.float32)
        places = [one.index for one in seen]
        by_slice[places], relevance[places] = stages, weights
        whole = weights @ stages
        probabilities = {n: float(p) for n, p in zip(STAGES, whole / whole.sum(), strict=True)}
        return Classification(
            self.card.name,
            self._sha256,
            probabilities,
            exclusive=True,
            by_slice=by_slice,
            relevance=relevance,
            notes=(_EXTENT,),
            trained_on=self.card.facts["trained_on"],
            healthy_class=STAGES[0],
        )

    def truth(self, case: Case) -> dict[str, bool] | None:
        """Stage of a slice of a cohort; ``None`` where it is not known, or no slice."""
        stage = stage_of(case) if case.is_slice else None
        if stage is None:
            return None
        return {name: k == stage for k, name in enumerate(STAGES)}

    def judge(self, case: Case) -> tuple[dict[str, float], dict[str, bool], bool] | None:
        """Probabilities of the stages of a lone slice, the likeliest, and that they exclude others.

        Args:
            case: A picture.

        Raises:
            NotMeasurableError: If these weights tell no stage.
        """
        if not self.network.tells_stage:
            raise NotMeasurableError(
                f"weights of form '{self.network.shape.form}' that tell no stage",
                "form 'spatio-temporal', its temporal resolver trained",
            )
        pixels = case.read_image()
        frame = Frame.fit(Box.whole(pixels.shape), pixels.shape, self.card.size_px)
        stages = self._answer((None, (frame, picture_gray(pixels)), None)).stage
        assert stages is not None
        likeliest = int(stages[0].argmax())
        chances = {name: float(p) for name, p in zip(STAGES, stages[0], strict=True)}
        return chances, {name: k == likeliest for k, name in enumerate(STAGES)}, True

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
        if self._memo is None or self._memo[0] is not scan or self._memo[1] is not lungs:
            self._memo = scan, lungs, tuple(self._look(scan, lungs, progress, AS_IT_IS))
        return self._memo[2]

    def outputs(
        self, inputs: Iterable[Shown], view: View = AS_IT_IS
    ) -> Iterator[NDArray[np.float32]]:
        """Chance of lesion, (1, row, column), of each input.

        While a scan is segmented, what was seen of its slices between their neighbors; else each
        input alone.

        Args:
            inputs: Frame and lung gray of each slice.
            view: How the network sees them.
        """
        for one in inputs:
            ready = self._ready
            answer = self._answer((None, one, None), view) if ready is None else next(ready).answer
            yield (answer.lesion.flip(-1) if view.mirrored else answer.lesion).numpy()

    def _segment(self, scan: Scan, lungs: Mask, progress: Progress | None, view: View) -> Mask:
        as_it_is = view is AS_IT_IS
        self._ready = iter(
            self.look(scan, lungs, progress)
            if as_it_is
            else self._look(scan, lungs, progress, view)
        )
        try:
            return super()._segment(scan, lungs, None, view)
        finally:
            self._ready = None

    def _look(
        self, scan: Scan, lungs: Mask, progress: Progress | None, view: View
    ) -> Iterator[Seen]:
        parts = (
            _parts_of_volume(scan, lungs, self.card.size_px)
            if isinstance(scan, CTScan)
            else _parts_of_pictures(scan, lungs, self.card.size_px)
        )
        count = sum(bool(lung.any()) for lung in lungs.slices)
        for done, (index, corner, triple) in enumerate(parts):
            assert triple[1] is not None
            yield Seen(index, triple[1][0], corner, self._answer(triple, view))
            if progress is not None:
                progress((done + 1) / count)

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
            whole = seen.frame.restore(seen.answer.lesion[0].numpy())
            return as_instances(whole, self.card.lesion_threshold)
        (found,) = seen.answer.instances
        linear, offset = seen.frame.matrix[:, :2], seen.frame.matrix[:, 2]
        scale, start = (linear[0, 0], linear[1, 1]), (offset[0], offset[1])
        restored = []
        for box, score, small in zip(found.boxes, found.scores, found.small_masks, strict=True):
            if score >= least_score:
                laid = lay_mask(small, box, scale, start, seen.frame.shape).numpy()
                pixels = laid > self.card.lesion_threshold
                left, top, right, bottom = on_slice = _on_slice(box.tolist(), seen.frame)
                if left < right and top < bottom:
                    restored.append(Instance(on_slice, float(score), pixels))
        return restored

    @property
    def _sha256(self) -> str:
        return self.card.weights.sha256 if self.card.weights else ""


Part = tuple[int, tuple[int, int], tuple[Shown | None, Shown | None, Shown | None]]
"""A slice with lung: its index, the corner of what is looked at, and that between its neighbors."""


def _parts_of_volume(scan: CTScan, lungs: Mask, size_px: tuple[int, int]) -> Iterator[Part]:
    """Neighbors are those of the scan, whether they show lung or not.

    Scans run from head to feet, the slices of training from the feet up: the slice below is first.
    """
    box = Box.around(lungs.array.max(0) > 0, LUNG_MARGIN)
    if box is None:
        return
    inside = np.s_[box.top : box.bottom, box.left : box.right]
    shape = scan.slices[0][inside].shape
    frame = Frame.fit(Box.whole(shape), shape, size_px)

    def shown(index: int) -> Shown | None:
        if not 0 <= index < len(scan.slices):
            return None
        return frame, window_hu(scan.slices[index][inside])

    for k, lung in enumerate(lungs.slices):
        if lung.any():
            yield k, (box.top, box.left), (shown(k + 1), shown(k), shown(k - 1))


def _parts_of_pictures(scan: Scan, lungs: Mask, size_px: tuple[int, int]) -> Iterator[Part]:
    """Pictures are no neighbors."""
    for k, (pixels, lung) in enumerate(zip(scan.slices, lungs.slices, strict=True)):
        box = Box.around(lung > 0, LUNG_MARGIN)
        if box is not None:
            frame = Frame.fit(box, pixels.shape, size_px)
            yield k, (0, 0), (None, (frame, picture_gray(pixels)), None)


def _on_cpu(found: Instances) -> Instances:
    boxes, scores = found.boxes.float().cpu(), found.scores.float().cpu()
    return Instances(boxes, scores, found.small_masks.float().cpu(), found.size_px)


def _on_slice(box: Sequence[float], frame: Frame) -> Rectangle:
    """A box of the input on the slice, cut at its borders.

    Edges of pixels lie half a pixel before their centers.
    """
    linear, offset = frame.matrix[:, :2], frame.matrix[:, 2]
    corners = np.array([[box[0], box[2]], [box[1], box[3]]]) - 0.5
    rows, columns = frame.shape
    x, y = np.linalg.solve(linear, corners - offset[:, None]) + 0.5
    x, y = x.clip(0, columns), y.clip(0, rows)
    return float(x[0]), float(y[0]), float(x[1]), float(y[1])


def _lesion_in(seen: Seen, lung: NDArray[np.bool_], least: float) -> int:
    """Pixels of lesion within the lung of a slice."""
    likely = seen.frame.restore(seen.answer.lesion[0].numpy()) > least
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

"""COVID-CT-Mask-Net at work: lesions as masks and boxes, and what a scan most likely shows."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groundglass.classification import Classification
from groundglass.data.cohort import Case
from groundglass.detections import Detection, Detections
from groundglass.errors import NotMeasurableError
from groundglass.geometry.frame import Box, Frame
from groundglass.intensity import picture_gray, window_hu
from groundglass.labels import Lesion
from groundglass.linking import link_detections
from groundglass.mask import Mask
from groundglass.scan import CTScan, Scan
from groundglass.systems.card import Card
from groundglass.systems.covid_ct_mask_net.network import (
    KINDS,
    CovidCtMaskNet,
    Instances,
    build_network,
)
from groundglass.systems.covid_ct_mask_net.settings import NetworkConfig
from groundglass.systems.overlapping import keep_apart
from groundglass.systems.slice_segmenter import LUNG_MARGIN
from groundglass.systems.system import Progress
from groundglass.weights import load_weights

BATCH = 4
JUDGED_SHARE = 0.25
"""Share of a scan's slices, those that look least like the first class, that its class is from."""

MOST_EVIDENCE = 12

LEAST_EXTENT_MM = 5.0
"""Length along the body below which a lesion of a volume is taken for the dome of the diaphragm,
the apex or the edge of the heart, which a slice cuts lengthwise and the next ones do not show."""


@dataclass(frozen=True, slots=True)
class _Found:
    """One lesion on one slice, with its outline within a part of the slice."""

    detection: Detection
    part: tuple[slice, slice]
    inside: NDArray[np.bool_]


_View = tuple[int, Frame, NDArray[np.float32]]
"""Number of a slice, its frame, and its lung gray."""


class Predictor:
    """COVID-CT-Mask-Net with its weights.

    Args:
        card: Facts of the system; ``card.network`` rebuilds the network.
        weights: Safetensors file that the card describes.
        device: ``cpu``, ``cuda`` or ``cuda:0``.

    Raises:
        WeightsError: If the file is missing or is not what the card says.
    """

    def __init__(self, card: Card, weights: Path, device: str = "cpu") -> None:
        assert card.weights is not None
        self.card = card
        self.device = device
        self.network: CovidCtMaskNet = build_network(NetworkConfig.model_validate(card.network))
        load_weights(self.network, weights, card.weights.sha256)
        self.network.to(device).eval()
        self.instance_kinds = KINDS[self.network.config.kinds]
        self._last: tuple[Scan, Mask, list[_Found]] | None = None

    def segment(self, scan: Scan, lungs: Mask, progress: Progress | None = None) -> Mask:
        """The outlines of all lesions over the threshold, inside the lungs.

        Args:
            scan: CT volume or pictures.
            lungs: Its lungs.
            progress: Told how far it is.

        Returns:
            Label set ``Lesion`` on the scan's own grid; where outlines overlap, the surer lesion.
        """
        labels = [np.zeros(lung.shape, np.uint8) for lung in lungs.slices]
        found = self._find(scan, lungs, progress)
        for one in sorted(found, key=lambda one: one.detection.score):
            labels[one.detection.slice_index][one.part][one.inside] = one.detection.kind
        return Mask.on(scan, np.stack(labels) if isinstance(scan, CTScan) else labels, Lesion)

    def detect(self, scan: Scan, lungs: Mask, progress: Progress | None = None) -> Detections:
        """Lesions over the threshold at least half of whose outline is lung, slice by slice.

        A lesion that for the most part lies in surer ones is left out, and so are those of a volume
        that are shorter along the body than ``LEAST_EXTENT_MM``.

        Args:
            scan: CT volume or pictures.
            lungs: Its lungs.
            progress: Told how far it is.
        """
        items = [one.detection for one in self._find(scan, lungs, progress)]
        items.sort(key=lambda item: (item.slice_index, -item.score))
        return Detections(self.card.name, self._sha256, scan, tuple(items))

    def classify(self, scan: Scan, lungs: Mask, progress: Progress | None = None) -> Classification:
        """What the scan most likely shows, from the quarter of slices that look least healthy.

        The publication judges slices alone. Here the three sigmoids of a slice are scaled to add up
        to 1; the scan has the mean of those slices on which the first class is least likely, and
        these have all the relevance.

        Args:
            scan: CT volume or pictures.
            lungs: Its lungs.
            progress: Told how far it is.

        Raises:
            NotMeasurableError: If these weights tell no classes.
        """
        self._need_classes()
        names = self.network.config.classes
        by_slice = np.full((len(scan.slices), len(names)), 1 / len(names), np.float32)
        shown = [k for k, lung in enumerate(lungs.slices) if lung.any()]
        for done, (index, shares) in enumerate(self._class_shares(self._views(scan, lungs)), 1):
            by_slice[index] = shares
            if progress is not None:
                progress(done / len(shown))
        judged = sorted(shown, key=lambda k: by_slice[k, 0])
        judged = judged[: max(1, round(JUDGED_SHARE * len(judged)))]
        shares = by_slice[judged].mean(0)
        relevance = np.zeros(len(scan.slices), np.float32)
        relevance[judged] = 1 / len(judged)
        winner = int(shares.argmax())
        return Classification(
            self.card.name,
            self._sha256,
            {name: float(p) for name, p in zip(names, shares, strict=True)},
            exclusive=True,
            by_slice=by_slice,
            relevance=relevance,
            evidence=self._evidence(self._views(scan, lungs, set(judged)), winner),
        )

    def lesion_probability(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Chance of lesion on a whole picture: the surest outline, each times its score.

        Args:
            pixels: Picture, (row, column), 0 to 255.

        Returns:
            Same shape, 0 to 1.
        """
        view = self._whole(pixels)
        with torch.inference_mode():
            found = self.network(self._batch([view]))[0]
        if not len(found.scores):
            return np.zeros(pixels.shape, np.float32)
        chances = found.masks * found.scores[:, None, None]
        return view[1].restore(chances.amax(0).float().cpu().numpy())

    def find_instances(
        self, pixels: NDArray[np.uint8]
    ) -> list[tuple[Detection, NDArray[np.bool_]]]:
        """Every lesion on a whole picture with its outline, lungs not looked for.

        Args:
            pixels: Picture, (row, column), 0 to 255.
        """
        view = self._whole(pixels)
        with torch.inference_mode():
            answer = self.network(self._batch([view]))[0]
        everywhere = np.ones(pixels.shape, np.bool_)
        found = []
        for one in self._on_slice(0, view[1], answer, everywhere, threshold=0.0):
            mask = np.zeros(pixels.shape, np.bool_)
            mask[one.part] = one.inside
            found.append((one.detection, mask))
        return found

    def truth(self, case: Case) -> dict[str, bool] | None:
        """Which class a picture of a cohort has; ``None`` where it has none of these."""
        names = self.network.config.classes
        if case.label not in names:
            return None
        return {name: name == case.label for name in names}

    def judge(self, case: Case) -> tuple[dict[str, float], dict[str, bool], bool]:
        """Probabilities of the classes of a picture, the likeliest, and that they exclude others.

        Raises:
            NotMeasurableError: If these weights tell no classes.
        """
        self._need_classes()
        ((_, shares),) = self._class_shares(iter([self._whole(case.read_image())]))
        names = self.network.config.classes
        likeliest = int(shares.argmax())
        chances = {name: float(share) for name, share in zip(names, shares, strict=True)}
        return chances, {name: k == likeliest for k, name in enumerate(names)}, True

    def _need_classes(self) -> None:
        if self.network.classes is None:
            raise NotMeasurableError(
                f"weights of '{self.card.name}' for lesions alone",
                "weights of the stage classes; train it with --set stage=classes",
            )

    def _whole(self, pixels: NDArray[np.uint8]) -> _View:
        """A whole picture, as slices are shown in training."""
        frame = Frame.fit(Box.whole(pixels.shape), pixels.shape, self.card.size_px)
        return 0, frame, picture_gray(pixels)

    @property
    def _sha256(self) -> str:
        return self.card.weights.sha256 if self.card.weights else ""

    def _find(self, scan: Scan, lungs: Mask, progress: Progress | None) -> list[_Found]:
        """Lesions of a scan; those of the last one are kept, for boxes and masks of one scan."""
        if self._last is not None and self._last[0] is scan and self._last[1] is lungs:
            return self._last[2]
        shown = sum(bool(lung.any()) for lung in lungs.slices)
        found: list[_Found] = []
        done = 0
        for some in _batches(self._views(scan, lungs)):
            with torch.inference_mode():
                answers = self.network(self._batch(some))
            for (index, frame, _), answer in zip(some, answers, strict=True):
                lung = lungs.slices[index] > 0
                threshold = self.card.lesion_threshold
                found += _apart(
                    self._on_slice(index, frame, answer, lung, threshold=threshold), lung.shape
                )
            done += len(some)
            if progress is not None:
                progress(done / shown)
        found = _lasting(scan, found)
        self._last = scan, lungs, found
        return found

    def _on_slice(
        self,
        index: int,
        frame: Frame,
        answer: Instances,
        lung: NDArray[np.bool_],
        *,
        threshold: float,
    ) -> Iterator[_Found]:
        """Lesions of one slice over the threshold, the surest first, as far as they are lung."""
        for k in torch.where(answer.scores > threshold)[0].tolist():
            mask = answer.masks[k].float().cpu().numpy()
            outline = frame.restore(mask) > 0.5
            inside = outline & lung
            around = Box.around(inside)
            if around is None or 2 * np.count_nonzero(inside) < np.count_nonzero(outline):
                continue
            part = np.s_[around.top : around.bottom, around.left : around.right]
            detection = Detection(
                index,
                box_on_slice(frame, answer.boxes[k].tolist()),
                float(answer.scores[k]),
                self.instance_kinds[int(answer.labels[k]) - 1],
                float(np.count_nonzero(inside)),
            )
            yield _Found(detection, part, inside[part])

    def _views(
        self, scan: Scan, lungs: Mask, wanted: Collection[int] | None = None
    ) -> Iterator[_View]:
        """Each wanted slice that shows lung, in a frame of its lungs; a volume has one frame."""
        box = None
        if isinstance(scan, CTScan):
            box = Box.around(lungs.array.max(0) > 0, LUNG_MARGIN)
        for index, (pixels, lung) in enumerate(zip(scan.slices, lungs.slices, strict=True)):
            own = box or Box.around(lung > 0, LUNG_MARGIN)
            if own is None or not lung.any() or (wanted is not None and index not in wanted):
                continue
            frame = Frame.fit(own, lung.shape, self.card.size_px)
            gray = window_hu(pixels) if isinstance(scan, CTScan) else picture_gray(pixels)
            yield index, frame, gray

    def _batch(self, views: Iterable[_View]) -> Tensor:
        """(batch, 1, row, column) from 0 to 1."""
        shown = [np.clip(frame.gray(gray), 0.0, 1.0) for _, frame, gray in views]
        return torch.from_numpy(np.stack(shown)[:, None]).to(self.device)

    def _class_shares(self, views: Iterator[_View]) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Probabilities of each slice's classes, adding up to 1."""
        for some in _batches(views):
            with torch.inference_mode():
                chances = self.network.class_logits(self._batch(some)).sigmoid()
            shares = (chances / chances.sum(1, keepdim=True)).float().cpu().numpy()
            yield from zip((index for index, _, _ in some), shares, strict=True)

    def _evidence(self, views: Iterator[_View], winner: int) -> tuple[Detection, ...]:
        """The boxes that moved the logit of a class most: their numbers times its gradient."""
        assert self.network.classes is not None
        weighed: list[tuple[float, Detection]] = []
        for some in _batches(views):
            with torch.no_grad():
                ranked = self.network.rank(self._batch(some))
            features = ranked.features.detach().requires_grad_(True)
            with torch.enable_grad():
                logit = self.network.classes(features)[:, winner].sum()
                (slope,) = torch.autograd.grad(logit, features)
            weights = (slope * features.detach()).sum(-1)
            for k, (index, frame, _) in enumerate(some):
                best = int(weights[k].argmax())
                label = int(ranked.labels[k, best])
                if label:
                    kind = self.instance_kinds[label - 1]
                    box = box_on_slice(frame, ranked.boxes[k, best].tolist())
                    score = float(features[k, best, -1].detach())
                    weight = float(weights[k, best])
                    weighed.append((weight, Detection(index, box, score, kind)))
        weighed.sort(key=lambda pair: -pair[0])
        return tuple(item for _, item in weighed[:MOST_EVIDENCE])


def _apart(found: Iterable[_Found], shape: tuple[int, int]) -> Iterator[_Found]:
    """Lesions of one slice, the surest first, each pixel in one of them."""
    kept = list(found)
    owned = keep_apart(((one.part, one.inside) for one in kept), shape)
    for one, own in zip(kept, owned, strict=True):
        if own is not None:
            area_px = float(np.count_nonzero(own))
            yield _Found(replace(one.detection, area_px=area_px), one.part, own)


def _lasting(scan: Scan, found: list[_Found]) -> list[_Found]:
    """In volumes, those of lesions that are long enough along the body; of pictures, all."""
    if not isinstance(scan, CTScan):
        return found
    boxes = Detections("covid_ct_mask_net", "", scan, tuple(one.detection for one in found))
    long = {
        id(item)
        for lesion in link_detections(boxes)
        if lesion.size_mm is not None and lesion.size_mm[0] >= LEAST_EXTENT_MM
        for item in lesion.items
    }
    return [one for one in found if id(one.detection) in long]


def box_on_slice(frame: Frame, box: list[float]) -> tuple[float, float, float, float]:
    """Top, left, bottom, right on the slice of a box of the input, cut at the slice's borders.

    Frames map centers of pixels; the edge of a pixel lies half a pixel before its center.

    Args:
        frame: Frame without a turn.
        box: Left, top, right, bottom in pixels of the input.
    """
    (scale, _, shift_x), (_, _, shift_y) = frame.matrix
    rows, columns = frame.shape
    left, right = ((edge - 0.5 - shift_x) / scale + 0.5 for edge in (box[0], box[2]))
    top, bottom = ((edge - 0.5 - shift_y) / scale + 0.5 for edge in (box[1], box[3]))
    return (
        float(np.clip(top, 0, rows)),
        float(np.clip(left, 0, columns)),
        float(np.clip(bottom, 0, rows)),
        float(np.clip(right, 0, columns)),
    )


def _batches(views: Iterator[_View]) -> Iterator[list[_View]]:
    while some := list(islice(views, BATCH)):
        yield some

"""COVID-CT-Mask-Net at work: lesions as masks and boxes, and what a scan most likely shows."""

from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from groundglass.classification import Classification
from groundglass.data.cohort import Case
from groundglass.detections import Detection, Detections
from groundglass.errors import NotMeasurableError
from groundglass.geometry.frame import Box, Frame
from groundglass.intensity import picture_gray, window_hu
from groundglass.labels import Lesion
from groundglass.mask import Mask
from groundglass.scan import CTScan, Note, Scan
from groundglass.systems.card import Card
from groundglass.systems.covid_ct_mask_net.network import (
    KINDS,
    CovidCtMaskNet,
    Instances,
    build_network,
)
from groundglass.systems.covid_ct_mask_net.settings import NetworkConfig
from groundglass.systems.covid_ct_mask_net.taken import Found, apart, lasting
from groundglass.systems.slice_segmenter import LUNG_MARGIN
from groundglass.systems.system import Progress
from groundglass.weights import load_weights

BATCH = 4
JUDGED_SHARE = 0.25
"""Share of a scan's slices, those that look least like the first class, that its class is from."""

MOST_EVIDENCE = 12

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
        self._last: tuple[Scan, Mask, list[Found], tuple[Note, ...]] | None = None

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
        found, _ = self._find(scan, lungs, progress)
        for one in sorted(found, key=lambda one: one.detection.score):
            labels[one.detection.slice_index][one.part][one.inside] = one.detection.kind
        return Mask.on(scan, np.stack(labels) if isinstance(scan, CTScan) else labels, Lesion)

    def detect(self, scan: Scan, lungs: Mask, progress: Progress | None = None) -> Detections:
        """Lesions over the threshold at least half of whose outline is lung, slice by slice.

        A lesion that for the most part lies in surer ones is left out, and so are those of a volume
        that are too short along the body; a note counts these. See ``taken.lasting``.

        Args:
            scan: CT volume or pictures.
            lungs: Its lungs.
            progress: Told how far it is.
        """
        found, notes = self._find(scan, lungs, progress)
        items = [one.detection for one in found]
        items.sort(key=lambda item: (item.slice_index, -item.score))
        return Detections(self.card.name, self._sha256, scan, tuple(items), notes)

    def classify(self, scan: Scan, lungs: Mask, progress: Progress | None = None) -> Classification:
        """What the scan most likely shows, from the quarter of slices that look least healthy.

        The publication judges slices alone. Here the three sigmoids of a slice are scaled to add up
        to 1; the scan has the mean of those slices on which the first class is least likely, and
        these have all the relevance. Slices without lung are not looked at: their probabilities by
        slice are NaN.

        Args:
            scan: CT volume or pictures.
            lungs: Its lungs.
            progress: Told how far it is.

        Raises:
            NotMeasurableError: If these weights tell no classes.
        """
        self._need_classes()
        names = self.network.config.classes
        by_slice = np.full((len(scan.slices), len(names)), np.nan, np.float32)
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
            trained_on=self.card.facts["trained_on"],
            healthy_class="control" if "control" in names else None,
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

        A box in which no pixel is likelier lesion than not has an outline that is empty.

        Args:
            pixels: Picture, (row, column), 0 to 255.
        """
        view = self._whole(pixels)
        with torch.inference_mode():
            answer = self.network(self._batch([view]))[0]
        outlines = [self._outline(view[1], answer, k) for k in range(len(answer.scores))]
        return [
            (self._detection(0, view[1], answer, k, outline), outline)
            for k, outline in enumerate(outlines)
        ]

    def truth(self, case: Case) -> dict[str, bool] | None:
        """Which class a slice of a cohort has; ``None`` where it has none, or is a radiograph."""
        names = self.network.config.classes
        if case.modality != "ct" or case.label not in names:
            return None
        return {name: name == case.label for name in names}

    def judge(self, case: Case) -> tuple[dict[str, float], dict[str, bool], bool] | None:
        """Probabilities of the classes of a slice, the likeliest, and that they exclude others.

        Args:
            case: A picture.

        Returns:
            ``None`` for a radiograph.

        Raises:
            NotMeasurableError: If these weights tell no classes.
        """
        self._need_classes()
        if case.modality != "ct":
            return None
        ((_, shares),) = self._class_shares(iter([self._whole(case.read_image())]))
        names = self.network.config.classes
        likeliest = int(shares.argmax())
        chances = {name: float(share) for name, share in zip(names, shares, strict=True)}
        return chances, {name: k == likeliest for k, name in enumerate(names)}, True

    def _need_classes(self) -> None:
        if self.network.classes is None:
            raise NotMeasurableError(
                f"weights of '{self.card.name}' for lesions alone",
                "weights of the stage classes; train module S behind these with --recipe "
                "recipe_classes.yaml --set start_weights=RUN/weights.safetensors",
            )

    def _whole(self, pixels: NDArray[np.uint8]) -> _View:
        """A whole picture, as slices are shown in training."""
        frame = Frame.fit(Box.whole(pixels.shape), pixels.shape, self.card.size_px)
        return 0, frame, picture_gray(pixels)

    @property
    def _sha256(self) -> str:
        return self.card.weights.sha256 if self.card.weights else ""

    def _find(
        self, scan: Scan, lungs: Mask, progress: Progress | None
    ) -> tuple[list[Found], tuple[Note, ...]]:
        """Lesions of a scan; those of the last one are kept, for boxes and masks of one scan."""
        if self._last is not None and self._last[0] is scan and self._last[1] is lungs:
            return self._last[2:]
        shown = sum(bool(lung.any()) for lung in lungs.slices)
        found: list[Found] = []
        done = 0
        for some in _batches(self._views(scan, lungs)):
            with torch.inference_mode():
                answers = self.network(self._batch(some))
            for (index, frame, _), answer in zip(some, answers, strict=True):
                lung = lungs.slices[index] > 0
                threshold = self.card.lesion_threshold
                found += apart(
                    self._on_slice(index, frame, answer, lung, threshold=threshold), lung.shape
                )
            done += len(some)
            if progress is not None:
                progress(done / shown)
        self._last = scan, lungs, *lasting(scan, found)
        return self._last[2:]

    def _on_slice(
        self,
        index: int,
        frame: Frame,
        answer: Instances,
        lung: NDArray[np.bool_],
        *,
        threshold: float,
    ) -> Iterator[Found]:
        """Lesions of one slice over the threshold, the surest first, as far as they are lung."""
        for k in torch.where(answer.scores > threshold)[0].tolist():
            outline = self._outline(frame, answer, k)
            inside = outline & lung
            around = Box.around(inside)
            if around is None or 2 * np.count_nonzero(inside) < np.count_nonzero(outline):
                continue
            part = np.s_[around.top : around.bottom, around.left : around.right]
            yield Found(self._detection(index, frame, answer, k, inside), part, inside[part])

    def _outline(self, frame: Frame, answer: Instances, k: int) -> NDArray[np.bool_]:
        """Where on its slice a lesion is likelier than not; perhaps nowhere."""
        outline: NDArray[np.bool_] = frame.restore(answer.masks[k].float().cpu().numpy()) > 0.5
        return outline

    def _detection(
        self, index: int, frame: Frame, answer: Instances, k: int, inside: NDArray[np.bool_]
    ) -> Detection:
        """A lesion of a slice as a box, with the area that is taken for it."""
        return Detection(
            index,
            box_on_slice(frame, answer.boxes[k].tolist()),
            float(answer.scores[k]),
            self.instance_kinds[int(answer.labels[k]) - 1],
            float(np.count_nonzero(inside)),
        )

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
        """Probabilities of each slice's classes, adding up to 1, however small the sigmoids."""
        for some in _batches(views):
            with torch.inference_mode():
                logits = self.network.class_logits(self._batch(some)).double()
            shares = functional.logsigmoid(logits).softmax(1).float().cpu().numpy()
            yield from zip((index for index, _, _ in some), shares, strict=True)

    def _evidence(self, views: Iterator[_View], winner: int) -> tuple[Detection, ...]:
        """The boxes that spoke for a class most: their numbers times the gradient of its logit."""
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
                label, weight = int(ranked.labels[k, best]), float(weights[k, best])
                if label and weight > 0:
                    kind = self.instance_kinds[label - 1]
                    box = box_on_slice(frame, ranked.boxes[k, best].tolist())
                    score = float(features[k, best, -1].detach())
                    weighed.append((weight, Detection(index, box, score, kind)))
        weighed.sort(key=lambda pair: -pair[0])
        return tuple(item for _, item in weighed[:MOST_EVIDENCE])


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

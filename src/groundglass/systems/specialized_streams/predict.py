"""The pipeline at work: what a picture shows, which manifestations, and where they are."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from groundglass.classification import NO_CLASS_MAP, Classification, ClassMap, Manifestation
from groundglass.data.case import Case
from groundglass.errors import NotMeasurableError
from groundglass.geometry.frame import Box, Frame
from groundglass.intensity import picture_gray, window_hu
from groundglass.labels import Lesion
from groundglass.mask import Mask
from groundglass.scan import CTSlices, Note, Radiograph, Scan, Source
from groundglass.systems.card import Card
from groundglass.systems.slice_segmenter import AS_IT_IS, SliceSegmenter, View
from groundglass.systems.specialized_streams.effusion import add_effusion
from groundglass.systems.specialized_streams.losses import presence
from groundglass.systems.specialized_streams.network import (
    SpecializedStreams,
    Stage,
    build_stages,
    classes_of,
    cohort_labels_of,
    labels_of,
    size_of_stage,
    thresholds_of,
)
from groundglass.systems.specialized_streams.pictures import (
    count_slices,
    enhance,
    gray_of,
    slices_with_lung,
    told,
)
from groundglass.systems.system import Progress

_LESION, _DENSE, _EFFUSION = range(3)
_BATCH = 8
_SUREST_SHARE = 20
"""One slice in so many, the surest ones, tells whether a scan shows a manifestation."""

_SINGLE_SLICES = Note(
    "single-slices",
    "A manifestation is as probable as on the surest twentieth of the slices, in the mean; the "
    "threshold from which it counts as shown was chosen on single slices.",
)

_LEARNED_SOURCES = Note(
    "sources",
    "The class was learned from public collections, in which it goes with the hospital, the "
    "machine and the article: it may say where the picture comes from, not what it shows.",
)


class Predictor(SliceSegmenter):
    """The stages of a card with their weights.

    Streams are joined by a rule: inside the lungs a pixel is lesion where a stream of an opacity is
    surer than the card's threshold, and of the kind whose stream is surest. Pleural effusion lies
    outside the lungs, where no opacity is looked for, and inside where its stream is surer than
    those of opacities. A stream of one opacity alone gives its own label.
    """

    lesion = _LESION
    network: SpecializedStreams

    def __init__(self, card: Card, weights: Path, device: str = "cpu") -> None:
        self._labels = labels_of(card.network, "streams")
        kinds = {Lesion.GROUND_GLASS, Lesion.CONSOLIDATION} <= set(self._labels)
        self.consolidation = _DENSE if kinds else None
        opacities = [label for label in self._labels if label is not Lesion.PLEURAL_EFFUSION]
        self._only = opacities[0] if len(opacities) == 1 else Lesion.UNSPECIFIED
        super().__init__(card, weights, device)

    def build(self, card: Card) -> nn.Module:
        """The networks of a card, with random weights."""
        return build_stages(card.network)

    def outputs(
        self, inputs: Iterable[tuple[Frame, NDArray[np.float32]]], view: View = AS_IT_IS
    ) -> Iterator[NDArray[np.float32]]:
        """Chances (channel, row, column) of each input, its contrast enhanced first.

        Args:
            inputs: Frame and lung gray of each slice.
            view: How the network sees them.
        """
        return super().outputs(((frame, enhance(gray)) for frame, gray in inputs), view)

    def see_slice(self, hu: NDArray[np.int16], box: Box) -> tuple[Frame, NDArray[np.float32]]:
        """Frame and gray of a slice, which stays whole: its contrast is enhanced on its own grid.

        Args:
            hu: Hounsfield units, (row, column).
            box: Part of the slice that fills the input.
        """
        return Frame.fit(box, hu.shape, self.card.size_px), window_hu(hu)

    def probabilities(self, gray: Tensor) -> Tensor:
        """Chance of any opacity; then that it is consolidation; then of effusion.

        Args:
            gray: (batch, 1, row, column) from 0 to 1.
        """
        found = self.network(gray, "streams").sigmoid()
        chances = dict(zip(self._labels, found.unbind(1), strict=True))
        nothing = torch.zeros_like(gray[:, 0])
        opacities = [chances[k] for k in self._labels if k is not Lesion.PLEURAL_EFFUSION]
        lesion = torch.stack(opacities or [nothing]).amax(0)
        dense = nothing
        if self.consolidation is not None:
            both = chances[Lesion.CONSOLIDATION] + chances[Lesion.GROUND_GLASS]
            dense = chances[Lesion.CONSOLIDATION] / both.clamp_min(1e-6)
        return torch.stack([lesion, dense, chances.get(Lesion.PLEURAL_EFFUSION, nothing)], 1)

    def segment(self, scan: Scan, lungs: Mask, progress: Progress | None = None) -> Mask:
        """Opacities inside the lungs and, where a stream finds it, effusion beside them.

        Args:
            scan: CT volume or pictures.
            lungs: Its lungs.
            progress: Told how far it is.

        Raises:
            NotMeasurableError: If these weights hold no streams.
        """
        self._need("streams")
        if self._labels == (Lesion.PLEURAL_EFFUSION,):  # else dense lung were a lesion by itself
            opacities = Mask.on(scan, [np.zeros_like(s) for s in lungs.slices], Lesion)
        else:
            opacities = super().segment(scan, lungs, progress)
        if Lesion.PLEURAL_EFFUSION not in self._labels:
            return opacities
        return add_effusion(scan, lungs, opacities, self._effusion, self.card.lesion_threshold)

    def kind_probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """Chances of ground-glass opacity and of consolidation on a whole picture.

        Streams answer each by itself: a pixel has the chance of its surest stream and none of the
        other kind, as its label has when streams are joined. So a kind is more probable than
        nothing only where a stream says so.

        Args:
            pixels: Picture, (row, column), 0 to 255.

        Returns:
            (2, row, column), adding up to at most 1; ``None`` where these weights tell no kinds.
        """
        if self.consolidation is None:
            return None
        frame = Frame.fit(Box.whole(pixels.shape), pixels.shape, self.card.size_px)
        gray = self._batch([enhance(picture_gray(pixels))], self.card.size_px)
        with torch.inference_mode():
            chances = self.network(gray, "streams").sigmoid()[0].float().cpu().numpy()
        wanted = (Lesion.GROUND_GLASS, Lesion.CONSOLIDATION)
        said = np.stack([frame.restore(chances[self._labels.index(kind)]) for kind in wanted])
        surest = said.argmax(0) == np.arange(len(wanted))[:, None, None]
        return np.where(surest, said, np.float32(0))

    def classify(
        self,
        scan: Scan | Radiograph,
        lungs: Mask | None = None,
        progress: Progress | None = None,
    ) -> Classification:
        """What a scan or radiograph shows: its class, and the manifestations on a CT.

        A volume has the mean of its slices with lung. Where the extra ``explain`` is installed,
        the class comes with what spoke for it on its surest slice. Weights without the first stage
        tell the manifestations alone.

        Args:
            scan: CT volume, pictures or radiograph.
            lungs: Lungs of a CT, where they are known.
            progress: Told how far it is.

        Raises:
            NotMeasurableError: If these weights were made for something else.
        """
        if self.network.recognition is None:
            return self.find_manifestations(scan, lungs, progress)
        said = self._with_map(self.recognize(scan, lungs, progress), scan)
        if self.network.manifestations is None or isinstance(scan, Radiograph):
            return said
        found = self.find_manifestations(scan, lungs)
        return replace(
            said,
            manifestations=found.manifestations,
            notes=(*said.notes, *found.notes),
            seconds={**said.seconds, **found.seconds},
        )

    def recognize(
        self,
        scan: Scan | Radiograph,
        lungs: Mask | None = None,
        progress: Progress | None = None,
    ) -> Classification:
        """The class alone; arguments and errors as for :meth:`classify`."""
        self.refuse_unknown_modality(scan)
        return self._classify("recognition", scan, lungs, progress)

    def find_manifestations(
        self,
        scan: Scan | Radiograph,
        lungs: Mask | None = None,
        progress: Progress | None = None,
    ) -> Classification:
        """Which manifestations a CT shows, each by itself: the mean of its surest slices.

        Args:
            scan: CT volume or pictures.
            lungs: Its lungs, where they are known.
            progress: Told how far it is.

        Raises:
            NotMeasurableError: For a radiograph, or if these weights hold no such stage.
        """
        if isinstance(scan, Radiograph):
            raise NotMeasurableError(
                "a radiograph", "CT slices, on which manifestations were learned; give a CT"
            )
        found = self._classify("manifestations", scan, lungs, progress)
        limits = self.manifestation_thresholds()
        signs = tuple(Manifestation(n, p, limits[n]) for n, p in found.probabilities.items())
        notes = (_SINGLE_SLICES,) if count_slices(scan) > 1 else ()
        return replace(found, manifestations=signs, notes=notes)

    def manifestation_thresholds(self) -> dict[str, float]:
        """Probability from which each manifestation counts as there."""
        titles = [label.title for label in labels_of(self.card.network, "manifestations")]
        return dict(zip(titles, thresholds_of(self.card.network), strict=True))

    def truth(self, case: Case) -> dict[str, bool] | None:
        """Which classes, or else which manifestations, apply to a picture of a cohort.

        Args:
            case: A picture.

        Returns:
            By name; ``None`` where that is not known, or the weights know no such class.
        """
        if "recognition" in self.network.stages:
            groups = cohort_labels_of(self.card.network)
            classes = {name: case.label in labels for name, labels in groups.items()}
            return classes if any(classes.values()) else None
        labels, lesions = labels_of(self.card.network, "manifestations"), case.read_lesions()
        if lesions is None or not all(told(case, label) for label in labels):
            return None
        shown, known = presence(torch.from_numpy(lesions)[None], labels)
        if not known.all():
            return None
        return {k.title: bool(there) for k, there in zip(labels, shown[0], strict=True)}

    def judge(self, case: Case) -> tuple[dict[str, float], dict[str, bool], bool] | None:
        """Probabilities of a picture of a cohort, what they say is there, and whether it is one.

        Args:
            case: A picture.

        Returns:
            ``None`` for a picture of a modality that the weights never saw.
        """
        source = Source(case.case, "cohort")
        scan: Scan | Radiograph = CTSlices((case.case,), (case.read_image(),), source)
        if case.modality == "radiograph":
            scan = Radiograph(case.read_image(), source)
        try:
            recognizes = "recognition" in self.network.stages
            answer = self.recognize(scan) if recognizes else self.find_manifestations(scan)
        except NotMeasurableError:
            return None
        chances = dict(answer.probabilities)
        if answer.exclusive:
            return chances, {name: name == answer.most_likely for name in chances}, True
        limits = self.manifestation_thresholds()
        return chances, {name: p >= limits[name] for name, p in chances.items()}, False

    def refuse_unknown_modality(self, scan: Scan | Radiograph) -> None:
        """Refuse what the recognition stage never saw.

        Raises:
            NotMeasurableError: A radiograph for weights of CT, or the other way round.
        """
        seen = str(self.card.network["recognition_modalities"])
        found = "radiograph" if isinstance(scan, Radiograph) else "ct"
        if seen not in (found, "both"):
            words = {"ct": "a CT", "radiograph": "a radiograph"}
            raise NotMeasurableError(
                f"{words[found]}",
                f"{words[seen]}: these weights learned from nothing else, and would answer at "
                "random; take weights of both",
            )

    def class_map(self, scan: Scan | Radiograph, index: int, wanted: str) -> NDArray[np.float32]:
        """How much each place of a slice spoke for a class, 0 to 1, in the slice's own size.

        Args:
            scan: CT volume, pictures or radiograph.
            index: Number of the slice; 0 for a radiograph.
            wanted: Name of the class.

        Raises:
            MissingExtraError: If captum is not installed.
        """
        from groundglass.systems.specialized_streams.attention import class_map

        self._need("recognition")
        gray = gray_of(scan, index)
        size_px = size_of_stage(self.card.network, "recognition")
        shown = self._batch([enhance(gray)], size_px)
        number = classes_of(self.card.network).index(wanted)
        assert self.network.recognition is not None
        spoke = class_map(self.network.recognition, shown, number)
        spoke = Frame.fit(Box.whole(gray.shape), gray.shape, size_px).restore(spoke)
        return spoke / max(float(spoke.max()), 1e-12)

    def _with_map(self, said: Classification, scan: Scan | Radiograph) -> Classification:
        if find_spec("captum") is None:
            return replace(said, notes=(*said.notes, NO_CLASS_MAP))
        start = perf_counter()
        assert said.by_slice is not None
        of_class = said.by_slice[:, list(said.probabilities).index(said.most_likely)]
        surest = int(np.nanargmax(of_class))
        found = ClassMap(surest, self.class_map(scan, surest, said.most_likely))
        seconds = {**said.seconds, "class map": perf_counter() - start}
        return replace(said, class_map=found, seconds=seconds)

    def _classify(
        self, stage: Stage, scan: Scan | Radiograph, lungs: Mask | None, progress: Progress | None
    ) -> Classification:
        self._need(stage)
        start_s = perf_counter()
        exclusive = stage == "recognition"
        size_px = size_of_stage(self.card.network, stage)
        shown = slices_with_lung(scan, lungs)
        rows = []
        for start in range(0, len(shown), _BATCH):
            grays = [enhance(gray_of(scan, k)) for k in shown[start : start + _BATCH]]
            with torch.inference_mode():
                logits = self.network(self._batch(grays, size_px), stage)
                chances = logits.softmax(1) if exclusive else logits.sigmoid()
            rows.append(chances.float().cpu().numpy())
            if progress is not None:
                progress(min(1.0, (start + _BATCH) / len(shown)))
        by_shown = np.concatenate(rows)
        surest = max(1, len(by_shown) // _SUREST_SHARE)
        whole = (by_shown if exclusive else np.sort(by_shown, 0)[-surest:]).mean(0)
        by_slice = np.full((count_slices(scan), by_shown.shape[1]), np.nan, np.float32)
        by_slice[shown] = by_shown
        names = classes_of(self.card.network) if exclusive else self._titles()
        assert self.card.weights is not None
        return Classification(
            system=self.card.name,
            weights_sha256=self.card.weights.sha256,
            probabilities={n: float(p) for n, p in zip(names, whole, strict=True)},
            exclusive=exclusive,
            by_slice=by_slice,
            notes=(_LEARNED_SOURCES,) if exclusive else (),
            seconds={stage: perf_counter() - start_s},
            healthy_class="normal" if exclusive and "normal" in names else None,
        )

    def _titles(self) -> tuple[str, ...]:
        return tuple(label.title for label in labels_of(self.card.network, "manifestations"))

    def _label(self, found: NDArray[np.bool_], dense: NDArray[np.bool_]) -> NDArray[np.uint8]:
        if self.consolidation is not None:
            return super()._label(found, dense)
        if self._only is Lesion.GROUND_GLASS:
            found = found & ~dense  # lung that holds no air to speak of
        return found.astype(np.uint8) * np.uint8(self._only)

    def _effusion(
        self, gray: NDArray[np.float32], box: Box
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        frame = Frame.fit(box, gray.shape, self.card.size_px)
        output = next(self.outputs([(frame, gray)]))
        return frame.restore(output[_EFFUSION]), frame.restore(output[_LESION])

    def _batch(self, grays: list[NDArray[np.float32]], size_px: tuple[int, int]) -> Tensor:
        framed = [Frame.fit(Box.whole(g.shape), g.shape, size_px).gray(g) for g in grays]
        stacked = np.clip(np.stack(framed), 0.0, 1.0)[:, None]
        return torch.from_numpy(stacked).to(self.device)

    def _need(self, stage: Stage) -> None:
        if stage not in self.network.stages:
            raise NotMeasurableError(
                f"weights of {' and '.join(self.network.stages)}",
                f"weights of the stage '{stage}'; train it, or join runs that hold it",
            )

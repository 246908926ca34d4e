"""Networks that look at one slice at a time, at work: frame, network, and back onto the scan."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from groundglass.geometry.frame import Box, Frame
from groundglass.intensity import picture_gray, window_hu
from groundglass.labels import Lesion
from groundglass.mask import Mask
from groundglass.scan import CTScan, CTSlices, Scan
from groundglass.systems.card import Card
from groundglass.systems.cleaning import (
    clean_lesions,
    dense_lung,
    label_lesions,
    smooth_along_slices,
)
from groundglass.systems.system import Progress
from groundglass.weights import load_weights

BATCH = 4
LUNG_MARGIN = 0.04
"""Margin around the lungs that the network sees, as a share of their box."""


@dataclass(frozen=True, slots=True)
class View:
    """One way to show a slice to the network without changing what it means.

    Attributes:
        mirrored: Whether right and left are swapped; the answer is swapped back.
        gray_offset: Added to the lung gray.
    """

    mirrored: bool = False
    gray_offset: float = 0.0


AS_IT_IS = View()

VARIANTS = (View(mirrored=True), View(gray_offset=0.02), View(gray_offset=-0.02))
"""Mirrored, and brighter and darker by 30 HU, more than scanners differ in."""


class SliceSegmenter(ABC):
    """A network with its weights that gives each slice's chance of lesion.

    Subclasses build the network and say which of its channels mean what; the rest is here.

    Args:
        card: Facts of the system; ``card.network`` rebuilds the network.
        weights: Safetensors file that the card describes.
        device: ``cpu``, ``cuda`` or ``cuda:0``.

    Attributes:
        lesion: Channel of the chance of lesion.
        consolidation: Channel of the chance that lesion is consolidation; ``None`` where the
            network tells no kinds.

    Raises:
        WeightsError: If the file is missing or is not what the card says.
    """

    lesion: int
    consolidation: int | None

    def __init__(self, card: Card, weights: Path, device: str = "cpu") -> None:
        assert card.weights is not None
        self.card = card
        self.device = device
        self.network = self.build(card)
        load_weights(self.network, weights, card.weights.sha256)
        self.network.to(device).to(memory_format=torch.channels_last).eval()

    @abstractmethod
    def build(self, card: Card) -> nn.Module:
        """The network of a card, with random weights."""

    @abstractmethod
    def probabilities(self, gray: Tensor) -> Tensor:
        """Chances by channel, (batch, channel, row, column).

        Args:
            gray: (batch, 1, row, column) from 0 to 1.
        """

    def segment(self, scan: Scan, lungs: Mask, progress: Progress | None = None) -> Mask:
        """Ground-glass opacity and consolidation inside the lungs.

        Args:
            scan: CT volume or pictures.
            lungs: Its lungs.
            progress: Told how far it is.

        Returns:
            Label set ``Lesion`` on the scan's own grid.
        """
        return self._segment(scan, lungs, progress, AS_IT_IS)

    def segment_variants(
        self, scan: Scan, lungs: Mask, progress: Progress | None = None
    ) -> Iterator[Mask]:
        """The lesions as they are found on the scan seen in other ways, see ``VARIANTS``.

        Args:
            scan: CT volume or pictures.
            lungs: Its lungs.
            progress: Told how far all of them together are.
        """
        for done, view in enumerate(VARIANTS):
            yield self._segment(scan, lungs, _part(progress, done), view)

    def lesion_probability(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Chance of lesion on a whole picture, lungs not looked for, nothing cleaned.

        Args:
            pixels: Picture, (row, column), 0 to 255.

        Returns:
            Same shape, 0 to 1.
        """
        frame, output = self._see(pixels, Box.whole(pixels.shape))
        return frame.restore(output[self.lesion])

    def kind_probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """Chances of ground-glass opacity and of consolidation on a whole picture.

        Args:
            pixels: Picture, (row, column), 0 to 255.

        Returns:
            (2, row, column), 0 to 1; ``None`` where the network tells no kinds.
        """
        if self.consolidation is None:
            return None
        frame, output = self._see(pixels, Box.whole(pixels.shape))
        lesion, dense = output[self.lesion], output[self.consolidation]
        return np.stack([frame.restore(lesion * (1 - dense)), frame.restore(lesion * dense)])

    def outputs(
        self, inputs: Iterable[tuple[Frame, NDArray[np.float32]]], view: View = AS_IT_IS
    ) -> Iterator[NDArray[np.float32]]:
        """Chances (channel, row, column) of each input, a few slices at a time.

        Args:
            inputs: Frame and lung gray of each slice.
            view: How the network sees them. What a mirrored network calls right is left: channels
                of one side are not swapped.
        """
        remaining = iter(inputs)
        while some := list(islice(remaining, BATCH)):
            shown = [frame.gray(picture) + np.float32(view.gray_offset) for frame, picture in some]
            gray = np.clip(np.stack(shown), 0.0, 1.0)
            with torch.inference_mode():
                batch = torch.from_numpy(gray[:, None]).to(self.device)
                seen = self.probabilities(batch.flip(-1) if view.mirrored else batch)
                turned = seen.flip(-1) if view.mirrored else seen
                yield from turned.float().cpu().numpy()

    def see_slice(self, hu: NDArray[np.int16], box: Box) -> tuple[Frame, NDArray[np.float32]]:
        """Frame and lung gray of a slice of a volume; what lies beyond the box is left out.

        Args:
            hu: Hounsfield units, (row, column).
            box: Part of the slice that fills the input.
        """
        part = hu[box.top : box.bottom, box.left : box.right]
        return Frame.fit(Box.whole(part.shape), part.shape, self.card.size_px), window_hu(part)

    def _see(
        self, pixels: NDArray[np.uint8], box: Box, view: View = AS_IT_IS
    ) -> tuple[Frame, NDArray[np.float32]]:
        frame = Frame.fit(box, pixels.shape, self.card.size_px)
        return frame, next(self.outputs([(frame, picture_gray(pixels))], view))

    def _segment(self, scan: Scan, lungs: Mask, progress: Progress | None, view: View) -> Mask:
        if isinstance(scan, CTScan):
            return self._segment_volume(scan, lungs, progress, view)
        return self._segment_pictures(scan, lungs, progress, view)

    def _label(self, found: NDArray[np.bool_], dense: NDArray[np.bool_]) -> NDArray[np.uint8]:
        if self.consolidation is None:
            return found.astype(np.uint8) * np.uint8(Lesion.UNSPECIFIED)
        return label_lesions(found, dense)

    def _segment_pictures(
        self, scan: CTSlices, lungs: Mask, progress: Progress | None, view: View
    ) -> Mask:
        masks = []
        for index, (pixels, lung) in enumerate(zip(scan.slices, lungs.slices, strict=True)):
            box = Box.around(lung > 0, LUNG_MARGIN)
            lesions = np.zeros(pixels.shape, np.uint8)
            if box is not None:
                frame, output = self._see(pixels, box, view)
                lesion = frame.restore(output[self.lesion])
                found = (lesion > self.card.lesion_threshold) & (lung > 0)
                dense = self._restore_dense(frame, output) > 0.5
                lesions = self._label(clean_lesions(found[None])[0], dense)
            masks.append(lesions)
            if progress is not None:
                progress((index + 1) / len(scan.slices))
        return Mask.on(scan, masks, Lesion)

    def _segment_volume(
        self, scan: CTScan, lungs: Mask, progress: Progress | None, view: View
    ) -> Mask:
        shown = [k for k, lung in enumerate(lungs.slices) if lung.any()]
        box = Box.around(lungs.array.max(0) > 0, LUNG_MARGIN)
        labels = np.zeros(lungs.array.shape, np.uint8)
        if box is None:
            return Mask.on(scan, labels, Lesion)
        inside = np.s_[shown[0] : shown[-1] + 1, box.top : box.bottom, box.left : box.right]
        hu = scan.slices[inside]
        lesion, dense = np.zeros(hu.shape, np.float32), np.zeros(hu.shape, np.float32)
        frame = Frame.fit(Box.whole(hu.shape[1:]), hu.shape[1:], self.card.size_px)
        inputs = (self.see_slice(scan.slices[k], box) for k in shown)
        for done, (k, output) in enumerate(zip(shown, self.outputs(inputs, view), strict=True)):
            lesion[k - shown[0]] = frame.restore(output[self.lesion])
            dense[k - shown[0]] = self._restore_dense(frame, output)
            if progress is not None:
                progress((done + 1) / len(shown))
        slice_mm = scan.spacing_mm[0]
        smooth_along_slices(lesion, slice_mm)
        smooth_along_slices(dense, slice_mm)
        lung = lungs.array[inside] > 0
        solid = dense_lung(hu, lung, scan.spacing_mm)
        over = (lesion > self.card.lesion_threshold) & lung
        found = clean_lesions(over, lungs.voxel_volume_ml, lesion)
        labels[inside] = self._label(found | solid, (dense > 0.5) | solid)
        return Mask.on(scan, labels, Lesion)

    def _restore_dense(self, frame: Frame, output: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.consolidation is None:
            return np.zeros(frame.shape, np.float32)
        return frame.restore(output[self.consolidation])


def _part(progress: Progress | None, done: int) -> Progress | None:
    """What is told of one variant, as its share of all."""
    if progress is None:
        return None
    return lambda fraction: progress((done + fraction) / len(VARIANTS))

"""The baseline at work: frame, network, and back onto the scan's own grid."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from groundglass.geometry.frame import Box, Frame
from groundglass.intensity import picture_gray, window_hu
from groundglass.labels import Lesion, Lung
from groundglass.mask import Mask
from groundglass.scan import CTScan, CTSlices, Scan
from groundglass.systems.baseline_unet.body import find_body
from groundglass.systems.baseline_unet.cleaning import (
    clean_lesions,
    clean_lung_sides,
    dense_lung,
    label_lesions,
    smooth_along_slices,
)
from groundglass.systems.baseline_unet.network import BaselineUnet, Output
from groundglass.systems.card import Card
from groundglass.systems.system import Progress
from groundglass.weights import load_weights

BATCH = 4
LUNG_MARGIN = 0.04
"""Margin around the lungs that the network sees, as a share of their box."""


class Predictor:
    """The baseline with its weights.

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
        decoder_channels = card.network["decoder_channels"]
        assert isinstance(decoder_channels, list)
        self._network = BaselineUnet(str(card.network["encoder"]), tuple(decoder_channels))
        load_weights(self._network, weights, card.weights.sha256)
        self._network.to(device).to(memory_format=torch.channels_last).eval()

    def segment(self, scan: Scan, lungs: Mask, progress: Progress | None = None) -> Mask:
        """Ground-glass opacity and consolidation inside the lungs.

        Args:
            scan: CT volume or pictures.
            lungs: Its lungs.
            progress: Told how far it is.

        Returns:
            Label set ``Lesion`` on the scan's own grid.
        """
        if isinstance(scan, CTScan):
            return self._segment_volume(scan, lungs, progress)
        return self._segment_pictures(scan, lungs, progress)

    def find_lungs(self, scan: CTSlices, progress: Progress | None = None) -> Mask:
        """Lungs of every picture: a first look at the whole body, a second at the lungs.

        A picture without lungs gets an empty mask.

        Args:
            scan: Pictures.
            progress: Told how far it is.

        Returns:
            Label set ``Lung``, as large as each picture.
        """
        masks = []
        for index, pixels in enumerate(scan.slices):
            gray = picture_gray(pixels)
            body = find_body(pixels)
            body_box = Box.around(body) or Box.whole(pixels.shape)
            lungs = clean_lung_sides(self._lungs(gray, body_box) * body)
            lungs_box = Box.around(lungs > 0, LUNG_MARGIN)
            if lungs_box is not None:
                lungs = clean_lung_sides(self._lungs(gray, lungs_box) * body)
            masks.append(lungs)
            if progress is not None:
                progress((index + 1) / len(scan.slices))
        return Mask.on(scan, masks, Lung)

    def _lungs(self, gray: NDArray[np.float32], box: Box) -> NDArray[np.float32]:
        frame = Frame.fit(box, gray.shape, self.card.size_px)
        output = next(self._outputs([(frame, gray)]))
        return np.stack([frame.restore(output[k]) for k in (Output.RIGHT_LUNG, Output.LEFT_LUNG)])

    def _segment_pictures(self, scan: CTSlices, lungs: Mask, progress: Progress | None) -> Mask:
        masks = []
        for index, (pixels, lung) in enumerate(zip(scan.slices, lungs.slices, strict=True)):
            box = Box.around(lung > 0, LUNG_MARGIN)
            lesions = np.zeros(pixels.shape, np.uint8)
            if box is not None:
                frame = Frame.fit(box, pixels.shape, self.card.size_px)
                output = next(self._outputs([(frame, picture_gray(pixels))]))
                lesion = frame.restore(output[Output.LESION])
                found = (lesion > self.card.lesion_threshold) & (lung > 0)
                dense = frame.restore(output[Output.CONSOLIDATION]) > 0.5
                lesions = label_lesions(clean_lesions(found[None])[0], dense)
            masks.append(lesions)
            if progress is not None:
                progress((index + 1) / len(scan.slices))
        return Mask.on(scan, masks, Lesion)

    def _segment_volume(self, scan: CTScan, lungs: Mask, progress: Progress | None) -> Mask:
        shown = [k for k, lung in enumerate(lungs.slices) if lung.any()]
        box = Box.around(lungs.array.max(0) > 0, LUNG_MARGIN)
        labels = np.zeros(lungs.array.shape, np.uint8)
        if box is None:
            return Mask.on(scan, labels, Lesion)
        inside = np.s_[shown[0] : shown[-1] + 1, box.top : box.bottom, box.left : box.right]
        hu = scan.slices[inside]
        lesion, dense = np.zeros(hu.shape, np.float32), np.zeros(hu.shape, np.float32)
        frame = Frame.fit(Box.whole(hu.shape[1:]), hu.shape[1:], self.card.size_px)
        inputs = ((frame, window_hu(hu[k - shown[0]])) for k in shown)
        for done, (k, output) in enumerate(zip(shown, self._outputs(inputs), strict=True)):
            lesion[k - shown[0]] = frame.restore(output[Output.LESION])
            dense[k - shown[0]] = frame.restore(output[Output.CONSOLIDATION])
            if progress is not None:
                progress((done + 1) / len(shown))
        slice_mm = scan.spacing_mm[0]
        smooth_along_slices(lesion, slice_mm)
        smooth_along_slices(dense, slice_mm)
        lung = lungs.array[inside] > 0
        solid = dense_lung(hu, lung, scan.spacing_mm)
        found = clean_lesions((lesion > self.card.lesion_threshold) & lung, lungs.voxel_volume_ml)
        labels[inside] = label_lesions(found | solid, (dense > 0.5) | solid)
        return Mask.on(scan, labels, Lesion)

    def _outputs(
        self, inputs: Iterable[tuple[Frame, NDArray[np.float32]]]
    ) -> Iterator[NDArray[np.float32]]:
        """Probabilities (4, row, column) of each input, a few slices at a time."""
        remaining = iter(inputs)
        while some := list(islice(remaining, BATCH)):
            gray = np.stack([np.clip(frame.gray(picture), 0.0, 1.0) for frame, picture in some])
            with torch.inference_mode():
                batch = torch.from_numpy(gray[:, None]).to(self.device)
                yield from self._network(batch).sigmoid().float().cpu().numpy()

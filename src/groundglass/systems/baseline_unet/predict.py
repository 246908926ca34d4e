"""The baseline at work: lesions slice by slice, and the lungs of pictures."""

from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from groundglass.geometry.frame import Box, Frame
from groundglass.intensity import picture_gray, window_hu
from groundglass.labels import Lung
from groundglass.mask import Mask
from groundglass.scan import CTScan, CTSlices
from groundglass.systems.baseline_unet.body import find_body
from groundglass.systems.baseline_unet.network import BaselineUnet, Output
from groundglass.systems.card import Card
from groundglass.systems.cleaning import clean_lung_sides
from groundglass.systems.slice_segmenter import LUNG_MARGIN, SliceSegmenter
from groundglass.systems.system import Progress


class Predictor(SliceSegmenter):
    """The baseline with its weights; it finds the lungs of pictures as well."""

    lesion = Output.LESION
    consolidation = Output.CONSOLIDATION

    def build(self, card: Card) -> BaselineUnet:
        """The network of a card, with random weights."""
        decoder_channels = cast("list[int]", card.network["decoder_channels"])
        return BaselineUnet(str(card.network["encoder"]), tuple(decoder_channels))

    def probabilities(self, gray: Tensor) -> Tensor:
        """Chances of right lung, left lung, lesion and consolidation."""
        logits: Tensor = self.network(gray)
        return logits.sigmoid()

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

    def lung_probability(
        self,
        scan: CTScan,
        lungs: Mask,
        numbers: Sequence[int],
        progress: Progress | None = None,
    ) -> Iterator[NDArray[np.float32]]:
        """Chance of lung on slices of a volume, within the box of its lungs; 0 beyond it.

        Args:
            scan: CT volume.
            lungs: Its lungs as far as they are known, not empty.
            numbers: Numbers of the slices.
            progress: Told how far it is.

        Yields:
            (row, column) of the scan, 0 to 1, for each of the slices.
        """
        box = Box.around(lungs.array.max(0) > 0, LUNG_MARGIN)
        assert box is not None
        inside = np.s_[box.top : box.bottom, box.left : box.right]
        shape = scan.slices[0][inside].shape
        frame = Frame.fit(Box.whole(shape), shape, self.card.size_px)
        inputs = ((frame, window_hu(scan.slices[number][inside])) for number in numbers)
        for done, output in enumerate(self.outputs(inputs)):
            probability = np.zeros(scan.slices[0].shape, np.float32)
            sides = output[[Output.RIGHT_LUNG, Output.LEFT_LUNG]]
            probability[inside] = frame.restore(sides.max(axis=0))
            yield probability
            if progress is not None:
                progress((done + 1) / len(numbers))

    def _lungs(self, gray: NDArray[np.float32], box: Box) -> NDArray[np.float32]:
        frame = Frame.fit(box, gray.shape, self.card.size_px)
        output = next(self.outputs([(frame, gray)]))
        return np.stack([frame.restore(output[k]) for k in (Output.RIGHT_LUNG, Output.LEFT_LUNG)])

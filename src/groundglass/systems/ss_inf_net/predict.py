"""Self-supervised Inf-Net at work: lesions slice by slice, with their kinds where it tells them."""

from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groundglass.geometry.frame import Box
from groundglass.systems.card import Card
from groundglass.systems.slice_segmenter import SliceSegmenter
from groundglass.systems.ss_inf_net.kinds import Decoder, KindsNetwork
from groundglass.systems.ss_inf_net.network import InfNet, SsInfNet

_LESION, _DENSE, _GROUND_GLASS, _CONSOLIDATION = range(4)


class Predictor(SliceSegmenter):
    """Self-supervised Inf-Net with its weights.

    Lesion is where the first network sees it; the second only tells its kind, so that the two
    never disagree on where.
    """

    lesion = _LESION

    def __init__(self, card: Card, weights: Path, device: str = "cpu") -> None:
        self.consolidation = None if card.network["kinds"] == "none" else _DENSE
        super().__init__(card, weights, device)

    def build(self, card: Card) -> SsInfNet:
        """The networks of a card, with random weights."""
        settings = card.network
        lesion = InfNet(
            str(settings["encoder"]),
            int(cast("int", settings["width"])),
            int(cast("int", settings["coarse_width"])),
        )
        if settings["kinds"] == "none":
            return SsInfNet(lesion)
        kinds = KindsNetwork(
            str(settings["kinds_encoder"]),
            cast("Decoder", settings["kinds"]),
            tuple(cast("list[int]", settings["kinds_channels"])),
        )
        return SsInfNet(lesion, kinds)

    def probabilities(self, gray: Tensor) -> Tensor:
        """Chance of lesion; then that it is consolidation; then of each kind by itself."""
        found: Tensor = self.network(gray)
        if self.consolidation is None:
            return found
        lesion, ground_glass, consolidation = found.chunk(3, dim=1)
        dense = consolidation / (ground_glass + consolidation).clamp_min(1e-6)
        return torch.cat([lesion, dense, ground_glass, consolidation], 1)

    def kind_probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """What the second network says of ground-glass opacity and consolidation.

        Args:
            pixels: Picture, (row, column), 0 to 255.

        Returns:
            (2, row, column), 0 to 1; ``None`` where there is no second network.
        """
        if self.consolidation is None:
            return None
        frame, output = self._see(pixels, Box.whole(pixels.shape))
        return np.stack([frame.restore(output[k]) for k in (_GROUND_GLASS, _CONSOLIDATION)])

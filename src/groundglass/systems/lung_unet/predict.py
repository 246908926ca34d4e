"""The lung network at work on volumes."""

from pathlib import Path
from typing import cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from groundglass.geometry.frame import Box, Frame
from groundglass.lungs.unet import fuse_views, lungs_by_network
from groundglass.mask import Mask
from groundglass.networks.residual_unet import ResidualUnet
from groundglass.scan import CTScan, Note
from groundglass.systems.card import Card
from groundglass.systems.lung_unet.network import LungUnet, Views
from groundglass.systems.system import Progress
from groundglass.weights import load_weights


class Predictor:
    """The lung network with its weights.

    Args:
        card: Facts of the system.
        weights: Safetensors file that the card describes.
        device: ``cpu``, ``cuda`` or ``cuda:0``.
    """

    def __init__(self, card: Card, weights: Path, device: str = "cpu") -> None:
        assert card.weights is not None
        self.card = card
        self.device = device
        views = cast("Views", card.network["views"])
        self.network = LungUnet(views, int(cast("int", card.network["width"])))
        load_weights(self.network, weights, card.weights.sha256)
        self.network.to(device).eval()

    def find_volume_lungs(
        self, scan: CTScan, progress: Progress | None = None
    ) -> tuple[Mask, tuple[Note, ...]]:
        """Lungs of a volume, and what was noticed.

        Args:
            scan: CT volume.
            progress: Told how far it is.

        Raises:
            EmptyMaskError: If there is no lung.
        """
        sagittal = self.network.sagittal
        return lungs_by_network(
            scan,
            lambda gray: self._look(self.network.axial, gray),
            None if sagittal is None else self._from_head_to_feet,
            progress,
        )

    def views_of(
        self, gray: NDArray[np.float32], slice_px: float
    ) -> dict[str, NDArray[np.float32]]:
        """Probability of lung by each view: ``axial``, and with two also ``sagittal`` and ``both``.

        Args:
            gray: Lung gray, (slice, row, column), feet first as in the cohort of training.
            slice_px: Distance of slices in pixels of a slice.

        Returns:
            By name, each (slice, row, column), 0 to 1.
        """
        found = {"axial": np.stack([self._look(self.network.axial, one) for one in gray])}
        if self.network.sagittal is not None:
            found["sagittal"] = self._from_the_side(self.network.sagittal, gray, slice_px)
            found["both"] = fuse_views(found["axial"], found["sagittal"])
        return found

    def _from_head_to_feet(self, gray: NDArray[np.float32], slice_px: float) -> NDArray[np.float32]:
        """Views from the side turned as those of training, whose series run from feet to head."""
        assert self.network.sagittal is not None
        return self._from_the_side(self.network.sagittal, gray[::-1], slice_px)[::-1]

    def _from_the_side(
        self, network: ResidualUnet, gray: NDArray[np.float32], slice_px: float
    ) -> NDArray[np.float32]:
        slices, rows, columns = gray.shape
        tall = (rows, max(1, round(slices * slice_px)))
        seen = []
        for column in range(columns):
            view = cv2.resize(np.ascontiguousarray(gray[:, :, column]), tall)
            likely = self._look(network, np.asarray(view, np.float32))
            seen.append(cv2.resize(likely, (rows, slices), interpolation=cv2.INTER_AREA))
        return np.stack(seen, axis=2).astype(np.float32)

    def _look(self, network: ResidualUnet, gray: NDArray[np.float32]) -> NDArray[np.float32]:
        shape = gray.shape[0], gray.shape[1]
        frame = Frame.fit(Box.whole(shape), shape, self.card.size_px)
        with torch.inference_mode():
            shown = torch.from_numpy(np.clip(frame.gray(gray), 0.0, 1.0)[None, None])
            seen = network(shown.to(self.device)).sigmoid()
        return frame.restore(seen[0, 0].float().cpu().numpy())

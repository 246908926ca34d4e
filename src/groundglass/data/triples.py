"""Three neighboring slices as one input, the middle one labeled."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from groundglass.data.augment import AugmentConfig
from groundglass.data.cohort import UNKNOWN, Case
from groundglass.data.slices import Draw, SliceDataset
from groundglass.data.stacks import find_neighbors, find_shift, lay
from groundglass.intensity import picture_gray, read_picture_window

_NEIGHBORS = 1
"""Tells the draw of a slice's neighbors apart from that of its augmentation."""


class TripleDataset(SliceDataset):
    """Slices of a cohort between their neighbors.

    Items are those of :class:`SliceDataset`, but ``gray`` is (3, row, column): the slice before,
    the slice itself and the one after, zero where there is none; and ``stage`` is the stage that
    the cohort gives, 0 to 3, or 255. Neighbors are laid on the slice where each was cropped by
    itself, and are changed as it is.

    Args:
        cases: Rows of a cohort; neighbors are looked for among them.
        size_px: (row, column) of the input.
        augment: How training slices vary; ``None`` shows them as they are.
        seed: Seed of the run.
        lone_share: Share of the draws on which a slice is shown without its neighbors, as lone
            pictures are; fixed by run seed, epoch and index.
        reversed_share: Share of the draws on which the neighbors change places.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        size_px: tuple[int, int],
        augment: AugmentConfig | None = None,
        seed: int = 0,
        lone_share: float = 0.0,
        reversed_share: float = 0.0,
    ) -> None:
        super().__init__(cases, size_px, augment, seed)
        self._lone_share = lone_share
        self._reversed_share = reversed_share
        self._neighbors = [
            tuple(None if k is None else laid_on(picture, self._pictures[k]) for k in neighbors)
            for picture, neighbors in zip(self._pictures, find_neighbors(cases), strict=True)
        ]

    def __getitem__(self, draw: Draw | int) -> dict[str, torch.Tensor]:
        """One slice with its neighbors; a training slice is fixed by run seed, epoch and index."""
        item = super().__getitem__(draw)
        epoch, index = draw if isinstance(draw, tuple) else (0, draw)
        before, after = (
            torch.zeros_like(item["gray"])
            if picture is None
            else torch.from_numpy(self.show(picture_gray(picture), epoch, index)[0][None])
            for picture in self._shown_neighbors(epoch, index)
        )
        stage = self.cases[index].stage
        return {
            **item,
            "gray": torch.cat([before, item["gray"], after]),
            "stage": torch.tensor(UNKNOWN if stage is None else stage),
        }

    def _shown_neighbors(self, epoch: int, index: int) -> tuple[NDArray[np.uint8] | None, ...]:
        chances = np.random.default_rng([self.seed, epoch, index, _NEIGHBORS]).random(2)
        if chances[0] < self._lone_share:
            return None, None
        step = -1 if chances[1] < self._reversed_share else 1
        return self._neighbors[index][::step]


def laid_on(picture: NDArray[np.uint8], neighbor: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A neighbor on the grid of a picture; soft tissue where it does not reach."""
    fill = read_picture_window(neighbor).tissue_gray
    return lay(neighbor, find_shift(neighbor, picture), picture.shape, fill)

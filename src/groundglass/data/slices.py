"""Slices of a cohort as inputs and targets of a network."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

from groundglass.data.augment import Augment, AugmentConfig
from groundglass.data.cohort import UNKNOWN, Case
from groundglass.geometry.frame import Box, Frame
from groundglass.intensity import picture_gray
from groundglass.labels import Lung

Draw = tuple[int, int]
"""Epoch and index of a case: what a training slice is drawn by, again and again the same."""


class SliceDataset(Dataset[dict[str, torch.Tensor]]):
    """Slices of a cohort, framed, standardized and, in training, augmented.

    Each item holds ``gray`` (1, row, column) float32 from 0 to 1; ``lungs`` (row, column) uint8
    ``Lung`` numbers; ``lesions`` (row, column) uint8 ``Lesion`` numbers; 255 where not known; and
    ``case``, the index.

    Args:
        cases: Rows of a cohort; pictures are read once and kept.
        size_px: (row, column) of the input.
        augment: How training slices vary; ``None`` shows them as they are.
        seed: Seed of the run.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        size_px: tuple[int, int],
        augment: AugmentConfig | None = None,
        seed: int = 0,
    ) -> None:
        self.cases = tuple(cases)
        self.size_px = size_px
        self.augment = augment
        self.seed = seed
        self._pictures = [case.read_image() for case in self.cases]
        self._lungs = [self._known_sides(case) for case in self.cases]
        self._lesions = [case.read_lesions() for case in self.cases]

    def __len__(self) -> int:
        """Number of cases."""
        return len(self.cases)

    def __getitem__(self, draw: Draw | int) -> dict[str, torch.Tensor]:
        """One slice; a training slice is fixed by run seed, epoch and index."""
        epoch, index = draw if isinstance(draw, tuple) else (0, draw)
        pixels, frame, mirrored = self.show(self.gray_of(index), epoch, index)
        lungs = self._target(frame, self._lungs[index])
        return {
            "gray": torch.from_numpy(pixels[None]),
            "lungs": torch.from_numpy(_swap_sides(lungs) if mirrored else lungs),
            "lesions": torch.from_numpy(self._target(frame, self._lesions[index])),
            "case": torch.tensor(index),
        }

    def gray_of(self, index: int) -> NDArray[np.float32]:
        """Lung gray of a slice on its own grid; subclasses may enhance it."""
        return picture_gray(self._pictures[index])

    def drawn_with(self, index: int) -> int:
        """Index of the slice whose augmentation this one shares; its own unless overridden."""
        return index

    def show(
        self, gray: NDArray[np.float32], epoch: int, index: int
    ) -> tuple[NDArray[np.float32], Frame, bool]:
        """A slice as the network sees it on a draw, its frame, and whether it is mirrored.

        Args:
            gray: Lung gray of the case, or of another slice of its size, which is changed alike.
            epoch: Epoch of the draw.
            index: Index of the case.
        """
        shape = gray.shape[0], gray.shape[1]
        frame = Frame.fit(Box.whole(shape), shape, self.size_px)
        if self.augment is None:
            return np.clip(frame.gray(gray), 0.0, 1.0), frame, False
        augment = Augment.seeded(self.augment, self.seed, epoch, self.drawn_with(index))
        frame, mirrored = augment.frame(frame)
        known = frame.labels(np.ones(shape, np.uint8)) == 1
        pixels = augment.outside(frame.gray(gray, augment.fill()), known)
        return augment.gray(pixels), frame, mirrored

    @staticmethod
    def _known_sides(case: Case) -> NDArray[np.uint8] | None:
        return case.read_sides()

    def _target(self, frame: Frame, mask: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
        if mask is None:
            return np.full(self.size_px, UNKNOWN, np.uint8)
        return frame.labels(mask)


def _swap_sides(lungs: NDArray[np.uint8]) -> NDArray[np.uint8]:
    swapped = lungs.copy()
    swapped[lungs == Lung.RIGHT] = Lung.LEFT
    swapped[lungs == Lung.LEFT] = Lung.RIGHT
    return swapped


class EpochSampler(Sampler[Draw]):
    """Draws of each epoch, fixed by seed and epoch, so that a resumed run goes on alike.

    A case is drawn with a chance that falls with the square root of its patient's number of
    cases, so that long series do not crowd out short ones; below ``_FEW_CASES`` it falls no more.

    Args:
        cases: Rows of the training split.
        draws: Draws per epoch.
        seed: Seed of the run.
        healthy_weight: How much more often a slice known to be free of lesions is drawn.
        case_weights: How much more often each case is drawn; all alike if ``None``.
    """

    _FEW_CASES = 16

    def __init__(
        self,
        cases: Sequence[Case],
        draws: int,
        seed: int,
        healthy_weight: float = 1.0,
        case_weights: Sequence[float] | None = None,
    ) -> None:
        per_patient = Counter(case.patient for case in cases)
        weights = np.array(
            [
                max(per_patient[case.patient], self._FEW_CASES) ** -0.5
                * (healthy_weight if case.lesions == "none" else 1.0)
                for case in cases
            ]
        )
        if case_weights is not None:
            weights = weights * np.asarray(case_weights)
        self.chances = weights / weights.sum()
        self.draws = draws
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Tell which epoch comes next; the training loop calls it."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Draws per epoch, of this process where several share them."""
        return self.draws // _processes()[1]

    def __iter__(self) -> Iterator[Draw]:
        """Draws of the current epoch, of this process where several share them."""
        random = np.random.default_rng((self.seed, self.epoch))
        drawn = random.choice(len(self.chances), self.draws, p=self.chances)
        rank, processes = _processes()
        for index in drawn[rank::processes][: len(self)]:
            yield self.epoch, int(index)


def _processes() -> tuple[int, int]:
    """Number of this process, and how many train together."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1

"""Pictures as the three stages see them: local contrast enhanced, one frame for all of a series."""

from collections.abc import Iterator, Mapping, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from groundglass.data.augment import AugmentConfig
from groundglass.data.case import Case
from groundglass.data.slices import Draw, EpochSampler, SliceDataset
from groundglass.intensity import picture_gray, window_hu
from groundglass.labels import OPACITIES, Lesion
from groundglass.mask import Mask
from groundglass.scan import CTScan, CTSlices, Radiograph, Scan

CLIP_LIMIT = 2.0
TILES = (8, 8)

UNKNOWN_CLASS = -1

LEAST_LUNG = 0.02
"""A slice counts for the class of a volume where this share of it is lung."""


def told(case: Case, label: Lesion) -> bool:
    """Whether a case tells where a manifestation is and where it is not.

    A mask tells of those that its values name; of ground-glass opacity and consolidation also one
    of lesions of unknown kind, as where there is no lesion. Of what a mask leaves out, such as an
    effusion beside marked opacities, nothing is known.

    Args:
        case: A case, with or without a mask.
        label: The manifestation; ``UNSPECIFIED`` stands for any opacity.
    """
    if case.lesions is None or case.lesions == "none":
        return case.lesions is not None
    named = {int(item.partition(":")[2]) for item in case.lesions_values.split()}
    if label is Lesion.UNSPECIFIED:
        return bool(named & {int(opacity) for opacity in OPACITIES})
    return int(label) in named or (label in OPACITIES and int(Lesion.UNSPECIFIED) in named)


def enhance(gray: NDArray[np.float32]) -> NDArray[np.float32]:
    """Gray with its local contrast enhanced: CLAHE of 8 x 8 tiles.

    Args:
        gray: (row, column), about 0 to 1; what lies beyond is cut.

    Returns:
        Same shape, 0 to 1.
    """
    deep = (np.clip(gray, 0.0, 1.0) * 65535).astype(np.uint16)
    enhanced = cv2.createCLAHE(CLIP_LIMIT, TILES).apply(deep)
    return np.asarray(enhanced, np.float32) / np.float32(65535)


def radiograph_gray(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Gray of a radiograph, 0 to 1, as it stands."""
    return pixels.astype(np.float32) / np.float32(255)


def gray_of(scan: Scan | Radiograph, index: int) -> NDArray[np.float32]:
    """Gray of a slice, (row, column), about 0 to 1; of a radiograph, which has slice 0 alone."""
    if isinstance(scan, Radiograph):
        return radiograph_gray(scan.pixels)
    if isinstance(scan, CTSlices):
        return picture_gray(scan.slices[index])
    return window_hu(scan.slices[index])


def count_slices(scan: Scan | Radiograph) -> int:
    """Slices of a scan; 1 for a radiograph."""
    return 1 if isinstance(scan, Radiograph) else len(scan.slices)


def slices_with_lung(scan: Scan | Radiograph, lungs: Mask | None) -> list[int]:
    """The slices that are looked at: those of a volume that show lung, else all."""
    everything = list(range(count_slices(scan)))
    if lungs is None or not isinstance(scan, CTScan):
        return everything
    return [k for k in everything if (lungs.slices[k] > 0).mean() >= LEAST_LUNG] or everything


class EnhancedPictures(SliceDataset):
    """Slices and radiographs with enhanced contrast; those of one series are augmented alike.

    Items hold two things beside what :class:`SliceDataset` gives: ``class``, the index of the
    case's class, or ``UNKNOWN_CLASS``; and ``told``, whether the case tells of each of ``Lesion``.

    Args:
        cases: Rows of a cohort.
        size_px: (row, column) of the input.
        augment: How training pictures vary; ``None`` shows them as they are.
        seed: Seed of the run.
        classes: Index of the class by the cohort's label.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        size_px: tuple[int, int],
        augment: AugmentConfig | None = None,
        seed: int = 0,
        classes: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(cases, size_px, augment, seed)
        self._classes = classes or {}
        first: dict[tuple[str, str], int] = {}
        self._leaders = [
            first.setdefault((case.patient, case.series or case.case), index)
            for index, case in enumerate(self.cases)
        ]

    def gray_of(self, index: int) -> NDArray[np.float32]:
        """Enhanced gray of a picture on its own grid."""
        picture = self._pictures[index]
        if self.cases[index].modality == "radiograph":
            return enhance(radiograph_gray(picture))
        return enhance(picture_gray(picture))

    def drawn_with(self, index: int) -> int:
        """Index of the first slice of the same series."""
        return self._leaders[index]

    def __getitem__(self, draw: Draw | int) -> dict[str, torch.Tensor]:
        """One picture; a training picture is fixed by run seed, epoch and series."""
        index = draw[1] if isinstance(draw, tuple) else draw
        known = torch.tensor([told(self.cases[index], label) for label in Lesion])
        return {**super().__getitem__(draw), "class": self.class_of(index), "told": known}

    def class_of(self, index: int) -> torch.Tensor:
        """Index of a picture's class, or ``UNKNOWN_CLASS``."""
        return torch.tensor(self._classes.get(self.cases[index].label, UNKNOWN_CLASS))


class EqualSampler(EpochSampler):
    """Draws that show every group as often as every other, however many cases it has.

    Args:
        cases: Rows of the training split.
        draws: Draws per epoch.
        seed: Seed of the run.
        groups: Group of each case, such as its modality and class.
        views: Number of fixed views of each picture, drawn in place of the epoch; 0 where there
            are none.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        draws: int,
        seed: int,
        groups: Sequence[object],
        views: int = 0,
    ) -> None:
        super().__init__(cases, draws, seed)
        self.views = views
        shares: dict[object, float] = {}
        for group, chance in zip(groups, self.chances, strict=True):
            shares[group] = shares.get(group, 0.0) + float(chance)
        chances = [c / shares[g] for g, c in zip(groups, self.chances, strict=True)]
        self.chances = np.array(chances) / sum(chances)

    def __iter__(self) -> Iterator[Draw]:
        """Draws of the current epoch; of fixed views, which of them."""
        random = np.random.default_rng((self.seed, self.epoch, self.views))
        for epoch, index in super().__iter__():
            yield (int(random.integers(self.views)) if self.views else epoch), index

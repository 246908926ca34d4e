"""Fixed views of pictures, and what a frozen body makes of them, computed once."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from groundglass.data.augment import AugmentConfig
from groundglass.data.case import Case
from groundglass.data.slices import Draw
from groundglass.systems.specialized_streams.network import Recognition
from groundglass.systems.specialized_streams.pictures import EnhancedPictures

_MADE_AS = "1"
"""Raised whenever features would come out differently, so that kept ones are not used."""

_SEED = 0
"""Views do not follow the seed of a run, so that all runs share them."""

Features = NDArray[np.float32]
"""What a body makes of the views of a picture, (view, channel)."""


class FixedViews(EnhancedPictures):
    """Pictures of which each has a few views, and no other.

    A draw is (view, index). Views depend on the name of the series alone: not on the run's seed,
    nor on what else is in the table. Items hold ``gray`` until a body was taken; then ``features``
    in its place, (channel,).

    Args:
        cases: Rows of a cohort.
        size_px: (row, column) of the input.
        augment: How views vary; with ``None`` the only view is the picture as it is.
        views: Number of views.
        classes: Index of the class by the cohort's label.
        cache: Folder where features are kept; nowhere if not given.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        size_px: tuple[int, int],
        augment: AugmentConfig | None = None,
        views: int = 1,
        classes: Mapping[str, int] | None = None,
        cache: Path | None = None,
    ) -> None:
        super().__init__(cases, size_px, augment, _SEED, classes)
        self.views = views if augment is not None else 1
        self._cache = cache
        self._features: list[Features] = []

    def drawn_with(self, index: int) -> int:
        """A number of the series by its name."""
        leader = self.cases[super().drawn_with(index)]
        name = f"{leader.patient} {leader.series or leader.case}"
        return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)

    def __getitem__(self, draw: Draw | int) -> dict[str, Tensor]:
        """One view of a picture, or its features."""
        view, index = draw if isinstance(draw, tuple) else (0, draw)
        if not self._features:
            return super().__getitem__((view, index))
        return {
            "features": torch.from_numpy(self._features[index][view]),
            "class": self.class_of(index),
            "case": torch.tensor(index),
        }

    def take_body(self, network: Recognition) -> None:
        """Compute the features of every view, or read those that are kept.

        Args:
            network: Its body must not change any more.
        """
        body = f"{digest_of(network.body)} {network.standardization}"
        maker = f"{_MADE_AS} {body} {self.size_px} {self.views} {self.augment}"
        self._features = list(self._described(network, maker))

    def _described(self, network: Recognition, maker: str) -> Iterator[Features]:
        for index, case in enumerate(self.cases):
            content = hashlib.sha256(f"{maker} {self.drawn_with(index)}".encode())
            content.update(case.image.read_bytes())
            file = self._cache and self._cache / f"{content.hexdigest()[:24]}.npy"
            if file is not None and file.is_file():
                yield np.load(file)
                continue
            shown = [super(FixedViews, self).__getitem__((k, index)) for k in range(self.views)]
            made = _describe(network, torch.stack([view["gray"] for view in shown]))
            if file is not None:
                _keep(made, file)
            yield made


def digest_of(network: nn.Module) -> str:
    """Short hash of a network's weights and statistics."""
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:24]


def _describe(network: Recognition, gray: Tensor) -> Features:
    device = network.output.weight.device
    with torch.inference_mode():
        return np.asarray(network.describe(gray.to(device)).float().cpu().numpy())


def _keep(features: Features, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=file.parent, suffix=".partial", delete=False) as partial:
        np.save(partial, features)  # runs that share the folder write under names of their own
    Path(partial.name).replace(file)

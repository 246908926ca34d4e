"""Volumes of a cohort as inputs of the network, prepared once and kept."""

import hashlib
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from groundglass.data.augment import AugmentConfig
from groundglass.data.cohort import Case
from groundglass.data.slices import Draw, EpochSampler
from groundglass.errors import CohortError
from groundglass.lungs import find_lungs
from groundglass.read import read
from groundglass.scan import CTScan, Note
from groundglass.systems.covid_attention_net.volume import Preparation, PreparedVolume, prepare
from groundglass.systems.covid_attention_net.volume_augment import VolumeAugment
from groundglass.systems.system import lung_finder

_log = logging.getLogger(__name__)

_PREPARED_AS = "1"
"""Raised whenever prepared volumes would come out differently, so that kept ones are not used."""


class VolumeDataset(Dataset[dict[str, torch.Tensor]]):
    """Volumes of a cohort: all their slices as they are or, in training, some of them, augmented.

    Each item holds ``gray`` (slice, row, column) float32 from 0 to 1, ``mask`` likewise uint8,
    ``label``, the number of its class, and ``case``, its index.

    Args:
        cases: Rows of a cohort with a series and a label each.
        classes: Labels in the order of the network's output.
        preparation: How scans are brought to the network.
        cache: Folder where prepared volumes are kept; in memory if not given.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        classes: Sequence[str],
        preparation: Preparation,
        cache: Path | None = None,
    ) -> None:
        self.cases = tuple(cases)
        self.labels = [_class_number(case, classes) for case in self.cases]
        self.preparation = preparation
        self._cache = cache
        self._kept: dict[int, PreparedVolume | Path] = {}
        self._augment: tuple[AugmentConfig, float, int, int] | None = None
        self._fill = False

    def drawing(
        self,
        slices: int,
        augment: AugmentConfig,
        elastic_px: float,
        seed: int,
        *,
        fill: bool = False,
    ) -> "VolumeDataset":
        """The same volumes as training sees them.

        Args:
            slices: Slices drawn from a volume, at most; they stay in order.
            augment: How far a volume is changed.
            elastic_px: How far it is bent.
            seed: Seed of the run.
            fill: Whether a shorter volume gives some slices twice, so that all have as many.
        """
        drawn = VolumeDataset((), (), self.preparation, self._cache)
        drawn.cases, drawn.labels, drawn._kept = self.cases, self.labels, self._kept
        drawn._augment = (augment, elastic_px, slices, seed)
        drawn._fill = fill
        return drawn

    def __len__(self) -> int:
        """Number of volumes."""
        return len(self.cases)

    def __getitem__(self, draw: Draw | int) -> dict[str, torch.Tensor]:
        """One volume; in training it is fixed by run seed, epoch and index."""
        epoch, index = draw if isinstance(draw, tuple) else (0, draw)
        volume = self.volume(index)
        gray = volume.gray.astype(np.float32) / np.float32(255.0)
        mask = volume.mask
        if self._augment is not None:
            augment, elastic_px, slices, seed = self._augment
            random = np.random.default_rng((seed, epoch, index, 1))
            count = slices if self._fill else min(slices, len(gray))
            chosen = np.sort(random.choice(len(gray), count, replace=count > len(gray)))
            changed = VolumeAugment(
                augment, elastic_px, self.preparation.size_px, (seed, epoch, index)
            )
            shown = [changed.slice(volume.gray[k], volume.mask[k]) for k in chosen]
            gray = np.stack([pixels for pixels, _ in shown])
            mask = np.stack([inside for _, inside in shown])
        return {
            "gray": torch.from_numpy(gray),
            "mask": torch.from_numpy(mask),
            "label": torch.tensor(self.labels[index]),
            "case": torch.tensor(index),
        }

    def volume(self, index: int) -> PreparedVolume:
        """A volume as it was prepared."""
        if index not in self._kept:
            self._kept[index] = self._prepared(self.cases[index])
        kept = self._kept[index]
        return kept if isinstance(kept, PreparedVolume) else _load(kept)

    def failed(self) -> list[int]:
        """Indices of volumes whose mask failed; every volume is prepared."""
        return [k for k in range(len(self)) if self.volume(k).mask_failed]

    def _prepared(self, case: Case) -> PreparedVolume | Path:
        if self._cache is None:
            return prepare_case(case, self.preparation)
        file = self._cache / f"{_digest(case, self.preparation)}.npz"
        if not file.is_file():
            _save(prepare_case(case, self.preparation), file)
        return file


def prepare_case(case: Case, preparation: Preparation) -> PreparedVolume:
    """A series of a cohort as the network sees it; doubts about its mask are logged."""
    scan = read(case.image)
    if isinstance(scan, CTScan):
        lungs, _ = find_lungs(scan)
    else:
        lungs = lung_finder(None, "cpu").find_lungs(scan)
    volume = prepare(scan, lungs, preparation)
    for note in volume.notes:
        _log.warning("case '%s': %s", case.case, note.message)
    return volume


class VolumeSampler(EpochSampler):
    """Draws of each epoch, every class as often as any other, fixed by seed and epoch.

    Args:
        dataset: The volumes.
        draws: Draws per epoch.
        seed: Seed of the run.
        rebalance: Whether volumes of rare classes are drawn more often; if not, all are alike.
    """

    def __init__(self, dataset: VolumeDataset, draws: int, seed: int, *, rebalance: bool) -> None:
        super().__init__(dataset.cases, draws, seed)
        self._dataset = dataset
        self._rebalance = rebalance
        self._looked = False

    def __iter__(self) -> Iterator[Draw]:
        """Draws of the current epoch; volumes whose mask failed are left out."""
        if not self._looked:
            self.chances = self._chances_of_all()
            self._looked = True
        yield from super().__iter__()

    def _chances_of_all(self) -> np.ndarray:
        usable = np.ones(len(self._dataset), bool)
        usable[self._dataset.failed()] = False
        labels = np.array(self._dataset.labels)
        counts = Counter(labels[usable].tolist())
        if len(counts) < 2:
            raise CohortError(
                f"found usable volumes of {len(counts)} classes to learn from, expected at least "
                "two; add cases, or set lung_mask=lungs where hulls fail"
            )
        weights = np.array([1 / counts[k] if self._rebalance else 1.0 for k in labels.tolist()])
        weights[~usable] = 0
        return np.asarray(weights / weights.sum())


def _class_number(case: Case, classes: Sequence[str]) -> int:
    if not case.is_series or case.label not in classes:
        found = f"the label '{case.label}'" if case.is_series else "a single picture"
        raise CohortError(
            f"found {found} in case '{case.case}', expected a series labeled one of "
            f"{', '.join(classes)}; set classes, or correct the table"
        )
    return list(classes).index(case.label)


def _digest(case: Case, preparation: Preparation) -> str:
    """What a prepared volume is made of: the content of its files, and how it is prepared."""
    digest = hashlib.sha256(f"{_PREPARED_AS} {preparation}".encode())
    for path in sorted(p for p in case.image.rglob("*") if p.is_file()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:24]


def _save(volume: PreparedVolume, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial.npz")
    np.savez(
        partial,
        gray=volume.gray,
        mask=volume.mask,
        indices=volume.indices,
        slices=volume.slices,
        notes=np.array([(note.name, note.message) for note in volume.notes]).reshape(-1, 2),
    )
    partial.replace(file)


def _load(file: Path) -> PreparedVolume:
    with np.load(file) as stored:
        notes = tuple(Note(str(name), str(message)) for name, message in stored["notes"])
        return PreparedVolume(
            stored["gray"], stored["mask"], stored["indices"], int(stored["slices"]), notes
        )

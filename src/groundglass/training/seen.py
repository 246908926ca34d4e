"""What a run has seen: files that it, or a run that it started from, learned from."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import yaml

from groundglass.data.case import Case, Split
from groundglass.data.cohort import read_table
from groundglass.training.run import Run
from groundglass.weights import sha256_of


@dataclass(frozen=True, slots=True)
class Learned:
    """Checksums of the pictures behind some weights; none where nothing is known.

    Attributes:
        train: Those that a run of the chain learned from.
        val: Those that one was chosen by.
    """

    train: frozenset[str]
    val: frozenset[str]

    @classmethod
    def of(cls, folder: Path) -> Self:
        """What is known of the run in a folder, and of those that it started from.

        Args:
            folder: Folder of a run; what is none has seen nothing that is known.
        """
        seen: dict[Split, set[str]] = {"train": set(), "val": set(), "test": set()}
        passed: set[Path] = set()
        run: Run | None = Run(folder)
        while run is not None and run.cohort.is_file() and run.folder.resolve() not in passed:
            passed.add(run.folder.resolve())
            known = _by_place(run.read_checksums())
            for case in read_table(run.cohort):
                seen[case.split] |= known.get(case.image) or _checksums(case)
            run = _start_of(run)
        return cls(frozenset(seen["train"]), frozenset(seen["val"]))

    def count(
        self, cases: Sequence[Case], split: Split, checksums: Mapping[Path, str] | None = None
    ) -> int | None:
        """How many cases are not as unseen as those of their split should be.

        A case that weights were chosen by is seen for the test alone: the split ``val`` is for
        choosing. Of a series, most files must be the same.

        Args:
            cases: Cases of a split.
            split: The split.
            checksums: Checksums that are known, by file.

        Returns:
            ``None`` where nothing is known of the weights.
        """
        seen = self.train if split == "val" else self.train | self.val
        if not self.train:
            return None
        known = _by_place(checksums or {})
        own = [known.get(case.image) or _checksums(case) for case in cases]
        return sum(2 * len(files & seen) > len(files) for files in own)

    def warnings(
        self,
        cases: Sequence[Case],
        split: Split,
        which: str,
        checksums: Mapping[Path, str] | None = None,
    ) -> list[str]:
        """The count in words; nothing where no case was seen.

        Args:
            cases: Cases of a split.
            split: The split.
            which: What has seen them, in words.
            checksums: Checksums that are known, by file.
        """
        count = self.count(cases, split, checksums)
        return [seen_warning(count, len(cases), split, which)] if count else []


def seen_warning(count: int, cases: int, split: Split, which: str) -> str:
    """What it means that some cases were seen before."""
    return (
        f"{count} of {cases} {split} cases are among those that {which} learned from or was "
        "chosen by: results on them will be too good"
    )


def _start_of(run: Run) -> Run | None:
    if not run.config.is_file():
        return None
    settings = yaml.safe_load(run.config.read_text(encoding="utf-8")) or {}
    start = settings.get("start_weights")
    return Run(Path(start).parent) if start else None


def _by_place(checksums: Mapping[Path, str]) -> Mapping[Path, set[str]]:
    """Checksums of each file, and of all files in each folder."""
    known: dict[Path, set[str]] = defaultdict(set)
    for path, digest in checksums.items():
        for place in (path, *path.parents):
            known[place].add(digest)
    return known


def _checksums(case: Case) -> set[str]:
    """Checksum of the picture of a case, or of every file of a series, as far as they are there."""
    files = case.image.rglob("*") if case.is_series else [case.image]
    return {sha256_of(path) for path in files if path.is_file()}

"""What a run has seen: files that it, or a run that it started from, learned from."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

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
        lost: Name of the first run of the chain whose cases are not known; empty if there is none.
    """

    train: frozenset[str]
    val: frozenset[str]
    lost: str = ""

    @classmethod
    def of(cls, folder: Path) -> Self:
        """What is known of the run in a folder, and of those that it started from.

        Args:
            folder: Folder of a run; what is none has seen nothing that is known.
        """
        seen: dict[Split, set[str]] = {"train": set(), "val": set(), "test": set()}
        passed: set[Path] = set()
        run: Run | None = Run(folder)
        lost = ""
        while run is not None and run.folder.resolve() not in passed:
            passed.add(run.folder.resolve())
            if not run.cohort.is_file():
                lost = run.folder.name
                break
            known = _by_place(run.read_checksums())
            for case in read_table(run.cohort):
                seen[case.split] |= known.get(case.image) or _checksums(case)
            run = run.before()
        return cls(frozenset(seen["train"]), frozenset(seen["val"]), lost)

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
            ``None`` where nothing is known of the weights, or of a run of the chain and no case
            was seen by the others.
        """
        seen = self.train if split == "val" else self.train | self.val
        if not self.train:
            return None
        known = _by_place(checksums or {})
        own = [known.get(case.image) or _checksums(case) for case in cases]
        count = sum(2 * len(files & seen) > len(files) for files in own)
        return None if self.lost and not count else count

    def warnings(
        self,
        cases: Sequence[Case],
        split: Split,
        which: str,
        checksums: Mapping[Path, str] | None = None,
    ) -> list[str]:
        """The count in words, and whether one is lacking; nothing where no case was seen.

        Args:
            cases: Cases of a split.
            split: The split.
            which: What has seen them, in words.
            checksums: Checksums that are known, by file.
        """
        return self.in_words(self.count(cases, split, checksums), len(cases), split, which)

    def in_words(self, count: int | None, cases: int, split: Split, which: str) -> list[str]:
        """What a count means, as :meth:`warnings`.

        Args:
            count: How many cases were seen, as :meth:`count` says.
            cases: How many there are.
            split: Their split.
            which: What has seen them, in words.
        """
        lines = []
        if count:
            lines.append(
                f"{count} of {cases} {split} cases are among those that {which} learned from or "
                "was chosen by: results on them will be too good"
            )
        if self.train and self.lost:
            lines.append(
                f"found no cohort.csv in '{self.lost}', where start weights came from, expected "
                f"the run: whether it has seen {split} cases is not known; put it back where "
                "start_weights in config.yaml says"
            )
        return lines


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

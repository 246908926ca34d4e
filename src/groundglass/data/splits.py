"""Splits by patient, for data that come without."""

from collections.abc import Iterable, Sequence

import numpy as np

from groundglass.data.case import Case, Split


def split_patients(
    patients: Iterable[str], seed: int = 0, val: float = 0.15, test: float = 0.15
) -> dict[str, Split]:
    """A split for each patient, drawn by a seed; the order in which they come does not matter.

    Args:
        patients: Patients; repeated ones count once.
        seed: Seed of the draw.
        val: Share of patients for validation.
        test: Share of patients for the test.
    """
    names = sorted(set(patients))
    shuffled = np.random.default_rng(seed).permutation(names).tolist()
    for_test, for_val = round(test * len(names)), round(val * len(names))
    splits: dict[str, Split] = dict.fromkeys(shuffled, "train")
    splits.update(dict.fromkeys(shuffled[:for_test], "test"))
    splits.update(dict.fromkeys(shuffled[for_test : for_test + for_val], "val"))
    return splits


def some_patients(cases: Sequence[Case], share: float, seed: int) -> tuple[Case, ...]:
    """Cases of a share of the patients, drawn by a seed; at least one patient's.

    Args:
        cases: Cases to choose from; their order is kept.
        share: Share of their patients, above 0 and up to 1.
        seed: Seed of the draw.
    """
    patients = sorted({case.patient for case in cases})
    count = max(1, round(share * len(patients)))
    chosen = set(np.random.default_rng(seed).permutation(patients)[:count].tolist())
    return tuple(case for case in cases if case.patient in chosen)

"""Splits by patient, for data that come without."""

from collections.abc import Iterable

import numpy as np

from groundglass.data.case import Split


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

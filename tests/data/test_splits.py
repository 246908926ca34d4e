from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from groundglass.data.splits import split_patients

NAMES = st.sets(st.text("abc0123", min_size=1, max_size=6), min_size=8, max_size=60)


@given(NAMES, st.integers(0, 9))
def test_every_patient_has_one_split_whatever_their_order(names: set[str], seed: int) -> None:
    splits = split_patients(sorted(names) * 2, seed)
    assert splits.keys() == names
    assert splits == split_patients(sorted(names, reverse=True), seed)
    counts = Counter(splits.values())
    assert counts["test"] == counts["val"] == round(0.15 * len(names))


def test_another_seed_is_another_split() -> None:
    names = [f"p{k}" for k in range(40)]
    assert split_patients(names, 0) != split_patients(names, 1)

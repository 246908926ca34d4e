from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from groundglass.data.case import Case
from groundglass.data.splits import some_patients, split_patients

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


def test_a_share_of_patients_keeps_or_leaves_each_whole() -> None:
    cases = [
        Case(case=f"{k}", patient=f"patient {k % 10}", split="train", image=Path(f"{k}.png"))
        for k in range(30)
    ]
    kept = some_patients(cases, 0.2, seed=0)
    assert Counter(Counter(case.patient for case in kept).values()) == {3: 2}
    assert kept == some_patients(cases, 0.2, seed=0)
    assert {some_patients(cases, 0.2, seed) for seed in range(5)} != {kept}
    assert len({case.patient for case in some_patients(cases, 0.01, seed=0)}) == 1
    assert some_patients(cases, 1.0, seed=0) == tuple(cases)

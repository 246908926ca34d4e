"""What weights have seen is known along the chain of runs that they come from."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from groundglass.data.cohort import Case, Cohort, write_cohort
from groundglass.evaluation.evaluate import configuration_digest, count_seen
from groundglass.training.run import Run
from groundglass.training.seen import Learned
from groundglass.training.train import train
from groundglass.training.watcher import Watcher
from tests.training.tiny import QUICK, SMOKE


def slices(folder: Path, names: str, split: str, first_gray: int = 0) -> list[Case]:
    """A picture for each letter, told apart by its gray."""
    folder.mkdir(exist_ok=True)
    cases = []
    for number, name in enumerate(names):
        image = folder / f"{name}.png"
        cv2.imwrite(str(image), np.full((4, 4), first_gray + number, np.uint8))
        cases.append(
            Case.model_validate({"case": name, "patient": name, "split": split, "image": image})
        )
    return cases


def make_run(folder: Path, cases: Sequence[Case], start: Path | None = None) -> Path:
    folder.mkdir()
    write_cohort(cases, folder / "cohort.csv")
    Run(folder).write_checksums([case.image for case in cases])
    settings = f"start_weights: {start / 'weights.safetensors'}\n" if start else "seed: 0\n"
    (folder / "config.yaml").write_text(settings)
    return folder


def test_what_the_start_of_a_run_learned_counts_under_any_name(tmp_path: Path) -> None:
    learned = slices(tmp_path / "one", "abc", "train") + slices(tmp_path / "one", "d", "val", 9)
    first = make_run(tmp_path / "first", [*learned, *slices(tmp_path / "one", "e", "test", 20)])
    last = make_run(tmp_path / "last", slices(tmp_path / "two", "f", "train", 30), first)
    copies = slices(tmp_path / "three", "vwx", "test", 1)  # b, c, and one that nobody saw
    chosen_by, tested = (
        slices(tmp_path / "three", "y", "test", 9),
        slices(tmp_path, "z", "test", 20),
    )
    seen = Learned.of(last)
    assert seen.count([*copies, *chosen_by, *tested], "test") == 3
    assert seen.count([*copies, *chosen_by, *tested], "val") == 2, "those of val choose again"
    (warning,) = seen.warnings(copies, "test", "'last'")
    assert warning.startswith("2 of 3 test cases are among those that 'last' learned from")
    assert seen.warnings(tested, "test", "'last'") == []


def test_a_start_is_found_wherever_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As runs noted it at first: from the folder that the command was given in."""
    (tmp_path / "runs").mkdir()
    first = make_run(tmp_path / "runs" / "first", slices(tmp_path / "one", "a", "train"))
    own = slices(tmp_path / "one", "b", "train", 1)
    last = make_run(tmp_path / "runs" / "last", own, first.relative_to(tmp_path))
    tested = slices(tmp_path / "two", "xy", "test")
    known = []
    for folder in (tmp_path, tmp_path / "two"):
        monkeypatch.chdir(folder)
        digest = configuration_digest(last / "config.yaml")
        known.append((Learned.of(last).count(tested, "test"), digest))
    assert known[0] == known[1]
    assert known[0][0] == 2


def test_what_a_lost_start_has_seen_is_not_known(tmp_path: Path) -> None:
    own = slices(tmp_path / "one", "a", "train")
    last = make_run(tmp_path / "last", own, tmp_path / "lost")
    unseen, copies = slices(tmp_path / "two", "x", "test", 9), slices(tmp_path / "two", "y", "test")
    told: list[str] = []
    assert count_seen(str(last), unseen, "test", told.append) is None
    assert count_seen(str(last), copies, "test", told.append) == 1, "at least"
    assert "no cohort.csv in 'lost', where start weights came from" in told[0]
    assert told[1].startswith("1 of 1 test cases")
    assert told[2] == told[0]


def test_of_a_series_most_files_must_be_the_same(tmp_path: Path) -> None:
    def series(name: str, files: dict[str, bytes]) -> Case:
        (tmp_path / name).mkdir()
        for file, content in files.items():
            (tmp_path / name / file).write_bytes(content)
        return Case(case=name, patient=name, split="train", image=tmp_path / name)

    learned = series("a", {"1": b"one", "2": b"two", "note": b"shared"})
    same = series("b", {"7": b"one", "8": b"two", "note": b"shared"})
    other = series("c", {"1": b"three", "2": b"four", "note": b"shared"})
    run = tmp_path / "run"
    run.mkdir()
    write_cohort([learned], run / "cohort.csv")  # as before checksums were noted
    assert Learned.of(run).count([same, other], "test") == 1


def test_of_what_is_no_run_nothing_is_known(tmp_path: Path) -> None:
    assert Learned.of(tmp_path / "none").count(slices(tmp_path, "a", "test"), "test") is None


class Listener(Watcher):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)


@pytest.mark.parametrize("leaks", [True, False])
def test_a_training_says_what_its_start_weights_have_seen(
    undisturbed: Run, tmp_path: Path, leaks: bool
) -> None:
    """Patient a was learned from by the first run; here it is to choose by."""
    learned = {"b", "c"} if leaks else {"a", "b"}
    cases = [
        case.model_copy(update={"split": "train" if case.patient in learned else "val"})
        for case in Cohort.read([undisturbed.cohort]).cases
    ]
    write_cohort(cases, tmp_path / "cohort.csv")
    told = Listener()
    train(
        "baseline_unet",
        [tmp_path / "cohort.csv"],
        tmp_path / "run",
        recipe=SMOKE,
        overrides=[*QUICK, "epochs=1", f"start_weights={undisturbed.weights}"],
        watcher=told,
    )
    found = [line for line in told.lines if "start_weights come from" in line]
    expected = ["2 of 2 val cases are among those that the run that start_weights come from"]
    assert [line[: len(expected[0])] for line in found] == expected * leaks

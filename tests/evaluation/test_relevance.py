import csv
from pathlib import Path

import numpy as np
import pytest

from groundglass.classification import Classification
from groundglass.data.phantom import make_phantom
from groundglass.evaluation import relevance
from groundglass.evaluation.relevance import evaluate_relevance
from groundglass.provenance import describe
from groundglass.report import Answer


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> Answer:
    """A phantom whose relevance rises from head to feet."""
    made = make_phantom(2, shape=(6, 64, 80))
    weights = np.arange(6, dtype=np.float32) / 15
    said = Classification("s", "0" * 64, {"well": 0.25, "ill": 0.75}, True, relevance=weights)
    facts = describe(
        made.scan.source, system="s", weights_sha256="0" * 64, lungs_method="given", device="cpu",
        settings={}, seconds={"class": 1.5},
    )  # fmt: skip
    answer = Answer(made.scan, made.lungs, facts, classification=said)
    monkeypatch.setattr(relevance, "classify", lambda *_, **__: answer)
    return answer


def write_labels(folder: Path, infected: list[int]) -> Path:
    table = folder / "labels.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["volume", "diagnosis", "slice_location", "infected"])
        writer.writerows(["one", "ill", -k, value] for k, value in enumerate(infected))
    return table


def test_relevance_is_compared_with_the_reader_slice_by_slice(
    answered: Answer, tmp_path: Path
) -> None:
    """Slice 2 weighs more than two of the four without lesion, slice 5 more than all: 6 of 8."""
    table = write_labels(tmp_path, [0, 0, 1, 0, 0, 1])
    found = evaluate_relevance(Path("one"), table, "s")
    assert found.auc == 6 / 8
    assert (found.slices, found.infected_slices, found.seconds) == (6, 2, 1.5)
    assert found.probabilities == {"well": 0.25, "ill": 0.75}
    areas = np.count_nonzero(answered.lungs.array, axis=(1, 2))
    won = [float(areas[a] > areas[b]) + 0.5 * (areas[a] == areas[b])
           for a in (2, 5) for b in (0, 1, 3, 4)]  # fmt: skip
    assert found.lung_area_auc == pytest.approx(np.mean(won), abs=1e-4)


@pytest.mark.usefixtures("answered")
def test_a_healthy_series_has_no_agreement(tmp_path: Path) -> None:
    found = evaluate_relevance(Path("one"), write_labels(tmp_path, [0] * 6), "s")
    assert found.auc is None
    assert found.lung_area_auc is None

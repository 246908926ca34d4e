"""Whether the coach of a pretraining makes painting harder, and how that is shown."""

from pathlib import Path
from typing import Any

import cv2
import pytest
import torch
from torch import Tensor

from groundglass.data.cohort import Cohort
from groundglass.errors import ConfigError
from groundglass.evaluation import pretraining
from groundglass.evaluation.benchmarks import write_benchmarks
from groundglass.evaluation.pretraining import PretrainingEvaluation, evaluate_pretraining
from groundglass.pretraining.pretrain import load_pretraining
from groundglass.pretraining.rounds import turns_of
from groundglass.training.run import Run
from tests.pretraining.test_pretrain import rows_of, run, table

__all__ = ["run", "table"]


def measure(run: Run, table: Path, **options: Any) -> PretrainingEvaluation:
    return evaluate_pretraining(run.folder, Cohort.read([table]), "val", name="few", **options)


def test_the_log_and_the_end_of_a_pretraining_are_told(
    run: Run, table: Path, tmp_path: Path
) -> None:
    found = measure(run, table, picture=tmp_path / "sub" / "coach.png")
    assert [(turn.round, turn.learner) for turn in found.turns] == [
        (0, "network"),
        (1, "coach"),
        (1, "network"),
    ]
    last = rows_of(run)[-1]
    assert found.judged_by == "val"
    assert found.turns[-1].network_loss == pytest.approx(
        float(last["train/network_loss"]), abs=1e-4
    )
    assert found.turns[-1].coach_loss == pytest.approx(float(last["train/coach_loss"]), abs=1e-4)
    assert found.turns[0].harder is None
    # the slices that judged the last turn are measured again: they give the logged errors
    assert found.errors["random"].value == pytest.approx(float(last["val/random_error"]), abs=1e-4)
    assert found.errors["coach"].value == pytest.approx(float(last["val/coach_error"]), abs=1e-4)
    assert found.harder is not None
    assert found.harder.value == pytest.approx(float(last["val/harder"]), abs=1e-3)
    picture = cv2.imread(str(tmp_path / "sub" / "coach.png"), cv2.IMREAD_GRAYSCALE)
    assert picture.shape[1] > picture.shape[0] > 300
    (tmp_path / "pretraining-a.json").write_text(found.model_dump_json())
    write_benchmarks(tmp_path, tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    lines = [line for line in page.splitlines() if line.startswith("| a |")]
    assert len(lines) == 1 + len(found.turns)
    assert "\n\n| a |" not in page


def test_masks_turned_tell_the_place_from_the_shape(
    run: Run, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that errs four times as much at the top, and a coach that erases the top."""

    def errors(maps: tuple[Tensor, ...], _: object) -> Tensor:
        above = torch.full_like(maps[0], 0.25)
        above[..., : above.shape[-2] // 2, :] = 1
        return above

    def top(self: object, gray: Tensor) -> Tensor:
        mask = torch.ones_like(gray)
        mask[..., : gray.shape[-2] // 4, :] = 0
        return mask

    monkeypatch.setattr(pretraining, "pixel_errors", errors)
    monkeypatch.setattr("groundglass.pretraining.alternation.Alternation.likely_mask", top)
    found = measure(run, table)
    assert found.errors["coach"].value == 1
    assert found.errors["turned"].value == 0.25
    assert 0.25 < found.errors["random"].value < 1
    assert found.place is not None
    assert found.place.value == 4


def test_network_and_coach_are_those_of_the_last_epoch(run: Run) -> None:
    pair = load_pretraining(run)
    kept = torch.load(run.last_checkpoint, weights_only=True)["state"]
    for name, network in (("network", pair.network), ("coach", pair.coach)):
        assert not network.training
        state = network.state_dict()
        assert all(state[key].equal(value) for key, value in kept[name].items())
    assert turns_of(pair.config)[-1].learner == "network"


def test_what_is_no_finished_pretraining_is_refused(table: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no pretraining\.json .* name the folder of one"):
        measure(Run(tmp_path), table)

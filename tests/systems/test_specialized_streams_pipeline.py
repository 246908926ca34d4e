"""The three stages in one go: what their networks say, where, how long, and what is made of it."""

from pathlib import Path

import numpy as np
import pytest

from groundglass.data.phantom import Phantom
from groundglass.evaluation import speed
from groundglass.scan import CTSlices, Source
from groundglass.systems.specialized_streams.join import join_runs
from tests.read.broken_others import gray_slice
from tests.systems.system_tester import phantom
from tests.systems.test_specialized_streams import MANIFESTATIONS, RECOGNITION, untrained_run
from tests.systems.test_specialized_streams_use import SMALL, load

__all__ = ["phantom"]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three untrained stages in one folder."""
    at = tmp_path_factory.mktemp("pipeline")
    runs = [
        untrained_run(at / "classes", *RECOGNITION),
        untrained_run(at / "signs", *MANIFESTATIONS),
        untrained_run(at / "streams", SMALL),
    ]
    join_runs(runs, at / "joined")
    return at / "joined"


def test_what_spoke_for_the_class_of_a_ct_is_shown_on_its_surest_slice(pipeline: Path) -> None:
    pytest.importorskip("captum")
    system = load(pipeline)
    pictures = tuple(gray_slice(number)[:, : 150 - 20 * (number == 5)] for number in (4, 5, 6))
    said = system.classify(CTSlices(("a", "b", "c"), pictures, Source("pictures", "pictures")))
    assert said.class_map is not None
    assert said.by_slice is not None
    surest = said.by_slice[:, list(said.probabilities).index(said.most_likely)].argmax()
    assert said.class_map.slice_index == surest
    assert said.class_map.spoke.shape == pictures[surest].shape
    assert said.class_map.spoke.max() == pytest.approx(1)
    assert said.class_map.spoke.min() >= 0


def test_slices_of_a_volume_without_lung_have_no_class_and_no_map(
    pipeline: Path, phantom: Phantom
) -> None:
    said = load(pipeline).classify(phantom.scan, phantom.lungs)
    assert said.by_slice is not None
    looked_at = np.isfinite(said.by_slice).all(1)
    lung = (phantom.lungs.array > 0).mean((1, 2))
    np.testing.assert_array_equal(looked_at, lung >= 0.02)
    assert not looked_at.all()
    np.testing.assert_allclose(
        said.by_slice[looked_at].mean(0), list(said.probabilities.values()), atol=1e-5
    )
    if said.class_map is not None:
        assert looked_at[said.class_map.slice_index]


@pytest.mark.slow
def test_the_stages_of_a_pipeline_are_timed_apart(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"ROWS": 96, "COLUMNS": 128, "SPACING_MM": (10.0, 4.0, 3.0)}.items():
        monkeypatch.setattr(speed, name, value)
    measured = speed.measure_speed(str(pipeline), slices=30)
    assert measured.system == pipeline.name
    stages = ["reading", "lungs", "lesions", "recognition", "manifestations", "writing"]
    kept = [name for name in measured.seconds if name in stages]
    assert kept == stages
    assert "class" not in measured.seconds
    assert 0.9 * sum(measured.seconds.values()) < measured.total_seconds


def test_each_stage_tells_its_time(pipeline: Path, phantom: Phantom) -> None:
    seconds = load(pipeline).classify(phantom.scan, phantom.lungs).seconds
    assert {"recognition", "manifestations"} <= set(seconds)
    assert all(value > 0 for value in seconds.values())

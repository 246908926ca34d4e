"""Speed of networks slice by slice: what is measured, not how fast it is."""

from pathlib import Path

import pytest
import torch

from groundglass.evaluation import slice_speed
from groundglass.evaluation.benchmarks import write_benchmarks
from groundglass.evaluation.slice_speed import SliceSpeed, _measure, _slices
from groundglass.systems.card import home
from groundglass.systems.covid_ct_mask_net.training import Config, build_network

SIZE = (96, 128)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slice_speed, "_LEAST_ROUNDS", 2)
    monkeypatch.setattr(slice_speed, "_LEAST_SECONDS", 0.0)
    monkeypatch.setattr(slice_speed, "_PHANTOM", (36, 128, 128))


def measured(system: str, *settings: str) -> SliceSpeed:
    return _measure(system, "A network", "smoke.yaml", settings, SIZE, 2, 1)


@pytest.mark.parametrize(
    ("system", "settings"),
    [
        ("baseline_unet", ()),
        ("ss_inf_net", ()),
        ("covid_ct_mask_net", ()),
        ("covid_attention_net", ()),
        (
            "covid_ct_mask_net",
            ("stage=classes", "trained=S", "network.ranked=8", "monitor=val/accuracy"),
        ),
    ],
)
def test_a_network_is_timed_alone_and_in_batches(system: str, settings: tuple[str, ...]) -> None:
    found = measured(system, *settings)
    assert found.ms_per_slice > 0
    assert found.slices_per_second > 0
    assert (found.size_px, found.batch, found.weights_sha256) == (SIZE, 2, "")


def test_a_detector_with_random_weights_finds_as_much_as_it_may() -> None:
    config = Config.load(home("covid_ct_mask_net") / "smoke.yaml", [])
    network = build_network(config).eval()
    with torch.inference_mode():
        found = network(_slices(2, SIZE))
    assert [len(one.scores) for one in found] == [config.network.most_detections] * 2


def test_the_slices_show_lesions_and_are_no_copies_until_there_are_too_few() -> None:
    slices = _slices(5, SIZE)
    assert slices.shape == (5, 1, *SIZE)
    assert 0 <= slices.min() < 0.2
    assert 0.8 < slices.max() <= 1
    assert all(not torch.equal(slices[0], other) for other in slices[1:])
    assert torch.equal(_slices(37, SIZE)[0], _slices(37, SIZE)[36])


def test_the_times_reach_the_page(tmp_path: Path) -> None:
    one = measured("baseline_unet")
    (tmp_path / "slice-speed-baseline_unet.json").write_text(one.model_dump_json())
    write_benchmarks(tmp_path, tmp_path / "page.md")
    assert "| `baseline_unet` | A network | smoke.yaml | random |" in (
        tmp_path / "page.md"
    ).read_text(encoding="utf-8")

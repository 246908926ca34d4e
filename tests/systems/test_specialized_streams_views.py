"""Specialized streams: fixed views of pictures, and a frozen body that looks at each once."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from groundglass.data.augment import AugmentConfig
from groundglass.data.case import Case
from groundglass.data.cohort import write_cohort
from groundglass.errors import ConfigError
from groundglass.systems.card import home
from groundglass.systems.specialized_streams.features import FixedViews
from groundglass.systems.specialized_streams.network import Recognition
from groundglass.systems.specialized_streams.pictures import EqualSampler
from groundglass.systems.specialized_streams.training import Config, Module
from groundglass.training.train import train
from tests.read.broken_others import gray_slice

SMOKE = home("specialized_streams") / "smoke.yaml"
RECOGNITION = (
    *("stage=recognition", "classes={sick: [s], well: [w]}", "modalities=ct"),
    *("size_px=[32, 32]", "views=3"),
)


def four_cases(folder: Path, *splits: str) -> list[Case]:
    """Two slices of one series of the sick, and two single ones of the well."""
    rows = (("a", "p", "s1", "s"), ("b", "p", "s1", "s"), ("c", "q", "", "w"), ("d", "r", "", "w"))
    cases = []
    for k, (case, patient, series, label) in enumerate(rows):
        file = folder / f"{case}.png"
        cv2.imwrite(str(file), gray_slice(0 if series else k))
        cases.append(
            Case(
                case=case,
                patient=patient,
                series=series,
                split=splits[k] if splits else "train",
                image=file,
                label=label,
            )
        )
    return cases


def frozen_network(seed: int = 0) -> Recognition:
    torch.manual_seed(seed)
    return Recognition("mobilenet_v2", 2, frozen=True)


def test_views_of_a_picture_do_not_depend_on_the_table(tmp_path: Path) -> None:
    cases = four_cases(tmp_path)
    whole = FixedViews(cases, (32, 32), AugmentConfig(), 2)
    alone = FixedViews(cases[2:3], (32, 32), AugmentConfig(), 2)
    for view in range(2):
        assert torch.equal(whole[(view, 2)]["gray"], alone[(view, 0)]["gray"])
    assert not torch.equal(whole[(0, 2)]["gray"], whole[(1, 2)]["gray"])
    assert torch.equal(whole[(1, 0)]["gray"], whole[(1, 1)]["gray"])  # of one series


def test_features_are_what_the_body_makes_of_the_view(tmp_path: Path) -> None:
    network = frozen_network()
    views = FixedViews(four_cases(tmp_path), (32, 32), AugmentConfig(), 2, {"s": 0})
    gray = views[(1, 2)]["gray"]
    views.take_body(network)
    item = views[(1, 2)]
    assert set(item) == {"features", "class", "case"}
    with torch.no_grad():
        torch.testing.assert_close(network.output(item["features"]), network(gray[None])[0])


def test_what_one_body_made_of_a_picture_is_kept_for_it_alone(tmp_path: Path) -> None:
    def features(seed: int, size: int = 32) -> torch.Tensor:
        views = FixedViews(cases, (size, size), AugmentConfig(), 2, cache=tmp_path / "kept")
        views.take_body(frozen_network(seed))
        return views[(1, 2)]["features"]

    cases = four_cases(tmp_path)
    first = features(0)
    kept = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "kept").iterdir()}
    assert len(kept) == 3  # the two of one series are the same picture
    assert torch.equal(features(0), first)
    assert {f.name: f.stat().st_mtime_ns for f in (tmp_path / "kept").iterdir()} == kept
    assert not torch.equal(features(1), first)
    assert not torch.equal(features(0, 64), first)


def test_draws_are_of_the_views_that_there_are(tmp_path: Path) -> None:
    sampler = EqualSampler(four_cases(tmp_path), 300, 0, ["x"] * 4, views=3)
    drawn = [view for view, _ in sampler]
    assert np.bincount(drawn, minlength=3).min() > 70
    assert drawn == [view for view, _ in sampler]
    sampler.set_epoch(1)
    assert [view for view, _ in sampler] != drawn


def test_views_of_a_body_that_learns_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"expected a frozen one.*set views=0"):
        Config.load(SMOKE, [*RECOGNITION, "frozen=false"])
    with pytest.raises(ConfigError, match="set views=0"):
        Config.load(SMOKE, ["views=3"])


def test_a_run_leaves_the_body_as_it_was_and_is_the_same_from_the_cache(tmp_path: Path) -> None:
    """Batch statistics among it: a body in training mode would forget what it was trained on."""
    write_cohort(four_cases(tmp_path, "train", "train", "train", "val"), tmp_path / "cohort.csv")
    weights = tmp_path / "body.safetensors"
    settings = [*RECOGNITION, f"cache={tmp_path / 'kept'}", "monitor=val/accuracy"]
    torch.manual_seed(7)
    body = Module.start(Config.load(SMOKE, settings), []).network.recognition.body  # type: ignore[union-attr]
    save_file(body.state_dict(), weights)
    runs = [
        train(
            "specialized_streams",
            [tmp_path / "cohort.csv"],
            tmp_path / name,
            recipe=SMOKE,
            overrides=[*settings, f"encoder_weights={weights}"],
        )
        for name in ("cold", "warm")
    ]
    cold, warm = (load_file(run.weights) for run in runs)
    assert all(torch.equal(cold[name], warm[name]) for name in cold)
    for name, value in body.state_dict().items():  # kept in half precision
        found = cold[f"recognition.body.{name}"].to(value.dtype)
        torch.testing.assert_close(found, value, rtol=2e-3, atol=1e-6, msg=name)


def test_fixed_views_are_looked_at_in_the_process_that_keeps_what_was_made_of_them(
    tmp_path: Path,
) -> None:
    cases = four_cases(tmp_path)
    for views, workers in (("3", 0), ("0", 2)):
        config = Config.load(SMOKE, [*RECOGNITION, f"views={views}", "workers=2"])
        assert Module.train_data(config, cases).num_workers == workers

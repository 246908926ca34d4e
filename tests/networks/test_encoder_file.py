"""Start weights from a file of a whole network; the files are made here, nothing is downloaded."""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from groundglass.cli import app
from groundglass.errors import ConfigError, WeightsError
from groundglass.networks.encoder import build_encoder, start_encoder
from groundglass.networks.encoder_file import encoder_weights_of

NAME = "test_efficientnet"  # timm's own for tests: a third of a million parameters
ENCODER = f"tu-{NAME}"

State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    torch.manual_seed(1)
    return timm.create_model(NAME).eval()


def renamed(state: State) -> State:
    return {f"module{number}": value for number, value in enumerate(state.values())}


def saved(state: object, at: Path) -> Path:
    torch.save(state, at / "whole.pth")
    return at / "whole.pth"


@pytest.mark.parametrize("named", [dict, renamed])
def test_an_encoder_starts_as_the_part_of_a_whole_network(
    network: torch.nn.Module, tmp_path: Path, named: type[dict[str, torch.Tensor]]
) -> None:
    file, out = saved(named(network.state_dict()), tmp_path), tmp_path / "new" / "start.safetensors"
    arguments = ["encoder-weights", str(file), "--encoder", ENCODER, "--out", str(out)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    encoder = build_encoder(ENCODER).eval()
    start_encoder(encoder, ENCODER, str(out))
    shown = torch.rand(1, 3, 64, 64)
    expected = timm.create_model(NAME, features_only=True).eval()
    expected.load_state_dict(network.state_dict(), strict=False)
    with torch.inference_mode():
        for found, wanted in zip(encoder(shown)[1:], expected(shown), strict=True):
            torch.testing.assert_close(found, wanted)
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 1
    assert "expected a new file" in again.stderr
    assert load_file(out).keys() == encoder.state_dict().keys()


def test_start_weights_that_are_cut_off_are_not_left(
    network: torch.nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError("no space left on device")

    file, out = saved(network.state_dict(), tmp_path), tmp_path / "start.safetensors"
    monkeypatch.setattr("groundglass.training.run.os.fsync", full)
    arguments = ["encoder-weights", str(file), "--encoder", ENCODER, "--out", str(out)]
    assert CliRunner().invoke(app, arguments).exit_code != 0
    assert not out.exists()


def shuffled(state: State) -> State:
    """Mean and variance of each normalization in each other's place: shapes tell nothing."""
    swap = {"running_mean": "running_var", "running_var": "running_mean"}
    values = {
        name: state[f"{at}{dot}{swap.get(last, last)}"] - 0.5 * (last == "running_var")
        for name in state
        for at, dot, last in [name.rpartition(".")]
    }
    return renamed(values)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda state: renamed(dict(list(state.items())[:-1])), "tensors in 'whole.pth', expected"),
        (lambda state: renamed(dict(reversed(state.items()))), "where the network has"),
        (shuffled, "negative variance"),
        (lambda state: {"state_dict": state}, "save the state dict"),
        (lambda _: [np.float64(1)], "holds more than tensors|with other things"),
    ],
)
def test_a_file_of_something_else_is_refused(
    network: torch.nn.Module, tmp_path: Path, spoil: object, words: str
) -> None:
    file = saved(spoil(network.state_dict()), tmp_path)  # type: ignore[operator]
    with pytest.raises(WeightsError, match=words):
        encoder_weights_of(file, ENCODER)


def test_a_file_that_runs_code_is_not_opened(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "ran",)  # type: ignore[return-value]

    file = saved(Evil(), tmp_path)
    with pytest.raises(WeightsError, match="more than tensors"):
        encoder_weights_of(file, ENCODER)
    assert not (tmp_path / "ran").exists()


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no file 'x\.pth'"):
        encoder_weights_of(tmp_path / "x.pth", ENCODER)
    with pytest.raises(ConfigError, match="expected one of timm"):
        encoder_weights_of(tmp_path / "x.pth", "resnet50")

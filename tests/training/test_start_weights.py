import json
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from groundglass.errors import WeightsError
from groundglass.training import fit
from groundglass.training.config import RunConfig
from groundglass.training.run import Run
from groundglass.training.start_weights import StartWeights, take_start_weights
from groundglass.training.watcher import Watcher


def network(outputs: int = 2) -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Conv2d(3, outputs, 1))


def stored(network: nn.Module, path: Path, **more: torch.Tensor) -> Path:
    save_file(
        {k: v.half() if v.is_floating_point() else v for k, v in network.state_dict().items()}
        | more,
        path,
    )
    return path


def test_what_fits_is_taken_and_the_rest_is_said(tmp_path: Path) -> None:
    given, own = network(outputs=5), network(outputs=2)
    last = own[2].weight.clone()
    path = stored(given, tmp_path / "w.safetensors", extra=torch.zeros(1))
    taken = take_start_weights(own, path)
    assert torch.equal(own[0].weight, given[0].weight.half().float())
    assert torch.equal(own[2].weight, last)
    assert "0.weight" in taken.taken
    assert "1.running_var" in taken.taken
    assert taken.other_shape == ["2.weight", "2.bias"]
    assert taken.only_in_file == ["extra"]
    assert taken.only_in_network == []
    taken.write(tmp_path / "start_weights.json")
    assert json.loads((tmp_path / "start_weights.json").read_text())["file"] == "w.safetensors"


def test_a_file_of_which_nothing_fits_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"encoder.weight": torch.zeros(3)}, path)
    with pytest.raises(WeightsError, match=r"no parameter .* 'encoder\.weight'"):
        take_start_weights(network(), path)


def test_counts_of_batches_alone_are_not_weights(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"1.num_batches_tracked": torch.tensor(7)}, path)
    with pytest.raises(WeightsError, match="no parameter"):
        take_start_weights(network(), path)


def test_a_file_that_is_no_safetensors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"not weights at all")
    with pytest.raises(WeightsError, match="unreadable"):
        take_start_weights(network(), tmp_path / "w.safetensors")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"found no weights 'none\.safetensors'"):
        take_start_weights(network(), tmp_path / "none.safetensors")


@pytest.mark.parametrize("first", [True, False])
def test_of_processes_that_train_together_one_says_what_was_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    trainer = SimpleNamespace(is_global_zero=first, fit=lambda *_, **__: None)
    monkeypatch.setattr(fit, "_trainer", lambda *_: trainer)
    taken = StartWeights("w.safetensors", "0" * 64, ["a"], [], [], [])
    config = RunConfig(system="some", devices="cpu")
    fit.fit(Run(tmp_path), config, fit.Prepared(Mock(), Mock(), None, taken), Watcher())
    assert Run(tmp_path).start_weights.is_file() == first

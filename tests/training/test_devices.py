from unittest.mock import Mock

import pytest
import torch

from groundglass.errors import ConfigError
from groundglass.training import devices
from groundglass.training.devices import Devices, cpu_name, usable_cores


def with_gpus(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: number > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: number)


def with_cpu_flags(monkeypatch: pytest.MonkeyPatch, flags: str) -> None:
    monkeypatch.setattr(devices, "_cpu_fact", lambda name: flags if name == "flags" else "")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("auto", Devices("cuda", (0,))),
        ("cpu", Devices("cpu", (0,))),
        ("cpu:2", Devices("cpu", (0, 1))),
        ("cuda", Devices("cuda", (0,))),
        ("cuda:1", Devices("cuda", (1,))),
        ("cuda:0,1", Devices("cuda", (0, 1))),
    ],
)
def test_devices_are_found_by_name(
    name: str, expected: Devices, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_gpus(monkeypatch, 2)
    assert Devices.find(name) == expected


def test_without_a_gpu_the_cpu_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpus(monkeypatch, 0)
    assert Devices.find("auto") == Devices("cpu", (0,))


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cpu:0", "cpu:0,1", "cuda:x", ""])
def test_a_name_that_means_nothing_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="expected auto, cpu"):
        Devices.find(name)


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpus(monkeypatch, 1)
    with pytest.raises(ConfigError, match="found 1 usable GPUs, expected 'cuda:0,1'"):
        Devices.find("cuda:0,1")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx2", "32-true"),
        ("fpu avx512f avx512_bf16", "bf16-mixed"),
        ("amx_tile amx_bf16", "bf16-mixed"),
    ],
)
def test_bfloat16_is_taken_where_the_cpu_has_it(
    flags: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_cpu_flags(monkeypatch, flags)
    assert Devices.find("cpu").precision("auto") == expected
    assert Devices.find("cpu").precision("32-true") == "32-true"


def test_bfloat16_is_taken_where_the_gpu_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpus(monkeypatch, 1)
    for has_it, expected in ((True, "bf16-mixed"), (False, "32-true")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", Mock(return_value=has_it))
        assert Devices.find("cuda").precision("auto") == expected


def test_the_machine_has_a_name_and_cores() -> None:
    assert cpu_name()
    assert usable_cores() >= 1

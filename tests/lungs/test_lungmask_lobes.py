"""lungmask, stood in for by a module that knows the answer: it is not installed for tests."""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import numpy as np
import pytest
import torch

from groundglass.data.phantom import make_phantom
from groundglass.errors import MissingExtraError, UnreadableScanError, WeightsError
from groundglass.labels import Lobe
from groundglass.lungs.lobe_conventions import CONVENTIONS
from groundglass.lungs.lobes import check_lobes, outside_lobes
from groundglass.lungs.lungmask_lobes import WEIGHTS_VARIABLE

PHANTOM = make_phantom(2, shape=(40, 48, 64), lesions=())


def lungmask_numbers():
    numbers = np.zeros(256, np.uint8)
    for number, lobe in CONVENTIONS["lungmask LTRCLobes"].items():
        numbers[int(lobe)] = number
    return numbers[PHANTOM.lobes.array]


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """A stand-in for lungmask; what it was asked for."""
    asked = {}

    class LMInferer:
        def __init__(self, **options):
            asked.update(options)

        def apply(self, image):
            asked["image"] = image
            if asked["modelpath"] and "damaged" in asked["modelpath"]:
                raise RuntimeError("unexpected keys in state_dict")
            return lungmask_numbers()

    module = ModuleType("lungmask")
    module.LMInferer = LMInferer
    module.__spec__ = ModuleSpec("lungmask", None)
    monkeypatch.setitem(sys.modules, "lungmask", module)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.delenv(WEIGHTS_VARIABLE, raising=False)
    return asked


def test_lungmask_is_asked_for_lobes_with_weights_by_path(asked, monkeypatch, tmp_path):
    weights = tmp_path / "ltrc.pth"
    weights.touch()
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(weights))
    check_lobes("lungmask")
    given = outside_lobes("lungmask", PHANTOM.scan, PHANTOM.lungs)
    np.testing.assert_array_equal(given.lobes.array, PHANTOM.lobes.array)
    assert given.lobes.labels is Lobe
    assert given.source == "by lungmask LTRCLobes"
    assert asked["modelname"] == "LTRCLobes"
    assert asked["modelpath"] == str(weights)
    assert asked["force_cpu"]
    assert asked["image"].shape == PHANTOM.scan.slices.shape


def test_weights_that_lungmask_fetched_before_are_used(asked, tmp_path):
    stored = tmp_path / "hub" / "checkpoints" / "unet_ltrclobes-3a07043d.pth"
    stored.parent.mkdir(parents=True)
    stored.touch()
    outside_lobes("lungmask", PHANTOM.scan, PHANTOM.lungs, device="cuda")
    assert asked["modelpath"] == str(stored)
    assert not asked["force_cpu"]


def test_nothing_is_fetched_unless_asked_for(asked):
    with pytest.raises(WeightsError, match=f"{WEIGHTS_VARIABLE}=download"):
        check_lobes("lungmask")
    with pytest.raises(WeightsError, match="no weights"):
        outside_lobes("lungmask", PHANTOM.scan, PHANTOM.lungs)
    assert asked == {}


def test_weights_are_fetched_where_asked_for(asked, monkeypatch):
    monkeypatch.setenv(WEIGHTS_VARIABLE, "download")
    outside_lobes("lungmask", PHANTOM.scan, PHANTOM.lungs)
    assert asked["modelpath"] is None


def test_a_wrong_path_of_the_weights_is_refused(asked, monkeypatch, tmp_path):
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path / "missing.pth"))
    with pytest.raises(WeightsError, match=r"missing\.pth"):
        check_lobes("lungmask")


def test_a_failure_of_lungmask_is_one_line(asked, monkeypatch, tmp_path):
    weights = tmp_path / "damaged.pth"
    weights.touch()
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(weights))
    with pytest.raises(WeightsError, match="unexpected keys in state_dict"):
        outside_lobes("lungmask", PHANTOM.scan, PHANTOM.lungs)


def test_without_lungmask_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "lungmask", None)
    with pytest.raises(MissingExtraError, match="lungmask"):
        check_lobes("lungmask")


def test_a_path_that_does_not_exist_is_refused_before_the_work(tmp_path):
    with pytest.raises(UnreadableScanError, match="expected a mask of lobes"):
        check_lobes(tmp_path / "lobes.nii.gz")

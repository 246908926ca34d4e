import pytest

from groundglass import extras
from groundglass.errors import MissingExtraError


def test_a_missing_package_names_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(extras.EXTRAS, "train", ("lightning", "no_such_package"))
    with pytest.raises(MissingExtraError, match=r"no_such_package.*groundglass\[train\]"):
        extras.need("train")


def test_what_is_installed_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(extras.EXTRAS, "train", ("numpy",))
    extras.need("train")

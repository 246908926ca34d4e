"""Every broken input is refused in one line that says what was found and what to do."""

import pytest

from groundglass.errors import GroundglassError
from groundglass.read import TOLERABLE, read
from tests.read.broken_dicom import BROKEN_DICOM
from tests.read.broken_others import BROKEN_OTHERS
from tests.read.broken_volumes import BROKEN_VOLUMES

BROKEN = {**BROKEN_OTHERS, **BROKEN_VOLUMES, **BROKEN_DICOM}


@pytest.mark.parametrize(("build", "words"), BROKEN.values(), ids=BROKEN)
def test_a_broken_input_is_refused_in_one_line(build, words, tmp_path, capfd) -> None:
    path = build(tmp_path / "input")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(GroundglassError) as caught:
        read(path)
    message = str(caught.value)
    assert not [word for word in words if word not in message], message
    assert message.startswith("found ")
    assert ", expected " in message
    assert "; " in message.split(", expected ")[1]
    assert "\n" not in message
    assert len(message) < 600
    assert "Phantom^Synthetic" not in message
    assert sorted(tmp_path.rglob("*")) == before
    assert capfd.readouterr().out == ""


def test_at_least_forty_inputs_are_broken() -> None:
    assert len(BROKEN) >= 40


def test_every_tolerance_is_offered_by_an_error() -> None:
    offered = {
        word.split()[-1]
        for _, words in BROKEN.values()
        for word in words
        if word.startswith("--tolerate")
    }
    elsewhere = {"body-part", "ct-slice"}  # where a radiograph is wanted
    assert offered | elsewhere == set(TOLERABLE)

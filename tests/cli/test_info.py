import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from groundglass.cli import app, doctor
from groundglass.cli.doctor import Check, examine
from groundglass.severity import SCORES
from groundglass.systems import SYSTEMS, list_systems
from groundglass.version import __version__
from groundglass.write import FORMATS


def run(*args):
    return CliRunner().invoke(app, list(args))


def test_systems_are_listed():
    listed = json.loads(run("systems", "--json").stdout)
    assert [card["name"] for card in listed] == list(SYSTEMS)


def test_scores_are_listed_with_their_definitions():
    listed = json.loads(run("scores", "--json").stdout)
    assert [score["name"] for score in listed] == list(SCORES)
    assert all(score["definition"] and score["unit"] for score in listed)
    assert not any("value" in score for score in listed)


def test_formats_are_listed():
    listed = json.loads(run("formats", "--json").stdout)
    assert set(listed) == {"read", "tolerate", "write"}
    assert set(listed["write"]) == set(FORMATS)
    assert all(meaning for meanings in listed.values() for meaning in meanings.values())


@pytest.mark.parametrize("command", ["systems", "scores", "formats"])
def test_people_get_a_table_and_programs_nothing_unless_they_ask(command):
    result = run(command)
    assert result.exit_code == 0
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) > 3


@pytest.mark.parametrize("command", ["systems", "scores"])
def test_torch_is_not_loaded_to_tell_what_there_is(command):
    code = (
        "import sys; from typer.testing import CliRunner; from groundglass.cli import app;"
        f"r = CliRunner().invoke(app, ['{command}', '--json']); assert r.exit_code == 0, r.output;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_version_is_told():
    assert run("--version").stdout == f"{__version__}\n"


def test_the_doctor_looks_at_packages_decoders_weights_device_and_memory():
    found = {check.name: check for check in examine()}
    for name in ("python", "numpy", "torch", "DICOM JPEG lossless", "DICOM JPEG-LS", "device"):
        assert found[name].ok
    assert {f"weights of {name}" for name in SYSTEMS} <= set(found)
    assert "cores" in found["memory"].found


def test_a_system_that_ships_no_weights_lacks_none(monkeypatch):
    cards = [card.model_copy(update={"weights": None}) for card in list_systems()[:1]]
    monkeypatch.setattr("groundglass.systems.list_systems", lambda: cards)
    (check,) = doctor._weights()
    assert check.ok
    assert check.found == "none shipped; train the system with groundglass train"


def test_the_doctor_exits_1_when_something_is_missing(monkeypatch):
    monkeypatch.setattr(doctor, "examine", lambda: [Check("leech", False, "none; catch one")])
    result = run("doctor")
    assert result.exit_code == 1
    assert result.stderr == "missing  leech: none; catch one\n"
    listed = run("doctor", "--json")
    assert listed.exit_code == 1
    assert json.loads(listed.stdout) == [{"name": "leech", "ok": False, "found": "none; catch one"}]


def test_the_doctor_exits_0_when_all_is_there(monkeypatch):
    monkeypatch.setattr(doctor, "examine", lambda: [Check("leech", True, "one")])
    assert run("doctor").exit_code == 0


def test_a_package_that_is_too_old_is_found(monkeypatch):
    monkeypatch.setattr(doctor, "requires", lambda _: ["numpy>=999", "lightning; extra == 'train'"])
    (check,) = doctor._packages()
    assert not check.ok
    assert ">=999" in check.found


def test_a_package_that_is_not_installed_is_found(monkeypatch):
    monkeypatch.setattr(doctor, "requires", lambda _: ["no-such-package-anywhere"])
    (check,) = doctor._packages()
    assert not check.ok
    assert "not installed" in check.found

import io
import logging
import subprocess
import sys
import warnings

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from groundglass.cli import console
from groundglass.cli.console import CommandGroup, progress_bar, quiet
from groundglass.errors import GeometryError, GroundglassError


def command_line(work):
    """A command line whose only real command does the work."""
    app = typer.Typer(cls=CommandGroup, pretty_exceptions_enable=False)

    @app.callback()
    def options(debug: bool = False) -> None:
        pass

    app.command("work")(work)
    app.command("rest")(lambda: None)
    return app


def run(work, *args):
    return CliRunner().invoke(command_line(work), args or ["work"])


def raises(error):
    def work() -> None:
        raise error

    return work


def test_a_refusal_is_one_line_on_stderr_and_exit_1():
    result = run(raises(GeometryError("found a gap,\n  expected none; use --tolerate gap [1 2]")))
    assert result.exit_code == 1
    assert result.stderr == "found a gap, expected none; use --tolerate gap [1 2]\n"
    assert result.stdout == ""


def test_a_long_line_is_not_broken():
    result = run(raises(GroundglassError("found " + "many words " * 60)))
    assert result.stderr.count("\n") == 1


def test_an_unexpected_error_says_that_it_is_a_bug_and_how_to_see_more():
    result = run(raises(ZeroDivisionError("division by zero")))
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "bug" in result.stderr
    assert "ZeroDivisionError: division by zero" in result.stderr
    assert "--debug" in result.stderr


def test_too_little_memory_is_not_called_a_bug():
    result = run(raises(MemoryError()))
    assert result.exit_code == 1
    assert result.stderr.startswith("not enough memory")


@pytest.mark.parametrize("args", [["--debug", "work"], ["work", "--debug"]])
def test_debug_shows_the_traceback_wherever_it_stands(args):
    result = run(raises(GeometryError("found a gap")), *args)
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert result.stderr.endswith("found a gap\n")


def test_debug_after_two_dashes_is_an_argument():
    seen = []

    def work(name: str) -> None:
        seen.append(name)

    assert run(work, "work", "--", "--debug").exit_code == 0
    assert seen == ["--debug"]


def test_ctrl_c_is_exit_130():
    result = run(raises(KeyboardInterrupt()))
    assert result.exit_code == 130
    assert result.stderr == "stopped\n"


def test_wrong_usage_is_exit_2():
    assert run(raises(GroundglassError("no")), "work", "--no-such-option").exit_code == 2
    assert run(raises(GroundglassError("no")), "play").exit_code == 2
    assert run(raises(typer.BadParameter("not this"))).exit_code == 2


def test_a_planned_exit_keeps_its_code():
    assert run(raises(typer.Exit(3))).exit_code == 3


def test_no_progress_is_shown_where_stderr_is_no_terminal(monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", out)
    with progress_bar() as show:
        show("reading", 0.5)
    assert out.getvalue() == ""


def test_progress_is_shown_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    out = Terminal()
    monkeypatch.setattr(sys, "stderr", out)
    monkeypatch.setattr(console, "stderr", lambda: Console(file=out, force_terminal=True))
    with progress_bar() as show:
        show("reading", 0.5)
        show("reading", 1.0)
        show("lesions", 0.25)
    assert all(word in out.getvalue() for word in ("reading", "100%", "lesions", "25%"))


def test_third_party_warnings_are_hidden_and_ours_are_not():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        quiet(debug=False)
        warnings.warn_explicit("odd UID", UserWarning, "x.py", 1, module="pydicom.valuerep")
        warnings.warn_explicit("mine", UserWarning, "y.py", 1, module="groundglass.read")
        warnings.warn_explicit("other", UserWarning, "z.py", 1, module="pydicomatic")
    assert [str(w.message) for w in seen] == ["mine", "other"]


def test_debug_shows_third_party_warnings(monkeypatch):
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        quiet(debug=True)
        warnings.warn_explicit("odd UID", UserWarning, "x.py", 1, module="pydicom.valuerep")
    assert len(seen) == 1


def test_what_other_packages_log_stays_off_the_screen():
    code = (
        "import logging; from groundglass.cli.console import quiet; quiet(debug=False);"
        "logging.getLogger('pydicom').warning('chatter')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stderr == b""

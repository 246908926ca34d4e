"""People read stderr, programs read stdout, and errors become exit codes."""

import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from groundglass.errors import GroundglassError, WithheldError

if TYPE_CHECKING:  # rich takes a third of the time of `--help`, which does not need it
    from rich.console import Console

NOISY_PACKAGES = "pydicom|pylibjpeg|openjpeg|highdicom|nibabel|torch|torchvision|timm|lightning"
"""Packages whose warnings on odd files and old calls say nothing that a report does not say."""

EXIT_STOPPED = 130
EXIT_WITHHELD = 3


class CommandGroup(TyperGroup):
    """The commands: ``--debug`` counts wherever it stands, and no error shows a traceback."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the options before the command, to which a ``--debug`` after it is moved."""
        before_end = args[: args.index("--")] if "--" in args else args
        if "--debug" in before_end:
            args.remove("--debug")
            args.insert(0, "--debug")
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command and turn what it raises into an exit code."""
        with exit_codes(debug=bool(ctx.params["debug"])):
            return super().invoke(ctx)


@contextmanager
def exit_codes(*, debug: bool) -> Iterator[None]:
    """Turn what a command raises into one line on stderr and an exit code.

    1 for what groundglass refuses and for bugs, 3 where quality control withheld the scores, 130
    for Ctrl-C; wrong usage stays with typer, which ends with 2.

    Args:
        debug: Whether the traceback is shown before the line.
    """
    try:
        yield
    except KeyboardInterrupt:
        say("stopped", "red")
        raise typer.Exit(EXIT_STOPPED) from None
    except (typer.Abort, BrokenPipeError):
        raise
    except Exception as error:
        if hasattr(error, "exit_code"):  # typer's own: wrong usage and planned exits
            raise
        if debug:
            stderr().print_exception()
        say(one_line(error), "red")
        withheld = isinstance(error, WithheldError)
        raise typer.Exit(EXIT_WITHHELD if withheld else 1) from None


def one_line(error: Exception) -> str:
    """The message of an error on one line; for an unexpected one, that it is a bug."""
    message = " ".join(str(error).split())
    if isinstance(error, GroundglassError):
        return message
    if isinstance(error, MemoryError):
        return "not enough memory for this scan; close other programs or use a larger machine"
    return (
        f"this is a bug in groundglass ({type(error).__name__}: {message}); "
        "run the command again with --debug and report what it shows"
    )


@cache
def stderr() -> "Console":
    """The console that people read."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def say(line: str, style: str = "") -> None:
    """Print one line for people, whatever characters it holds and however long it is."""
    from rich.text import Text

    stderr().print(Text(line, style), soft_wrap=True)


def say_json(text: str) -> None:
    """Print a JSON text for programs."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@contextmanager
def progress_bar() -> Iterator[Callable[[str, float], None]]:
    """A bar for each stage while the work goes on; nothing where stderr is no terminal.

    Yields:
        Function that takes the name of the running stage and its finished fraction, 0 to 1.
    """
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn()
    with Progress(
        *columns,
        TimeElapsedColumn(),
        console=stderr(),
        transient=True,
        disable=not sys.stderr.isatty(),
    ) as bar:
        tasks: dict[str, Any] = {}

        def show(stage: str, fraction: float) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=1.0)
            bar.update(tasks[stage], completed=fraction)

        yield show


def quiet(*, debug: bool) -> None:
    """Keep the chatter of other packages off the screen; with ``debug`` show it all."""
    if debug:
        from rich.logging import RichHandler

        logging.basicConfig(
            level=logging.INFO, format="%(message)s", handlers=[RichHandler(console=stderr())]
        )
        return
    logging.getLogger().addHandler(logging.NullHandler())  # else Python prints what nobody handles
    warnings.filterwarnings("ignore", module=rf"({NOISY_PACKAGES})(\.|$)")


def quiet_native_libraries() -> None:
    """Keep what C++ libraries print by themselves off the screen."""
    import gdcm
    import SimpleITK

    switch: Any = SimpleITK.ProcessObject
    switch.SetGlobalWarningDisplay(False)
    gdcm.Trace.WarningOff()
    gdcm.Trace.ErrorOff()
    gdcm.Trace.DebugOff()

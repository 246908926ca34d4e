"""What holds for the repository as a whole."""

import ast
import re
import shlex
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from typer.main import get_command

import groundglass
from groundglass.cli import app
from groundglass.systems import SYSTEMS, list_systems

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "groundglass"
SOURCE_FILES = sorted(SOURCE.rglob("*.py"))
FILES = sorted([*SOURCE_FILES, *(ROOT / "tests").rglob("*.py")])
TEXTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "misc", "common", "tools", "base"}

PUBLIC_NAMES = [
    "CTScan",
    "CTSlices",
    "Findings",
    "GroundglassError",
    "Lesion",
    "Lung",
    "Mask",
    "Report",
    "Score",
    "__version__",
    "analyze",
    "list_systems",
    "load_system",
    "read",
    "write",
]


def from_root(path):
    return str(path.relative_to(ROOT))


def blocks(text, language):
    """Contents of the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def shell_lines():
    """Every command in the bash blocks of the documentation, as words."""
    for path in TEXTS:
        for block in blocks(path.read_text(), "bash"):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words:
                    yield from_root(path), words


SHELL_LINES = list(shell_lines())


def tracked_files():
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
        )
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("not a clone, so nothing is tracked")
    return [ROOT / name for name in listed.stdout.split("\0") if name]


@pytest.mark.parametrize("path", FILES, ids=from_root)
def test_a_file_is_read_in_one_sitting(path):
    assert len(path.read_text().splitlines()) <= 400


def test_no_file_is_named_after_nothing():
    assert not {p.stem for p in FILES} & NAMES_THAT_SAY_NOTHING


@pytest.mark.parametrize("path", SOURCE_FILES, ids=from_root)
def test_a_file_says_what_is_in_it(path):
    text = path.read_text()
    assert not text or ast.get_docstring(ast.parse(text))


def test_every_system_is_listed_and_has_a_card():
    folders = {p.name for p in (SOURCE / "systems").iterdir() if (p / "__init__.py").is_file()}
    with_card = {p.parent.name for p in (SOURCE / "systems").glob("*/card.yaml")}
    assert folders == with_card == set(SYSTEMS) == {card.name for card in list_systems()}


def test_the_public_names_are_those_that_were_promised():
    assert groundglass.__all__ == PUBLIC_NAMES


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_a_public_name_means_the_same_whatever_was_imported_before(name):
    """A function and a module of one name would take turns."""
    first = getattr(groundglass, name)
    for module in ("analyze", "read", "write", "systems"):
        import_module(f"groundglass.{module}")
    assert getattr(groundglass, name) is first


def test_a_name_that_is_not_public_is_refused():
    with pytest.raises(AttributeError, match="no_such_name"):
        groundglass.no_such_name  # noqa: B018 - the access is what is tested


def test_no_tracked_file_names_a_path_of_a_machine():
    somewhere = re.compile("/(?:" + "|".join(["work", "tmp", "root", "home/[a-z]", "Users"]) + ")/")
    found = [
        f"{from_root(path)}: {line.strip()}"
        for path in tracked_files()
        if path.suffix in {".py", ".md", ".toml", ".yaml", ".cff", ".j2", ""} and path.is_file()
        for line in path.read_text(errors="replace").splitlines()
        if somewhere.search(line) and not line.startswith("#!")
    ]
    assert found == []


@pytest.mark.parametrize("path", TEXTS, ids=from_root)
def test_every_relative_link_leads_somewhere(path):
    text = re.sub(r"<!--.*?-->", "", path.read_text(), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)", text)
    missing = [t for t in targets if "://" not in t and not (path.parent / t).exists()]
    assert missing == []


@pytest.mark.parametrize(("path", "words"), SHELL_LINES, ids=lambda x: str(x)[:60])
def test_every_command_in_the_documentation_exists(path, words):
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    if not words:
        return  # a variable, for the lines below it
    program, arguments = Path(words[0]).name, words[1:]
    if program == "make":
        dry = subprocess.run(["make", "-n", *arguments], cwd=ROOT, check=False, capture_output=True)
        assert dry.returncode == 0, dry.stderr
    elif program == "groundglass":
        parse_command(arguments)
    else:
        assert program in {"pip", "pytest", "python", "pipx", "openssl"}


def parse_command(arguments):
    """Parse a command line as typer does, without running it; wrong usage raises."""
    command = get_command(app)
    while hasattr(command, "commands"):
        name, *arguments = arguments
        command = command.commands[name]
    command.make_context(name, arguments)


def test_a_wrong_command_in_the_documentation_would_be_found():
    with pytest.raises(Exception, match="no-such-option"):
        parse_command(["analyze", "SCAN", "--out", "FOLDER", "--no-such-option"])
    with pytest.raises(Exception, match="out"):
        parse_command(["analyze", "SCAN"])
    assert len(SHELL_LINES) > 10


def test_the_python_in_the_readme_imports_what_exists():
    (block,) = blocks((ROOT / "README.md").read_text(), "python")
    imports = [n for n in ast.parse(block).body if isinstance(n, ast.ImportFrom)]
    assert len(imports) >= 2
    for statement in imports:
        module = import_module(statement.module)
        assert all(hasattr(module, alias.name) for alias in statement.names)


def test_the_version_is_the_same_everywhere():
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {groundglass.__version__}\n" in citation


def test_every_package_that_is_imported_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {
        name: lines for name, lines in project["optional-dependencies"].items() if name != "dev"
    }
    lines = [*project["dependencies"], *(line for extra in extras.values() for line in extra)]
    declared = {canonicalize_name(Requirement(line).name) for line in lines}
    known = packages_distributions()
    undeclared = {
        name
        for path in SOURCE_FILES
        for name in imported_packages(path)
        if not {canonicalize_name(d) for d in known.get(name, [name])} & declared
    }
    assert undeclared == set()


def imported_packages(path):
    """Top-level packages that a file imports, other than Python's own and groundglass."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names) - {"groundglass"}

"""The walk of CONTRIBUTING.md: its program compiles, its commands print what is shown, its Python says what it says."""

from __future__ import annotations

import doctest
import re
import shlex
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import pytest

from compiler.backend.passes import PASSES
from compiler.commands.command import Command
from compiler.commands.compile import compile_main
from compiler.commands.terminal import NAMED
from hdas_dsl.format import format_text
from tests.support.paths import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text()
(PROGRAM,) = re.findall(r"```hsp\n(.*?)```", PAGE, re.DOTALL)
SESSIONS = re.findall(r"```\n\$ hdas-compile ([^\n]+)\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(autouse=True)
def walk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("walk.hsp").write_text(PROGRAM)


def test_the_program_is_in_canonical_form() -> None:
    assert format_text(PROGRAM, "walk.hsp") == PROGRAM


@pytest.mark.parametrize(("command", "shown"), SESSIONS)
def test_commands_print_what_is_shown(command: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Three dots stand for lines that are left out."""
    assert compile_main(shlex.split(command)) == 0
    printed = capsys.readouterr().out
    for part in filter(None, re.split(r"^\.\.\.\n", shown, flags=re.MULTILINE)):
        before, found, printed = printed.partition(part)
        assert found == part, before


def test_python_says_what_it_says() -> None:
    example = doctest.DocTestParser().get_doctest(PAGE, {}, "CONTRIBUTING.md", "CONTRIBUTING.md", 0)
    assert len(example.examples) > 6
    result = doctest.DocTestRunner().run(example)
    assert (result.failed, result.attempted) == (0, len(example.examples))


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md", "docs/laws.md"])
def test_every_file_that_is_named_is_there(page: str) -> None:
    named = re.findall(r"`((?:compiler|hdas_dsl|tests|spaces|docs)/[\w/.]*)`", (ROOT / page).read_text())
    assert len(named) > 15
    assert [name for name in named if not (ROOT / name).exists()] == []


# ---------------------------------------------------------------- adding things

ROWS = [
    [cell.strip() for cell in line.strip("| ").split(" | ")]
    for line in PAGE.partition("## Adding things")[2].partition("\n## ")[0].splitlines()
    if line.startswith("| ") and not line.startswith(("| to add", "|---"))
]


def sources(row: Sequence[str]) -> dict[str, str]:
    """The Python files that a row names, by folder, by path, or by name in a folder that it names; with their texts."""
    named = re.findall(r"`([\w/.]+)`", row[1])
    folders = [ROOT / name for name in named if name.endswith("/")]
    found = [path for folder in folders for path in folder.rglob("*.py")]
    found += [ROOT / name for name in named if name.endswith(".py") and "/" in name]
    return {path.name: path.read_text() for path in found}


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_what_is_named_stands_where_it_is_named(row: Sequence[str]) -> None:
    files = sources(row)
    assert files
    for name in re.findall(r"`(\w+\.py)`", row[1]):
        assert name in files
    for word in re.findall(r"`(\w+)`", row[1]):
        assert any(re.search(rf"^(class |def )?{word}\b", text, re.MULTILINE) for text in files.values()), word


def test_every_command_is_listed() -> None:
    modules = [path.stem for path in (ROOT / "compiler/commands").glob("*.py") if path.stem != "__init__"]
    kinds = [kind for name in modules for kind in vars(import_module(f"compiler.commands.{name}")).values()]
    commands = {kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Command) and "name" in vars(kind)}
    assert commands <= set(NAMED)


def test_every_pass_has_golden_graphs() -> None:
    assert {one.name for one in PASSES} <= {path.name for path in (ROOT / "tests/fixtures/passes").iterdir()}

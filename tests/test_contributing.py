"""The walk of CONTRIBUTING.md: its program compiles, its commands print what is shown, its Python says what it says."""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path

import pytest

from compiler.commands.compile import compile_main
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

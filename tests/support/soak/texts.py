"""Mutated texts through the whole compiler: parse, print, check, elaborate, count and describe."""

from __future__ import annotations

import random
import re
from functools import cache
from pathlib import Path
from unittest.mock import patch

from compiler.program.compile_file import compile_file
from compiler.reports.facts import describe
from hdas_dsl import files
from hdas_dsl.parse.parser import parse, parse_text
from hdas_dsl.text.diagnostics import Diagnostic
from hdas_dsl.text.errors import HdasError
from hdas_dsl.text.limits import TokenBudget
from hdas_dsl.text.source import Source
from hdas_dsl.tree import ast
from hdas_dsl.tree.printer import print_module
from tests.support.mutations import mutate, transplant
from tests.support.paths import DOCS, FIXTURES, SPACES

from .case import Case

CHARACTERS = "\0\t\x1b\x7f\x85\u2028\u202e\u200b\ufeff\ud800\U0001f600é\"#\\'()[]{};|@.,=-\r\n"
"""Signs that a text may hold anywhere, by accident or on purpose."""


LARGE = 0.02
"""The share of whole spaces; the others are small texts, in which a change meets more of the language in less time."""


@cache
def small() -> tuple[tuple[Path, str], ...]:
    """The examples of the documentation, wrong files of the tests, and one with everything; with their paths."""
    pages = sorted(DOCS.glob("*.md"))
    examples = [text for page in pages for text in re.findall(r"```hsp\n(.*?)```", page.read_text(), re.DOTALL)]
    paths = [*sorted((FIXTURES / "wrong").glob("*.hsp")), FIXTURES / "everything.hsp"]
    return (*((SPACES / "example.hsp", text) for text in examples), *((path, path.read_text()) for path in paths))


@cache
def large() -> tuple[tuple[Path, str], ...]:
    """The shipped spaces, the programs of the tests, and some of the zoo."""
    zoo = sorted((SPACES / "zoo").glob("*.hsp"))[::8]
    paths = (*sorted((FIXTURES / "programs").glob("*.hsp")), *sorted(SPACES.glob("*.hsp")), *zoo)
    return tuple((path, path.read_text(encoding="utf-8")) for path in paths)


def mutant(case: Case) -> tuple[Path, str]:
    """A text made wrong, and the file that it was."""
    source = case.random()
    path, text = source.choice(large() if source.random() < LARGE else small())
    for _ in range(source.choice((1, 1, 2, 3, 5))):
        match source.randrange(10):
            case 0:
                text = _characters(text, source)
            case 1 | 2 | 3:
                module, _ = parse(Source("base", text))
                text = mutate(text, source) if module is None else print_module(transplant(module, source))
            case _:
                text = mutate(text, source) if text.strip() else text
    return path, text


def _characters(text: str, source: random.Random) -> str:
    at = source.randrange(len(text) + 1)
    new = "".join(source.choice(CHARACTERS) for _ in range(source.randrange(1, 4)))
    return text[:at] + new + text[at + source.randrange(2) * source.randrange(1, 20) :]


@cache
def _library(name: str, text: str) -> tuple[ast.Module | None, list[Diagnostic]]:
    return parse(Source(name, text))


def parse_library_once(source: Source, budget: TokenBudget | None) -> tuple[ast.Module | None, list[Diagnostic]]:
    """`parse`, which reads a file of the shipped library once in a process: that takes longer than a small text."""
    shipped = source.name.startswith("lib/")
    return _library(source.name, source.text) if shipped else parse(source, budget)


def check_text(case: Case) -> str | None:
    """Whether a text compiles or is refused with a reason, and is printed as it was read."""
    path, text = mutant(case)
    module, report = parse(Source(str(path), text))
    if module is None and not report:
        return "it does not parse, and no error says why"
    if module is not None:
        printed = print_module(module)
        again = parse_text(printed)
        if again != module or print_module(again) != printed:
            return "round trip: what is printed is another tree"
    with patch.object(files, "parse", parse_library_once):
        program, diagnostics = compile_file(path, text=text)
    if program is None and not diagnostics:
        return "it does not compile, and no error says why"
    for diagnostic in diagnostics:
        diagnostic.render()
    if program is not None:
        try:
            describe(program)
        except HdasError:  # A sentence and an exit code, as the command prints them.
            return None
    return None

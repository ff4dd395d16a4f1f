"""Wrong programs and what is said about them: ``wrong/NAME.hsp`` gives ``wrong/NAME.txt``."""

from __future__ import annotations

from pathlib import Path

import pytest
from golden import check

from hdas_dsl.diagnostics import Code, Diagnostic
from hdas_dsl.parser import parse
from hdas_dsl.source import Source

FILES = sorted((Path(__file__).parent / "wrong").glob("*.hsp"))
SYNTAX = {Code.SYNTAX, Code.CHARACTER, Code.UNCLOSED, Code.MIXED_PIPE, Code.VERSION, Code.DEPTH}


def diagnose(path: Path) -> list[Diagnostic]:
    return parse(Source(path.name, path.read_text(encoding="utf-8")))[1]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_wrong(path: Path) -> None:
    report = diagnose(path)
    assert report
    check(path.with_suffix(".txt"), "\n".join(diagnostic.render() for diagnostic in report) + "\n")


def test_every_syntax_code_has_a_file() -> None:
    assert {diagnostic.code for path in FILES for diagnostic in diagnose(path)} >= SYNTAX

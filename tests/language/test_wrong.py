"""Wrong programs and what is said about them: ``wrong/NAME.hsp`` gives ``wrong/NAME.txt``."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.program.compile_file import compile_file
from hdas_dsl.text.diagnostics import Code, Diagnostic
from tests.support.golden import check
from tests.support.paths import FIXTURES

FOLDER = FIXTURES / "wrong"
FILES = sorted(FOLDER.glob("*.hsp"))


def diagnose(path: Path) -> list[Diagnostic]:
    return compile_file(path.name)[1]


@pytest.fixture(autouse=True)
def _in_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_wrong(path: Path) -> None:
    report = diagnose(path)
    assert report
    check(path.with_suffix(".txt"), "\n".join(diagnostic.render() for diagnostic in report) + "\n")


def test_every_code_has_a_file() -> None:
    texts = "".join(path.with_suffix(".txt").read_text(encoding="utf-8") for path in FILES)
    missing = [code for code in Code if f"[{code.value}]: " not in texts]
    # Not of a text alone: of a genotype (test_genotype_forms), and of what a command looks for (test_grammar_items).
    assert missing == [Code.GENOTYPE, Code.UNFIT]

"""Files and folders may have names that are not text in UTF-8, as old archives have: every command takes them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from compiler.commands.compile import compile_main
from compiler.program.compile_file import compile_file
from tests.support.soak.runs import NETWORK, SPACE

LATIN = os.fsdecode("caf\u00e9".encode("latin-1"))
"""A name from a system whose names are in Latin-1."""


@pytest.mark.parametrize("words", [
    ["space", "--search", "--out", f"run-{LATIN}", "--epochs", "1"],
    ["space", "--search", "--out", f"run-{LATIN}", "--epochs", "1", "--quiet"],
    ["network", "--train", "--out", f"run-{LATIN}", "--epochs", "1", "--quiet"],
    ["space", "--sample", "2", "--network", "Inner", "--out", f"samples-{LATIN}"],
    ["network", "--export", "py", "--out", f"exported-{LATIN}.py"],
    ["space", "--json"],
], ids=lambda words: " ".join(words[1:3]))  # fmt: skip
def test_every_command(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in (("space", SPACE), ("network", NETWORK)):
        Path(f"{name}-{LATIN}.hsp").write_text(text)
    assert compile_main([f"{words[0]}-{LATIN}.hsp", *words[1:]]) == 0, capsysbinary.readouterr().err


@pytest.mark.parametrize("name", ["\ud800.hsp", "a\0.hsp", "a" * 5000 + ".hsp"], ids=["surrogate", "NUL", "long"])
def test_a_text_that_names_what_no_file_can_be_called_is_refused(name: str) -> None:
    program, diagnostics = compile_file("x.hsp", text=f'hsp 1\nuse "{name}"\n')
    assert program is None
    assert diagnostics[0].code.value == "E203"

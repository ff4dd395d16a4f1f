"""The door of the commands: what a user sees of an error is a sentence, or a JSON object, and an exit code."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from compiler.commands import console
from compiler.commands.command import Command
from compiler.commands.compile import compile_main
from compiler.commands.hdas import hdas_main
from hdas_dsl.text.errors import HdasError
from tests.support.paths import FIXTURES, ROOT, SPACES

DARTS = SPACES / "darts.hsp"
UNFORESEEN = "an error of this program, not of your input ({}); --debug shows where it happened"


class Raising(Command):
    """A command that ends with an exception."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def run(self) -> int:
        raise self.error


def ending(error: BaseException, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    def choose(_: Sequence[str]) -> Command:
        return Raising(error)

    code = console.run("hdas", words, choose)
    said = capsys.readouterr()
    assert said.out == ""
    return code, said.err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (RuntimeError("boom"), 3, UNFORESEEN.format("RuntimeError: boom")),
        (AssertionError(), 3, UNFORESEEN.format("AssertionError")),
        (OSError(errno.ENOSPC, "No space left on device", "x"), 3, "'x': No space left on device"),
        (OSError(errno.EACCES, "Permission denied", "x"), 2, "'x': Permission denied"),
        (OSError(errno.EIO, "Input/output error"), 3, "Input/output error"),
        (HdasError("it failed"), 3, "it failed"),
        (SystemExit(0), 3, UNFORESEEN.format("SystemExit: 0")),  # As of a plugin that ends the program.
        (MemoryError(), 3, "out of memory: use a smaller batch, smaller images, fewer channels or bfloat16"),
        (FileNotFoundError(errno.ENOENT, "No such file", "a\x1b[31m\u202e"), 2, "'a\\x1b[31m\\u202e': No such file"),
    ],
)  # fmt: skip
def test_an_error_is_one_sentence(error: Exception, code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ending(error, capsys) == (code, f"hdas: {said}\n")
    debugged = ending(error, capsys, "--debug")
    assert debugged[0] == code
    assert debugged[1].startswith("Traceback")
    assert debugged[1].endswith(f"hdas: {said}\n")


def test_an_interrupt_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    assert ending(KeyboardInterrupt(), capsys) == (130, "")


def test_a_remedy_repeats_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    error = HdasError("there are no data")
    error.retry_with = "--download"
    assert ending(error, capsys, "a b.hsp", "--search") == (
        3,
        "hdas: there are no data; get it with: hdas 'a b.hsp' --search --download\n",
    )


def test_errors_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.hsp"
    path.write_text('hsp 1\nuse "lib/darts.hsp"\n\nop f(x) = x -> rleu\nop f(x) = x\n')
    for main, words in ((compile_main, [str(path), "--json"]), (hdas_main, ["check", str(path), "--json"])):
        assert main(words) == 1
        said = capsys.readouterr()
        assert said.err == ""
        found = json.loads(said.out)["diagnostics"]
        assert [item["code"] for item in found] == ["E201", "E202"]
        unknown, twice = found
        assert unknown == {
            "code": "E201",
            "severity": "error",
            "message": unknown["message"],
            "hint": "did you mean 'relu'?",
            "file": str(path),
            "line": 4,
            "column": 16,
            "end_line": 4,
            "end_column": 20,
            "related": [],
        }
        (first,) = twice["related"]
        assert (first["file"], first["line"]) == (str(path), 4)
        assert first["message"]


def test_warnings_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.hsp"
    path.write_text((FIXTURES / "wrong/broken_requirement.hsp").read_text())
    assert compile_main([str(path), "--json"]) == 0
    said = capsys.readouterr()
    facts = json.loads(said.out)
    assert said.err == ""
    assert [(item["code"], item["severity"]) for item in facts["diagnostics"]] == [("W802", "warning")]
    assert compile_main([str(path)]) == 0
    assert "warning[W802]" in capsys.readouterr().err


def test_as_a_module() -> None:
    words = [sys.executable, "-m", "compiler", "check", "none.hsp"]
    done = subprocess.run(words, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "hdas: there is no file 'none.hsp'\n")


KINDS = {
    "folder": "'{}' is a folder, not a file",
    "pipe": "'{}' is a pipe, not a file",
    "loop": "'{}' is a link that leads to no file",
    "broken": "'{}' is a link that leads to no file",
    "zero": "'{}' is a device, not a file",
}


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a path of each of these names that is not a file, and a network that uses each."""
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    os.mkfifo("pipe")
    Path("loop").symlink_to("loop")
    Path("broken").symlink_to("nowhere")
    for kind in KINDS:
        text = f'use "{kind}"\nnetwork N(x: [1, 8, 8]) {{\n  output x -> relu -> classifier(10)\n}}\n'
        Path(f"{kind}.hsp").write_text(f"hsp 1\n{text}")
    Path("net.hsp").write_text(f"hsp 1\n{text.partition(chr(10))[2]}train N {{\n  data = digits\n}}\n")
    return tmp_path


@pytest.mark.parametrize("kind", KINDS)
def test_a_path_that_names_no_file_is_said_to_be_what_it_is(
    kind: str, odd: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a program, one that is used, weights, an architecture, a recipe and plugins."""
    named = "/dev/zero" if kind == "zero" else kind
    said = KINDS[kind].format(named)
    for words in (
        [named],
        ["net.hsp", "--in", named],
        ["net.hsp", "--eval", named],
        ["net.hsp", "--train", "--weights", named],
        ["net.hsp", "--train", "--recipe", named],
    ):
        assert compile_main(words) == 2, words
        assert capsys.readouterr().err == f"hdas-compile: {said}\n"
    if kind != "zero":
        assert compile_main([f"{kind}.hsp"]) == 1
        assert capsys.readouterr().err.startswith(f"{kind}.hsp:2:1: error[E203]: {said}\n")
        os.mkfifo(f"{kind}.py")
        assert compile_main(["net.hsp", "--allow-plugin", f"{kind}.py"]) == 2
        said = f"hdas-compile: '{kind}.py' is a pipe, not a file of plugins: looked for '{odd / kind}.py'\n"
        assert capsys.readouterr().err == said

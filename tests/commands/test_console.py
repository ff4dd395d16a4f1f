"""The door of the commands: what a user sees of errors, closed pipes, interrupts and full disks, and the exit codes."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from compiler.commands import console
from compiler.commands.command import Command
from compiler.commands.compile import compile_main
from compiler.commands.fmt import format_main
from compiler.commands.hdas import hdas_main
from compiler.commands.import_genotype import import_main
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
        (MemoryError(), 3, "out of memory: use a smaller --batch-size, fewer channels or bfloat16"),
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


def script(
    words: Sequence[object], main: str = "compile.compile_script", encoding_of_streams: str = "", **more: Any
) -> subprocess.Popen[bytes]:
    module, name = main.split(".")
    program = f"import sys; from compiler.commands.{module} import {name} as main; sys.exit(main())"
    started: subprocess.Popen[bytes] = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding_of_streams},
        stderr=subprocess.PIPE,
        **more,
    )
    return started


@pytest.mark.parametrize(
    ("main", "words"),
    [
        ("compile.compile_script", [SPACES / "nasbench201.hsp", "--enumerate", "--limit", 3000]),
        ("compile.compile_script", [DARTS, "--emit", "graph"]),
        ("compile.compile_script", [DARTS]),
        ("compile.compile_script", ["--help"]),
    ],
)
def test_a_closed_pipe_is_quiet(main: str, words: list[object]) -> None:
    """As of ``| head -1``: the reader goes before all is written."""
    reader, writer = os.pipe()
    os.close(reader)
    process = script(words, main, stdout=writer)
    os.close(writer)
    assert (process.communicate()[1], process.returncode) == (b"", 141)


@pytest.mark.parametrize(
    ("words", "streams", "code", "said"),
    [
        ([DARTS, "--emit", "ast"], ">/dev/full", 3, b"hdas-compile: No space left on device\n"),
        (["--help"], ">/dev/full", 3, b"hdas-compile: No space left on device\n"),
        (["none.hsp"], "2>/dev/full", 2, b""),
        (["--nonsense"], "2>/dev/full", 2, b""),
        ([DARTS, "--emit", "ast"], ">&-", 0, b""),
        (["none.hsp"], "2>&-", 2, b""),
        (["-"], "<&-", 1, b"<stdin>:1:1: error[E105]: a file starts with 'hsp 1'\n"),
    ],
)  # fmt: skip
def test_streams_that_are_full_or_closed(words: list[object], streams: str, code: int, said: bytes) -> None:
    program = "import sys; from compiler.commands.compile import compile_script as main; sys.exit(main())"
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {streams}', "sh", sys.executable, "-c", program, *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
    )
    assert (done.returncode, done.stderr) == (code, said)


def test_a_search_outlives_its_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.hsp"
    text = "hsp 1\nnetwork N(x: [1, 8, 8]) {\n  output x -> (relu | identity) -> classifier(10)\n}\n"
    path.write_text(f"{text}search N {{\n  data = fake(channels = 1, count = 32)\n  epochs = 1\n}}\n")
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as unread:
        monkeypatch.setattr(sys, "stdout", unread)
        assert compile_main([str(path), "--search", "--out", str(tmp_path / "run")]) == 0
    assert (tmp_path / "run" / "derived.hsp").is_file()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_what_a_pipe_gets_is_whole(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "x.hsp"
    path.write_text("hsp 1\n# \u00e9\u2014\nop f( x ) = x -> relu\n", encoding="utf-8")
    process = script(["-"], "fmt.format_main", stdin=path.open(), stdout=subprocess.PIPE, encoding_of_streams=encoding)
    said, error = process.communicate()
    assert (process.returncode, error) == (0, b"")
    assert said.decode() == "hsp 1\n# \u00e9\u2014\nop f(x) = x -> relu\n"


def test_files_with_a_mark_and_devices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.hsp"
    path.write_bytes(b"\xef\xbb\xbf" + (SPACES / "zoo" / "darts_v2.hsp").read_bytes())
    assert compile_main([str(path), "--emit", "ast"]) == 0
    assert format_main(["/dev/zero"]) == 2
    assert capsys.readouterr().err == "hdas-fmt: '/dev/zero' cannot be read: it is a device\n"


def test_standard_input_that_is_no_text(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for main, words in ((compile_main, ["-"]), (format_main, ["-"]), (import_main, ["-"])):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"hsp 1\n\xff"), encoding="utf-8"))
        assert main(words) == 2
        assert "standard input is no text in UTF-8: invalid start byte at byte 6" in capsys.readouterr().err


def test_formatting_on_a_full_disk_leaves_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.hsp"
    path.write_text("hsp 1\nop f( x ) = x->relu\n")

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    assert format_main([str(path)]) == 3
    assert capsys.readouterr().err == f"hdas-fmt: '{path}': No space left on device\n"
    assert path.read_text() == "hsp 1\nop f( x ) = x->relu\n"
    assert list(tmp_path.iterdir()) == [path]


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

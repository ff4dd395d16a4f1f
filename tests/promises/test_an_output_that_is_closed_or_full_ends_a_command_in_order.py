"""Pipes that are closed, streams that are full or missing, encodings that lack letters; inputs that are not text."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from compiler.commands.compile import compile_main
from compiler.commands.fmt import format_main
from compiler.commands.import_genotype import import_main
from tests.support.paths import ROOT, SPACES

DARTS = SPACES / "darts.hsp"


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
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_streams_that_are_full_or_closed(
    words: list[object], streams: str, code: int, said: bytes, unbuffered: str
) -> None:
    """Of a stream that is full a command says so once, when it writes there or when it ends."""
    program = "import sys; from compiler.commands.compile import compile_script as main; sys.exit(main())"
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {streams}', "sh", sys.executable, "-c", program, *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered},
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
        assert "standard input is not text in UTF-8: invalid start byte at byte 6" in capsys.readouterr().err

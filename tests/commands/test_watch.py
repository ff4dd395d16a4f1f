"""`--watch`: a check after every change; and the lines that GitHub reads of a check."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from threading import Timer

import pytest

from compiler.commands.hdas import hdas_main
from tests.support.paths import ROOT

TEXT = """hsp 1
use "%s"
network Net(image: [1, 8, 8]) {
  output image -> own -> classifier(3)
}
"""
RECIPE = """hsp 1
network Any(image: [1, 8, 8]) {
  output image -> classifier(3)
}
train Any {
  epochs = %d
}
"""


def test_a_file_is_checked_again_when_it_or_what_it_uses_changes(tmp_path: Path) -> None:
    """Also a file of a folder that was not used before, that could not be read, that was not there, and a recipe.

    An interrupt ends it.
    """
    for name in ("near", "far"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "own.hsp").write_text("hsp 1\nop own(x) = x -> relu\n")
    file = tmp_path / "net.hsp"
    file.write_text(TEXT % "near/own.hsp")
    recipe = tmp_path / "recipe.hsp"
    recipe.write_text(RECIPE % 2)
    words = [sys.executable, "-m", "compiler", "check", str(file), "--watch", "--recipe", str(recipe)]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1)
    assert process.stdout is not None
    guard = Timer(500, process.kill)  # a change that is not seen would be waited for without end
    guard.start()

    def until(part: str) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if part in line:
                return
        raise AssertionError(f"it ended before it said {part!r}")

    try:
        until("Net")
        (tmp_path / "near" / "own.hsp").write_text("hsp 1\nop own(x) = x -> reluu\n")
        until("did you mean 'relu'?")
        file.write_text(TEXT % "far/own.hsp")
        until("classifier")
        (tmp_path / "far" / "own.hsp").write_text("hsp 1\nop own(x) = x -> sigmoids\n")
        until("did you mean 'sigmoid'?")
        (tmp_path / "far" / "own.hsp").write_text("hsp 1\nop own(x) = x ->\n")
        until("own.hsp:2")
        (tmp_path / "far" / "own.hsp").write_text("hsp 1\nop own(x) = x -> sigmoid\n")
        until("classifier")
        file.write_text(TEXT % "far/late.hsp")
        until("there is no file 'far/late.hsp'")
        (tmp_path / "far" / "late.hsp").write_text("hsp 1\nop own(x) = x -> relu\n")
        until("classifier")
        recipe.write_text(RECIPE % -2)
        until("epochs = -2")
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
    finally:
        guard.cancel()
        process.kill()


def test_what_is_no_file_is_not_watched(capsys: pytest.CaptureFixture[str]) -> None:
    assert hdas_main(["check", "-", "--watch"]) == 2
    assert "--watch looks at a file: standard input is not one" in capsys.readouterr().err


def test_every_diagnostic_is_a_problem_of_the_matcher() -> None:
    matcher = json.loads((ROOT / "editors" / "github" / "problem-matcher.json").read_text())["problemMatcher"][0]
    (pattern,) = matcher["pattern"]
    count = 0
    for golden in sorted((ROOT / "tests" / "fixtures" / "wrong").glob("*.txt")):
        lines = golden.read_text().splitlines()
        found = [match for line in lines if (match := re.match(pattern["regexp"], line))]
        assert len(found) == sum("error[E" in line or "warning[W" in line for line in lines), golden.name
        for match in found:
            assert match[pattern["line"]].isdigit()
            assert match[pattern["severity"]] in ("error", "warning")
        count += len(found)
    assert count > 100

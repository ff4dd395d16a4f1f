"""`ofa_phases.hsp`: each phase has more numbers to choose than the one before, and starts from its weights."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from compiler.commands.compile import compile_main
from compiler.program.compile_file import compile_file
from compiler.program.model import Program
from compiler.reports.facts import cardinality
from compiler.searcher.settings.axes import LargestTeacher, PhaseStart, PhaseTeacher
from tests.support.programs import SPACES

FILE = SPACES / "ofa_phases.hsp"
PHASES = {
    "kernel": 3**4,
    "deep": 3**3 + 3**4,
    "depth": 3**2 + 3**3 + 3**4,
    "two": 6**2 + 6**3 + 6**4,
    "expansion": 9**2 + 9**3 + 9**4,
}
"""How many architectures each phase leaves to choose, of one stage."""
SMALL = {
    "wide": "0.1",
    "classes": "3",
    "image": "(3, 16, 16)",
    "data": "fake(classes = 3, count = 4, channels = 3, size = 16)",
    "epochs": "1",
    "batch": "2",
    "expansion.judge": "shared",
    "expansion.derive": "random(2)",
}
SET = [word for name, value in SMALL.items() for word in ("--set", f"{name}={value}")]


def program() -> Program:
    found, diagnostics = compile_file(FILE)
    assert found is not None, diagnostics
    return found


def test_every_phase_is_larger_and_starts_from_the_one_before() -> None:
    phases = program().phases
    before, *_ = names = [phase.name for phase in phases]
    assert names == list(PHASES)
    assert isinstance(phases[0].settings.teacher, LargestTeacher)
    for phase in phases[1:]:
        start, teacher = phase.settings.start, phase.settings.teacher
        assert isinstance(start, PhaseStart)
        assert isinstance(teacher, PhaseTeacher)
        assert (start.after, teacher.after, teacher.ratio) == (before, "kernel", 1)
        before = phase.name
        assert cardinality(phase.network) == PHASES[phase.name] ** 5


def test_it_is_planned_and_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At a small size, with the first of its stages."""
    monkeypatch.chdir(tmp_path)
    text = FILE.read_text().replace("s[j < 5]", "s[j < 1]")
    Path("ofa.hsp").write_text(text)
    assert compile_main(["ofa.hsp", "--search", "--out", "run", "--dry-run", *SET]) == 0
    said = capsys.readouterr().out
    for name, count in PHASES.items():
        assert f"phase {name}: Ofa on fake\n  {count:,} architectures" in said
    assert compile_main(["ofa.hsp", "--search", "--out", "run", *SET]) == 0
    said = capsys.readouterr().out
    for before, after in pairwise(PHASES):
        assert re.search(rf"phase {after}: starts from phase {before}, (\d+) of \1 tensors as they are", said)
    assert compile_main(["run/derived.hsp", "--in", "ofa.hsp"]) == 0
    assert capsys.readouterr().out.startswith("yes")

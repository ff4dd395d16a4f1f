"""SIGKILL at random instants, over searches of each kind and trainings; more by `bench/soak.py`, each step by law 6."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.support.soak.case import Case, Kind
from tests.support.soak.kills import check_kill
from tests.support.soak.runs import Job, begin, content, differences, finish, prepare, whole
from tests.support.soak.worker import Limits, Outcome, outcomes

CASES = [Case(7, Kind.KILL, number) for number in range(2)]


def test_at_random_instants() -> None:
    found = list(outcomes(check_kill, CASES, Limits(cpu=300, wall=1200, memory=4 << 30)))
    assert found == [Outcome(case, None) for case in CASES]


RENAMES = (
    "the text in source",
    "settings.hsp",
    "run.json",
    "space.json",
    "first checkpoint",
    "history.jsonl",
    "after a step",
    "after an epoch",
)
"""What a search writes first; a file is there from its renaming on."""


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", [5, 8], ids=lambda number: RENAMES[number - 1])
def test_around_a_renaming(number: int, after: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the checkpoint of an epoch and what is reported of it, too."""
    right = whole(Job.SEARCH).content
    prepare(tmp_path)
    replace = os.replace
    made: list[str] = []

    def deadly(source: str, target: str) -> None:
        made.append(target)
        if after:
            replace(source, target)
        if len(made) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        if not after:
            replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", deadly)
        pid = begin(tmp_path, *Job.SEARCH.words)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    resumed = ["--resume"] if (number, after) != (5, False) else []
    done = finish(tmp_path, *Job.SEARCH.words, *resumed)
    assert done.code == 0, done.said
    assert differences(content(tmp_path), right) is None

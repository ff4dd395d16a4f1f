"""Recorded runs: two searches, one of them trained and compared, one of several objectives, and a study."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.paths import FIXTURES

RUNS = FIXTURES / "runs"


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the recorded runs, and the folder in which they lie is the current one."""
    folder = tmp_path / "runs"
    shutil.copytree(RUNS, folder)
    monkeypatch.chdir(folder)
    return folder

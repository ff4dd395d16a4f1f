"""Comparison with golden files; ``UPDATE_GOLDEN=1`` rewrites them instead."""

from __future__ import annotations

import os
from pathlib import Path


def check(path: Path, actual: str) -> None:
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.write_text(actual, encoding="utf-8")
    assert path.exists(), f"{path} is missing: run with UPDATE_GOLDEN=1 and look at what it holds"
    assert actual == path.read_text(encoding="utf-8")

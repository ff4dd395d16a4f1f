"""Other processes and threads: waiting for what they do, and which of them there are."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path


def until(holds: Callable[[], object], what: str) -> None:
    """Wait for something that another process or thread does; many times as long as it takes on a machine of its own.

    Raises:
        AssertionError: it is not so after ten minutes.
    """
    for _ in range(60_000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError(f"never: {what}")


def children(pid: int) -> list[int]:
    """The processes that a process has started, and that run."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in path.read_text().split()] if path.is_file() else []


def runs(pid: int) -> bool:
    """Whether a process is there, and no zombie."""
    path = Path(f"/proc/{pid}/stat")
    try:
        return path.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False

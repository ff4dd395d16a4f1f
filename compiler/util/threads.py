"""Threads of numerical libraries: as many as there are processors to be had, and waiting takes no time from others.

OpenMP reads the environment once, when torch loads it, so `import compiler` says this first. By default its threads
spin while they wait for each other, which on a machine that others use too costs many times what it gains; and it
counts the processors of the machine, where a container may have a quota of a few. What a user has set stays as it is;
where nobody has set how many threads there are, a run takes as few as its network is worth (`HDAS_THREADS=all`: all;
a number: so many).
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .errors import UsageError

WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""Variables by which a user says how threads wait."""
COUNT = "OMP_NUM_THREADS"
"""The variable by which a user says how many there are."""
FEWER, FIT, ALL = "HDAS_THREADS", "fit", "all"
"""The variable that says whether a run may take fewer, to processes that this one starts too, and its words."""


def prepare() -> None:
    """Set the environment for OpenMP, where nobody has; without effect once torch is loaded."""
    if COUNT not in os.environ and not os.environ.get(FEWER):
        os.environ[FEWER] = FIT
    if "torch" in sys.modules:
        return
    if not any(name in os.environ for name in WAITING):
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    if COUNT not in os.environ and _is_number(said := os.environ.get(FEWER, "")):
        os.environ[COUNT] = said
    allowed = processors()
    quota = cpu_quota()
    if COUNT not in os.environ and quota is not None and quota < allowed:
        os.environ[COUNT] = str(max(1, math.ceil(quota)))


def may_take_fewer_threads() -> bool:
    """Whether a run may take fewer threads than there are: nobody has set how many.

    Raises:
        UsageError: `HDAS_THREADS` is neither a word that it has nor a number.
    """
    said = os.environ.get(FEWER, "")
    if said and said not in (FIT, ALL) and not _is_number(said):
        raise UsageError(f"{FEWER}={said}: it is a number of threads, '{ALL}', or '{FIT}'")
    return said == FIT


def _is_number(said: str) -> bool:
    return said.isascii() and said.isdigit() and int(said) > 0


def divided(count: int) -> dict[str, str]:
    """The environment of one of ``count`` processes that share the processors of this one."""
    said = os.environ.get(COUNT, "")
    threads = int(said) if said.isdigit() else processors()
    return {**os.environ, COUNT: str(max(1, threads // count))}


def processors() -> int:
    """How many processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_quota(root: Path = Path("/")) -> float | None:
    """The processors that control groups (version 1 or 2) let this process use; None where they set no limit.

    Args:
        root: the folder that holds ``proc`` and ``sys``.
    """
    quotas = [quota for folder in _groups(root) if (quota := _quota(folder)) is not None]
    return min(quotas, default=None)


def _groups(root: Path) -> Iterator[Path]:
    """The folders of the control groups that this process is in, with those around them."""
    mount = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            top = mount
        elif "cpu" in controllers.split(","):
            top = next(filter(Path.is_dir, (mount / controllers, mount / "cpu")), mount / "cpu")
        else:
            continue
        # In a container the path may be that of the host, where only the top is to be seen.
        yield top
        for part in Path(path).parts[1:]:
            top = top / part
            yield top


def _quota(folder: Path) -> float | None:
    """The limit that one control group sets, in processors."""
    limit = _text(folder / "cpu.max").split() or [
        *_text(folder / "cpu.cfs_quota_us").split(),
        *_text(folder / "cpu.cfs_period_us").split(),
    ]
    if len(limit) != 2 or not all(number.isdigit() for number in limit) or int(limit[1]) == 0:
        return None  # "max" and -1 are not limits
    return int(limit[0]) / int(limit[1])


def _text(path: Path) -> str:
    """The content of a file of the system; nothing where it cannot be read."""
    with suppress(OSError, UnicodeDecodeError):
        return path.read_text(encoding="utf-8")
    return ""

"""Damaged files of runs: each is refused by name, or changes nothing that the run computes."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from compiler.searcher.run_files import CHECKPOINT, DERIVED, HISTORY, RECORD, RESULT, SETTINGS, WEIGHTS

from .case import Case
from .runs import RUN, Job, command, scratch, whole

CHECKSUMMED = (CHECKPOINT,)
"""Files in which no damage goes unnoticed."""

CHECKSUMMED_SHARE = 0.5
"""The share of the cases that damage one of these."""

REMADE = (HISTORY, SETTINGS, RECORD, RESULT)
"""Files that tell of a run, from which it does not go on."""


def damaged(data: bytes, source: random.Random) -> bytes:
    """The content of a file after some mishap."""
    at, other = sorted(source.randrange(len(data) + 1) for _ in range(2))
    match source.randrange(8):
        case 0 | 1 | 2:
            at = min(at, len(data) - 1)
            return data[:at] + bytes([data[at] ^ 1 << source.randrange(8)]) + data[at + 1 :]
        case 3:
            return data[:at]
        case 4:
            return data[:at] + bytes(other - at) + data[other:]
        case 5:
            return data[:at] + data[other:]
        case 6:
            return data[:at] + source.randbytes(source.randrange(1, 50)) + data[at:]
        case _:
            return source.choice((b"", b"{}", b"[]", b"null\n", b"\xff\xfe", b"hsp 1\n", source.randbytes(300)))


def check_run_file(case: Case) -> str | None:
    """Whether a run with a damaged file goes on to the same bytes, or names what is damaged."""
    source = case.random()
    job = source.choice((Job.SEARCH, Job.TRAIN))
    folder = scratch() / f"file-{case.number}"
    shutil.copytree(whole(job).folder, folder)
    try:
        names = [path for path in sorted((folder / RUN).rglob("*")) if path.is_file() and "events" not in path.parts]
        kinds = CHECKSUMMED if source.random() < CHECKSUMMED_SHARE else (DERIVED, WEIGHTS, *REMADE)
        path = source.choice([path for path in names if path.name in kinds])
        before = path.read_bytes()
        path.write_bytes(damaged(before, source))
        if path.name in CHECKSUMMED:  # That of a finished phase is not read.
            (path.parent / DERIVED).unlink(missing_ok=True)
        where = f"{path.relative_to(folder)} of {job.name}"
        wrong = None if path.read_bytes() == before else _judged(folder, path, job)
        return wrong and f"{where}: {wrong}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _judged(folder: Path, path: Path, job: Job) -> str | None:
    """What is wrong with how the commands take the damage."""
    is_weights, is_derived = path.name == WEIGHTS, path.name == DERIVED
    read = path.relative_to(folder).as_posix()
    words = ("network.hsp", "--eval", read) if is_weights else (*job.words, "--resume")
    done = command(folder, *words)
    if done.code not in (0, 1, 2, 3) or "error of this program" in done.said or "Traceback" in done.said:
        return f"exit code {done.code}: {done.said[-300:]}"
    if done.code:
        return None if path.name in done.said else f"refused without its name: {done.said[-300:]}"
    if path.name in CHECKSUMMED:
        return "the damage is not noticed"
    if is_weights or is_derived:  # A derived file is a text of the user's: another one may be meant.
        return None
    return None if (folder / RUN / DERIVED).exists() == (job is Job.SEARCH) else "the result is gone"

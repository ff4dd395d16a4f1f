"""The runs that are killed, or whose files are damaged: small, with everything that a checkpoint remembers."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
import time
import traceback
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path

from compiler.commands.compile import compile_main
from compiler.searcher.run_files import CHECKPOINT, DERIVED, EVENTS, HISTORY, LOCK, LOG, RECORD
from compiler.util.files import UNFINISHED

RUN = "run"
"""The folder of a run, below that of its case."""

SPACE = """hsp 1
choice Op = skip | unit | unit(k = 3)
op skip(x) = x
op unit(x; k = 1) = x -> relu -> conv(k, x.c) -> batch_norm

cell Cell(x) {
  n[i < 2] = sum(pick 1 of Op(each (x, earlier n)))
  output last of n
}

network Inner(image: [1, 8, 8]) {
  output image -> conv(3, 4) -> Cell -> classifier(4)
}

network Outer(image: [1, 8, 8]; Found) {
  output image -> conv(3, 4) -> Found -> (relu | conv(3, 4)) -> classifier(4)
}

search {
  data = fake(channels = 1, classes = 4, count = 32)
  epochs = 4
  batch = 8
  phase inner = Inner
  phase outer = Outer(Found = inner.Cell)
}
"""

NETWORK = """hsp 1
network Net(image: [1, 8, 8]; classes = 4) {
  output image -> conv(3, 4) -> batch_norm -> relu -> drop_path -> classifier(classes)
}

train Net {
  data = fake(channels = 1, classes = 4, count = 64)
  epochs = 4
  batch = 8
  weights = sgd(lr = cosine(0.1, 0.001), momentum = 0.9)
}
"""


class Job(Enum):
    """A run, as the words of its command line."""

    SEARCH = ("space.hsp", "--search")
    SECOND = ("space.hsp", "--search", "--set", "order=second")
    SAMPLED = ("space.hsp", "--search", "--set", "relax=sample")
    TRAIN = ("network.hsp", "--train")

    @property
    def words(self) -> tuple[str, ...]:
        """The command, with a checkpoint after every step."""
        return (*self.value, "--out", RUN, "--quiet", "--checkpoint-every", "1")


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    code: int
    said: str


def prepare(folder: Path) -> None:
    """Write the files that the commands read."""
    (folder / "space.hsp").write_text(SPACE)
    (folder / "network.hsp").write_text(NETWORK)


def command(folder: Path, *words: str) -> Done:
    """A command in a folder, in this process."""
    said = folder / "said.txt"
    with chdir(folder), said.open("w", encoding="utf-8") as stream, redirect_stdout(stream), redirect_stderr(stream):
        code = compile_main(words)
    return Done(code, said.read_text(encoding="utf-8", errors="replace"))


def begin(folder: Path, *words: str) -> int:
    """The same in a process of its own, whose number is returned."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            code = command(folder, *words).code
        except BaseException:
            (folder / "said.txt").write_text(traceback.format_exc())
        finally:
            os._exit(code)
    return pid


def finish(folder: Path, *words: str) -> Done:
    """Such a process, waited for."""
    status = os.waitstatus_to_exitcode(os.waitpid(begin(folder, *words), 0)[1])
    return Done(status, (folder / "said.txt").read_text(encoding="utf-8", errors="replace"))


@cache
def scratch() -> Path:
    """A folder for the cases of this process and of those that it forks; it is removed with the former."""
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    owner = os.getpid()
    atexit.register(lambda: shutil.rmtree(folder, ignore_errors=True) if os.getpid() == owner else None)
    return folder


@dataclass(frozen=True)
class Whole:
    """A run that nothing stops: its folder, and what it makes."""

    folder: Path
    content: dict[str, bytes]


@cache
def load_modules() -> None:
    """Have in this process what runs import, so that those that are forked from it begin at once."""
    folder = scratch() / f"loaded-{os.getpid()}"
    folder.mkdir()
    prepare(folder)
    for job in (Job.SEARCH, Job.TRAIN):
        command(folder, *job.words, "--epochs", "1", "--force")
    shutil.rmtree(folder)


def whole(job: Job) -> Whole:
    """The whole run of a job, made once for all processes."""
    load_modules()
    folder = scratch() / "whole" / job.name
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        prepare(folder)
        done = finish(folder, *job.words)
        assert done.code == 0, done.said
        (folder / "done").touch()
    return Whole(folder, content(folder))


def wait_for_checkpoints(pid: int, folder: Path, count: int) -> None:
    """Wait until a run has written so many checkpoints, or has ended."""
    before = _checkpoints(folder)
    while count and not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        now = _checkpoints(folder)
        count -= now != before
        before = now
        time.sleep(0.0005)


def _checkpoints(folder: Path) -> list[int]:
    """When the checkpoints of a run were written."""
    return [path.stat().st_mtime_ns for path in sorted((folder / RUN).rglob(CHECKPOINT))]


def has_begun(folder: Path) -> bool:
    """Whether a run has left something to go on from."""
    return any((folder / RUN).rglob(CHECKPOINT)) or any((folder / RUN).rglob(DERIVED))


def content(folder: Path) -> dict[str, bytes]:
    """What a run has made: the bytes of its files, but for times, commands and the names of events."""
    found = {}
    for path in sorted((folder / RUN).rglob("*")):
        name = path.relative_to(folder / RUN)
        if path.is_dir() or EVENTS in name.parts or path.name in (LOG, LOCK, RECORD):
            continue
        found[str(name)] = path.read_bytes()
        if path.name == HISTORY:
            lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            found[str(name)] = repr([{**line, "seconds": 0} for line in lines]).encode()
    return found


def differences(found: dict[str, bytes], right: dict[str, bytes]) -> str | None:
    """How what a run has made differs from what it has to."""
    if litter := [name for name in found if UNFINISHED in name]:
        return f"half written files are left: {', '.join(litter)}"
    if found.keys() != right.keys():
        return f"other files: {', '.join(sorted(found.keys() ^ right.keys()))}"
    if other := [name for name, data in found.items() if data != right[name]]:
        return f"other bytes: {', '.join(other)}"
    return None

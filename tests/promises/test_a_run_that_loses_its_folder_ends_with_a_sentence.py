"""A run whose folder is deleted, full or read-only says so, with exit code 3, and goes on later where it can."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from compiler.commands.compile import compile_main
from compiler.searcher.engine.reporting.report import Report
from compiler.util import files
from tests.support.soak.runs import Job, prepare

RUN = Path("run")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(tmp_path)
    monkeypatch.chdir(tmp_path)


def run(words: Sequence[str], before: Callable[[], object] = lambda: None) -> tuple[int, str]:
    """The exit code and errors of a command in a process of its own: no other has a limit of the size of files."""
    reader, writer = os.pipe()
    if (pid := os.fork()) == 0:
        code = 99
        try:
            with open(writer, "w") as sys.stderr, open(os.devnull, "w") as sys.stdout:
                before()
                code = compile_main(words)
        finally:
            os._exit(code)
    os.close(writer)
    with open(reader) as said:
        text = said.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), text


def after_an_epoch(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Something happens to the folder after the first epoch of a run."""
    epoch = Report.epoch
    seen: list[object] = []

    def reported(self: Report, *args: object) -> None:
        epoch(self, *args)  # type: ignore[arg-type]
        if not seen:
            happens()
        seen.append(args)

    monkeypatch.setattr(Report, "epoch", reported)


def deleted() -> None:
    shutil.rmtree(RUN)


def replaced() -> None:
    shutil.rmtree(RUN)
    RUN.write_text("")


def full(size: int) -> Callable[[], None]:
    """No file can grow beyond a size; to a program that is a disk without space."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


@pytest.mark.parametrize("job", [Job.SEARCH, Job.TRAIN])
@pytest.mark.parametrize(("happens", "why"), [
    (deleted, "No such file or directory"), (replaced, "Not a directory"),
    (full(10), "File too large; --resume goes on from the last checkpoint"),
    (full(700), "File too large; --resume goes on from the last checkpoint"),
], ids=["deleted", "replaced", "full", "nearly full"])  # fmt: skip
def test_while_it_runs(job: Job, happens: Callable[[], None], why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    after_an_epoch(monkeypatch, happens)
    code, said = run(job.words)
    assert code == 3
    assert said.startswith("hdas-compile: the run ends, since 'run/")
    assert said.endswith(f"cannot be written: {why}\n")
    assert said.count("\n") == 1


def test_what_is_whole_is_gone_on_with() -> None:
    """A disk that is full at any time of a run, and has space again later."""
    codes = []
    for size in (200, 800, 3000, 100_000):
        resumed = ["--resume"] if any(RUN.rglob("checkpoint.safetensors")) else []
        codes.append(run([*Job.SEARCH.words, *resumed], full(size))[0])
    assert codes[0] == 3
    assert codes[-1] == 0
    whole = (RUN / "derived.hsp").read_bytes()
    shutil.rmtree(RUN)
    assert compile_main(Job.SEARCH.words) == 0
    assert (RUN / "derived.hsp").read_bytes() == whole
    assert not list(RUN.rglob(f"{files.UNFINISHED}*"))


def test_events_on_a_full_disk(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The last file that is written after an epoch: no thread prints a traceback."""
    opened = Path.open

    def failing(path: Path, *args: object, **kwargs: object) -> object:
        if path.parent.name == "events":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return opened(path, *args, **kwargs)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", failing)
    assert compile_main(Job.TRAIN.words) == 3
    said = capsys.readouterr().err
    assert "events.out.tfevents" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("out", ["run", "no/where/run"])
def test_a_folder_that_cannot_be_made(
    code: int, out: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(path: Path, *_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(Path, "mkdir", refused)
    assert compile_main([*Job.TRAIN.value, "--out", out]) == 2
    assert capsys.readouterr().err == f"hdas-compile: '{out}': {os.strerror(code)}\n"


@pytest.mark.parametrize("out", ["space.hsp", "space.hsp/run", "/dev/null"])
def test_a_folder_that_is_a_file(out: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = Path("space.hsp").read_bytes()
    assert compile_main([*Job.SEARCH.value, "--out", out]) == 2
    assert capsys.readouterr().err.startswith(f"hdas-compile: '{out}")
    assert Path("space.hsp").read_bytes() == before

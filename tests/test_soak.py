"""The soak finds what is wrong: a fault planted under each of its checks is seen, and is repeated by its seed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from compiler.searcher.engine.state import checkpoint
from compiler.searcher.engine.state.run_state import State
from compiler.util import files
from hdas_dsl.tree import ast
from hdas_dsl.tree.printer import print_module
from tests.support.paths import ROOT
from tests.support.soak import command, genotypes, kills, run_files, runs, texts
from tests.support.soak.case import Case, Check, Kind
from tests.support.soak.genotypes import check_genotype
from tests.support.soak.kills import check_kill
from tests.support.soak.run_files import check_run_file
from tests.support.soak.texts import check_text
from tests.support.soak.worker import Limits, outcomes

QUICK = Limits(cpu=60, wall=600, memory=1 << 30)
RUNS = Limits(cpu=300, wall=1200, memory=4 << 30)


@pytest.fixture(autouse=True)
def own_scratch() -> Iterator[None]:
    """Runs made without a fault are not taken for those with one."""
    runs.scratch.cache_clear()
    yield
    runs.scratch.cache_clear()


def wrong(check: Check, kind: Kind, count: int, limits: Limits = QUICK) -> list[str]:
    """What is found among the first cases."""
    found = outcomes(check, [Case(0, kind, number) for number in range(count)], limits)
    return [outcome.wrong for outcome in found if outcome.wrong is not None]


def raises(*_: object, **__: object) -> None:
    raise KeyError("planted")


def hangs(*_: object, **__: object) -> None:
    time.sleep(1000)


def spins(*_: object, **__: object) -> None:
    while True:
        pass


def swells(*_: object, **__: object) -> None:
    bytearray(3 << 30)


def dies(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (raises, "KeyError: 'planted'"),
        (spins, "it takes more than 0.5 s of CPU time"),
        (hangs, "it hangs: nothing after 1 s"),
        (swells, "it takes more memory than the limit"),
        (dies, "it ends the process: signal 9"),
    ],
)
def test_a_text_that_breaks_the_compiler(fault: object, seen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "compile_file", fault)
    limits = Limits(cpu=0.5) if fault is spins else Limits(cpu=60, wall=1) if fault is hangs else QUICK
    found = wrong(check_text, Kind.TEXT, 2, limits)
    assert len(found) == 2
    assert all(text.startswith(seen) for text in found), found


def test_a_text_that_is_printed_as_another(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = print_module

    def forgetful(module: ast.Module) -> str:
        return printed(ast.Module(module.lines[:-1])) if len(module.lines) > 1 else printed(module)

    monkeypatch.setattr(texts, "mutant", lambda case: (Path("x.hsp"), "hsp 1\nop f(x) = x\nop g(x) = x\n"))
    monkeypatch.setattr(texts, "print_module", forgetful)
    assert wrong(check_text, Kind.TEXT, 1) == ["round trip: what is printed is another tree"]


def test_a_text_that_is_refused_without_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "compile_file", lambda *_, **__: (None, []))
    assert set(wrong(check_text, Kind.TEXT, 5)) == {"it does not compile, and no error says why"}


def test_a_genotype_that_breaks_the_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(genotypes, "compile_file", raises)
    assert "KeyError: 'planted'" in "".join(wrong(check_genotype, Kind.GENOTYPE, 30))
    monkeypatch.setattr("hdas_dsl.genotype.read_genotype", raises)
    assert "exit code 3" in wrong(check_genotype, Kind.GENOTYPE, 1)[0]


def test_a_checkpoint_without_a_checksum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_files, "damaged", lambda data, _: data[:-1] + bytes([data[-1] ^ 1]))
    assert not wrong(check_run_file, Kind.RUN_FILE, 8, RUNS)
    monkeypatch.setattr(checkpoint, "_crc32", lambda *_: 0)
    runs.scratch.cache_clear()
    assert "the damage is not noticed" in "".join(wrong(check_run_file, Kind.RUN_FILE, 8, RUNS))


def test_a_run_that_goes_on_to_other_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits behind its first checkpoint to be killed, so that it surely goes on."""
    runs.whole(Case(0, Kind.KILL, 0).random().choice(list(runs.Job)))  # As long as nothing is planted.
    load, save = State.load, State.save

    def astray(self: State, path: Path, fingerprint: str, changed: Sequence[str] = ()) -> None:
        load(self, path, fingerprint, changed)
        next(iter(self.module.parameters())).data.add_(1)
        monkeypatch.setattr(State, "save", save)

    def waiting(self: State, path: Path, fingerprint: str) -> None:
        save(self, path, fingerprint)
        signal.pause()

    for owner, name, value in (
        *((kills, "BEGUN", 1.0), (kills, "MOST_CHECKPOINTS", 2)),
        *((State, "load", astray), (State, "save", waiting)),
    ):
        monkeypatch.setattr(owner, name, value)
    assert "other bytes" in "".join(wrong(check_kill, Kind.KILL, 1, RUNS))


def test_litter_of_a_killed_write(monkeypatch: pytest.MonkeyPatch) -> None:
    write = files.atomic_write

    def littering(path: Path, data: bytes | str) -> None:
        path.with_name(f"{files.UNFINISHED}x").write_bytes(b"")
        write(path, data)

    monkeypatch.setattr("compiler.runs.train.atomic_write", littering)
    monkeypatch.setattr("compiler.runs.search.atomic_write", littering)
    found = "".join(wrong(check_kill, Kind.KILL, 1, RUNS))
    assert "half written files are left" in found


def test_a_case_is_the_same_wherever_it_is_made() -> None:
    assert texts.mutant(Case(0, Kind.TEXT, 7)) == texts.mutant(Case(0, Kind.TEXT, 7))
    assert texts.mutant(Case(0, Kind.TEXT, 7)) != texts.mutant(Case(1, Kind.TEXT, 7))
    assert genotypes.mutant(Case(3, Kind.GENOTYPE, 1)) == genotypes.mutant(Case(3, Kind.GENOTYPE, 1))


def test_the_count_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def check(case: Case) -> str | None:
        return "planted" if (case.kind, case.number) == (Kind.TEXT, 3) else None

    monkeypatch.setattr(command, "CHECKS", {kind: (check, Limits(), 2) for kind in Kind})
    words = ["--record", str(tmp_path / "soak.json"), "--rounds"]
    assert command.main("", [*words, "1"]) == 0
    assert command.main("", [*words, "2"]) == 1
    shown = capsys.readouterr()
    assert "| text | 4 | 1 |" in shown.out
    assert "--only text 3 --seed 0: planted" in shown.out
    assert command.main("", ["--only", "text", "3"]) == 1
    assert command.main("", ["--only", "text", "2"]) == 0
    with pytest.raises(SystemExit):
        command.main("", [*words, "4", "--seed", "1"])


@pytest.mark.bench
def test_a_round() -> None:
    words = [sys.executable, str(ROOT / "bench/soak.py"), "--rounds", "1"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| text | 1,000 | 0 |" in done.stdout
    assert "| kill | 2 | 0 |" in done.stdout

"""The folder of a run: one run at a time, nothing of another is overwritten, nothing half written stays."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

import compiler
from compiler import Callback, EpochEvent
from compiler.commands.compile import compile_main
from compiler.run_report.listing import listed
from compiler.run_report.model import State
from compiler.run_report.reading import state_of
from compiler.runs.folder import held
from compiler.util.errors import UsageError
from compiler.util.files import UNFINISHED, replacing

TEXT = """hsp 1
use "lib/prim.hsp"
op skip(x) = x
network N(image: [1, 8, 8]) { output (relu | skip)(image) -> classifier(10) }
search N {
  data = fake(classes = 10, count = 16, channels = 1)
  epochs = 1
  batch = 8
}
"""

NETWORK = """hsp 1
use "lib/prim.hsp"
network N(image: [1, 8, 8]) { output image -> classifier(10) }
train N {
  data = fake(classes = 10, count = 16, channels = 1)
  epochs = 1
  batch = 8
  drop_path = 0
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "space.hsp").write_text(TEXT)
    (tmp_path / "network.hsp").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def search(*options: str) -> int:
    return compile_main(["space.hsp", "--search", "--out", "run", "--quiet", *options])


def train(*options: str) -> int:
    return compile_main(["network.hsp", "--train", "--out", "run", "--quiet", *options])


def test_one_run_at_a_time(folder: Path) -> None:
    with held(folder / "run"), pytest.raises(UsageError, match="another run is writing to"), held(folder / "run"):
        pass
    with held(folder / "run"):
        pass


@pytest.mark.parametrize("command", [search, train])
def test_a_run_beside_another_is_refused_in_one_sentence(
    folder: Path, command: object, capsys: pytest.CaptureFixture[str]
) -> None:
    with held(folder / "run"):
        assert command() == 2  # type: ignore[operator]
    assert (
        capsys.readouterr()
        .err.strip()
        .endswith("another run is writing to 'run': wait for it, or choose another --out")
    )
    assert command() == 0  # type: ignore[operator]


def test_the_lock_of_a_killed_process_holds_nothing(folder: Path) -> None:
    if (pid := os.fork()) == 0:
        with held(folder / "run"):
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert (folder / "run").is_dir()
    with held(folder / "run"):
        pass


def test_what_a_killed_run_left_half_written_is_removed(folder: Path) -> None:
    run = folder / "run"
    names = [run, run / "phase", run / "train"]
    for path in names:
        path.mkdir()
        with replacing(path / "derived.hsp") as part:
            part.write_text("whole")
        part.write_text("half")
        assert part.name.startswith(UNFINISHED)
    with held(run, [run / "phase"]):
        left = [[file.name for file in path.iterdir() if file.name.startswith(UNFINISHED)] for path in names]
        assert [len(files) for files in left] == [0, 0, 1]
        assert all((path / "derived.hsp").read_text() == "whole" for path in names)


@pytest.mark.parametrize("command", [search, train])
def test_a_finished_run_without_its_checkpoint_is_not_resumed(
    folder: Path, command: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command() == 0  # type: ignore[operator]
    (folder / "run" / "checkpoint.safetensors").unlink()
    before = {path: path.read_bytes() for path in (folder / "run").iterdir() if path.is_file()}
    assert command("--resume") == 2  # type: ignore[operator]
    assert "'run' holds no run to resume but the result of one" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in (folder / "run").iterdir() if path.is_file()} == before


def test_foreign_weights_are_not_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = folder / "run" / "weights.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(b"another's")
    assert train() == 2
    assert "'run/weights.safetensors' would be overwritten" in capsys.readouterr().err
    assert weights.read_bytes() == b"another's"
    assert train("--force") == 0


class Fail(Callback):
    """Ends a run by an error in its last epoch, or in that of one phase."""

    def __init__(self, phase: str = "") -> None:
        self.phase = phase

    def on_epoch(self, event: EpochEvent) -> None:
        if event.run.phase == self.phase:
            raise RuntimeError("it failed")


def test_a_run_that_starts_anew_has_no_result_of_the_one_before(folder: Path) -> None:
    run = folder / "run"
    compiler.search("space.hsp", run)
    with pytest.raises(RuntimeError, match="it failed"):
        compiler.search("space.hsp", run, force=True, epochs=2, callbacks=[Fail()])
    assert state_of(run) is State.STOPPED
    assert not (run / "derived.hsp").exists()
    compiler.search("space.hsp", run, force=True, relax="none", epochs=0, judge="proxy(naswot)", derive="random(2)")
    assert {path.name for path in run.iterdir()} & {"checkpoint.safetensors", "history.jsonl", "events"} == set()
    compiler.train("network.hsp", folder / "trained")
    with pytest.raises(RuntimeError, match="it failed"):
        compiler.train("network.hsp", folder / "trained", force=True, epochs=2, callbacks=[Fail()])
    assert state_of(folder / "trained") is State.STOPPED


def test_a_run_that_starts_anew_is_refused_before_it_removes_anything(folder: Path) -> None:
    assert search() == 0
    before = {path.name: path.stat().st_mtime_ns for path in (folder / "run").iterdir()}
    assert search("--force", "--data", "cifar10", "--data-root", "nowhere") != 0
    assert {path.name: path.stat().st_mtime_ns for path in (folder / "run").iterdir()} == before


def test_a_run_that_starts_anew_reads_its_file_from_the_folder(folder: Path) -> None:
    (folder / "run").mkdir()
    (folder / "run" / "derived.hsp").write_text(TEXT)
    with pytest.raises(RuntimeError, match="it failed"):
        compiler.search(folder / "run" / "derived.hsp", folder / "run", force=True, callbacks=[Fail()])
    assert (folder / "run" / "derived.hsp").read_text() == TEXT


def test_what_was_trained_of_the_architecture_before_is_set_aside(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its test would stand beside the new architecture's score; it is kept, as it may have taken days."""
    assert search() == 0
    train = folder / "run" / "train"
    assert compile_main(["run/derived.hsp", "--train", "--quiet", "--recipe", "network.hsp"]) == 0
    result = (train / "result.json").read_text()
    with held(train):
        assert search("--force") == 2
    assert (folder / "run" / "derived.hsp").is_file()
    assert search("--force", "--seed", "1") == 0
    (one,) = listed(folder / "run")
    assert one.test is None
    assert (folder / "run" / "train-before" / "result.json").read_text() == result
    assert "'run/train' is of the architecture that was found before: it is 'run/train-before' now" in "".join(
        capsys.readouterr()
    )


def test_no_phase_of_the_run_before_counts_as_finished(folder: Path) -> None:
    phases = TEXT.replace("search N {", "search {").replace("batch = 8", "batch = 8\n  phase one = N\n  phase two = N")
    (folder / "phases.hsp").write_text(phases)
    compiler.search("phases.hsp", folder / "run")
    with pytest.raises(RuntimeError, match="it failed"):
        compiler.search("phases.hsp", folder / "run", force=True, seed=1, callbacks=[Fail("one")])
    compiler.search("phases.hsp", folder / "run", resume=True, seed=1)
    assert "seed = 1" in (folder / "run" / "two" / "derived.hsp").read_text()


OWN = ("events/mine.txt", "pareto/mine.hsp", "source/mine.hsp", "train/1/cat.png", "trials/mine.txt", "report.html")


def test_a_run_in_a_folder_of_the_users_own_leaves_what_is_in_it(folder: Path) -> None:
    """`--out .` beside folders that have the names of a run's: with `--force` they were removed."""
    for name in OWN:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("mine")
    with (folder / "space.hsp").open("a") as file:
        file.write(NETWORK[NETWORK.index("train N") :])
    explored = ["relax=none", "derive=nsga2(2, pareto = (accuracy, macs))", "epochs=0", "judge=trained(epochs = 1)"]
    for options in ([], ["--force"], ["--force", *(word for item in explored for word in ("--set", item))]):
        assert compile_main(["space.hsp", "--search", "--out", ".", "--quiet", *options]) == 0
        assert all((folder / name).read_text() == "mine" for name in OWN)
    assert (folder / "pareto" / "front.csv").is_file()


def test_a_text_of_the_users_own_is_not_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor removed, once a run was searched from it."""
    (folder / "source").mkdir()
    own = folder / "source" / "space.hsp"
    own.write_bytes(TEXT.replace("\n", "\r\n").encode())
    for force in ([], ["--force"]):
        assert compile_main(["space.hsp", "--search", "--out", ".", "--quiet", *force]) == 2
        assert "'source/space.hsp' is of no run, and would be overwritten" in capsys.readouterr().err
    assert compile_main(["source/space.hsp", "--search", "--out", ".", "--quiet"]) == 0
    (folder / "other.hsp").write_text(TEXT)
    assert compile_main(["other.hsp", "--search", "--out", ".", "--quiet", "--force"]) == 0
    assert own.read_bytes() == TEXT.replace("\n", "\r\n").encode()
    (folder / "third.hsp").write_text(TEXT)
    assert compile_main(["third.hsp", "--search", "--out", ".", "--quiet", "--force"]) == 0
    assert {path.name for path in own.parent.iterdir()} == {"space.hsp", "third.hsp"}


def test_a_phase_may_have_the_name_of_what_is_set_aside(folder: Path) -> None:
    phases = TEXT.replace("search N {", "search {").replace("batch = 8", "batch = 8\n  phase versus = N")
    (folder / "phases.hsp").write_text(phases)
    for _ in range(2):
        compiler.search("phases.hsp", folder / "run", force=True)
    assert not (folder / "run" / "versus-before").exists()


def test_a_comparison_that_starts_anew_has_no_result_of_the_one_before(folder: Path) -> None:
    (folder / "run").mkdir()
    (folder / "run" / "versus.json").write_text("{}")
    (folder / "derived.hsp").write_text(NETWORK.replace("image ->", "relu(image) ->"))
    words = ["derived.hsp", "--versus", "1", "--space", "space.hsp", "--recipe", "network.hsp", "--out", "run"]
    (folder / "run" / "random-0.hsp").mkdir()  # It cannot be written.
    assert compile_main([*words, "--quiet", "--force"]) != 0
    assert not (folder / "run" / "versus.json").exists()

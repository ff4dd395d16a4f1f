"""Studies: planned as data, carried out by processes, with a table of means; killed, resumed, with runs that fail."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from statistics import mean

import numpy as np
import pytest
from scipy.stats import sem, t

from compiler.commands.study import main
from compiler.reports.columns import text_of
from compiler.reports.run_metrics import training_loss_of
from compiler.run_report.reading import study_of
from compiler.searcher.engine import RunInterruptedError
from compiler.searcher.settings.metric import Metric
from compiler.studies import conduct as conducting
from compiler.studies.conduct import StudyConfig, conduct
from compiler.studies.plan import Asked, StudyPlan, plan_study, read_seeds
from compiler.studies.report import Mean, choices, rows_of, runs_csv, table_csv, table_of
from compiler.studies.results import Result, ResultLog
from compiler.util.errors import UsageError
from hdas_dsl.text.diagnostics import HspError
from tests.support.paths import ROOT
from tests.support.processes import runs, until

TEXT = """\
hsp 1
op unit(x; k = 1, c = x.c) = x -> relu -> conv(k, c) -> batch_norm
choice Op = unit | unit(k = 3) | identity
network Net(image: [1, 8, 8]; c = 4, classes = 3) {
  stem = image -> conv(3, c) -> batch_norm
  n[i < 3] = prev(stem) -> Op
  output last of n -> classifier(classes)
}

search Net {
  data = fake(classes = 3, count = 48, channels = 1, size = 8)
  epochs = 1
  batch = 8
}

train Net {
  data = fake(classes = 3, count = 96, channels = 1, size = 8)
  batch = 8
  epochs = 1
}
"""

FAKE = """
import json, pathlib, sys, threading, time
action, file, *words = sys.argv[1:]
out = pathlib.Path(words[words.index("--out") + 1])
seed = int(words[words.index("--seed") + 1])
study = next(folder for folder in out.parents if (folder / "study.json").exists())
with (study / "calls").open("a") as calls:
    calls.write(" ".join([action, file, *words]) + "\\n")
if (study / "broken").exists() and seed == 1:
    sys.exit("hdas: no such data\\n")
if (study / "slow").exists() and seed == 2:
    (out / "trials.jsonl").write_text("")
    sys.stdin.read()
    sys.exit(130)
if (study / "broken-train").exists() and action == "train":
    sys.exit("hdas: no memory\\n")
if action == "search":
    text = pathlib.Path(file).read_text().partition("search Net")[0]
    text = text.replace("choice Op = unit | unit(k = 3) | identity", "op Op(x) = x")
    (out / "derived.hsp").write_text(text + f"provenance {{\\n  score = 0.{seed + 1}\\n}}\\n")
else:
    losses = [{"epoch": 1, "loss/train": 9.0}]  # Of an epoch that a killed run began again.
    losses += [{"epoch": k + 1, "loss/train": abs(seed - 2) + k / 2} for k in range(2)]
    (out / "history.jsonl").write_text("".join(json.dumps(line) + "\\n" for line in losses))
    (out / "result.json").write_text(json.dumps({"accuracy": 0.5 + seed / 10}))
"""
"""In place of `hdas`: seed 1 fails where there is a file `broken`, seed 2 waits for the end of its input at `slow`."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "net.hsp"
    path.write_text(TEXT)
    return path


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a study whose runs are the fake ones."""
    monkeypatch.setattr(conducting, "ATTACHED", (sys.executable, "-c", FAKE))
    return tmp_path / "study"


def calls(out: Path) -> list[str]:
    return (out / "calls").read_text().splitlines()


# ---------------------------------------------------------------- the plan


def test_all_combinations_are_planned(file: Path) -> None:
    asked = Asked(
        [file], (0, 3), ("c=4,8", "weights.lr=constant(0.1),cosine(0.1, 0)"), ("darts", "gdas"), ("epochs=2",), True
    )
    plan = plan_study(asked)
    assert len(plan.runs) == 2 * 2 * 2 * 2
    assert len(plan.combinations) == 8
    assert StudyPlan.model_validate_json(plan.model_dump_json()) == plan
    run = next(run for run in plan.runs if run.name == "net-darts-c=8-weights.lr=cosine_0.1_0/seed-3")
    search, train = run.steps
    sets = ("--set", "epochs=2", "--set", "c=8", "--set", "weights.lr=cosine(0.1, 0)")
    assert search.words == ("search", str(file), "--method", "darts", *sets, "--seed", "3", "--quiet")
    assert train.words == ("train", f"{run.name}/derived.hsp", "--seed", "3", "--quiet")


def test_what_cannot_run_is_seen_in_the_plan(file: Path) -> None:
    plan = plan_study(Asked([file], (0,), methods=("darts", "bignas")))
    refused = {run.combination: run.refused for run in plan.runs}
    assert not refused["net-darts"]
    assert "leaves none undecided" in refused["net-bignas"]
    with pytest.raises(UsageError, match="no parameter or setting of that name"):
        plan_study(Asked([file], (0,), grid=("no_such=1,2",)))
    file.with_name("wrong.hsp").write_text(TEXT.replace("identity", "identiy"))
    with pytest.raises(HspError):
        plan_study(Asked([file.with_name("wrong.hsp")], (0,)))
    with pytest.raises(UsageError, match="no such method"):
        plan_study(Asked([file], (0,), methods=("dart",)))
    with pytest.raises(UsageError, match="two combinations are called"):
        plan_study(Asked([file, file], (0,)))


def test_an_architecture_is_trained(file: Path) -> None:
    fixed = file.with_name("fixed.hsp")
    fixed.write_text(TEXT.partition("search Net")[0].replace("unit | unit(k = 3) | identity", "unit"))
    (run,) = plan_study(Asked([fixed], (0,), trains=True)).runs
    assert [step.words[0] for step in run.steps] == ["train"]
    with pytest.raises(UsageError, match="has no `search` section"):
        plan_study(Asked([fixed], (0,), methods=("darts",)))


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    """As derived files are, which all have one name."""
    files = [tmp_path / name for name in ("a/seed-0/derived.hsp", "b/seed-0/derived.hsp", "b/other.hsp")]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(TEXT)
    plan = plan_study(Asked(files, (0,)))
    assert [*plan.combinations] == ["a-seed_0-derived", "b-seed_0-derived", "other"]
    assert [run.steps[0].words[1] for run in plan.runs] == [str(path) for path in files]


@pytest.mark.parametrize("text", ["", "a", "0..", "..3", "3..1", "1,1", "0..2,2", "-1"])
def test_seeds(text: str) -> None:
    assert read_seeds("0..4") == (0, 1, 2, 3, 4)
    assert read_seeds("7,1..2") == (7, 1, 2)
    with pytest.raises(UsageError):
        read_seeds(text)


@pytest.mark.parametrize("text", ["c", "c=", "=4", "c=4,,8", "c=4,("])
def test_a_grid_that_is_none(file: Path, text: str) -> None:
    with pytest.raises(UsageError):
        plan_study(Asked([file], (0,), grid=(text,)))


def test_the_plan_is_printed(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        str(file),
        "--seeds",
        "0..2",
        "--method",
        "darts,bignas",
        "--train",
        "--dry-run",
        "-o",
        str(file.parent / "out"),
    ]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert said.startswith("3 runs of 1 combination; 1 is refused\nnet-darts: seeds 0, 1, 2\n")
    assert f"hdas search {file} --method darts" in said
    assert "net-bignas: refused: " in said
    assert not (file.parent / "out").exists()


def test_methods_that_bring_different_epochs_are_said(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Their results are not compared at equal cost; an explorer has no epochs of a supernet."""
    methods = ("darts", "gdas", "snas", "random_search")
    plan = plan_study(Asked([file], (0, 1), methods=methods, grid=("c=4,8",)))
    assert plan.warnings == tuple(
        f"{file} with c={c} is searched for different numbers of epochs: 1 by darts, 250 by gdas, 150 by snas; "
        "`--set epochs=N` gives all the same"
        for c in (4, 8)
    )
    assert not plan_study(Asked([file], (0,), methods=methods, sets=("epochs=3",))).warnings
    assert not plan_study(Asked([file], (0,), grid=("epochs=3,4",))).warnings
    words = [str(file), "--method", "darts,gdas", "--dry-run"]
    assert main(words) == 0
    assert "warning: " in capsys.readouterr().err


# ---------------------------------------------------------------- carried out


def test_a_failed_run_is_a_run_with_a_reason(file: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It takes no other with it, and is tried again."""
    out.mkdir()
    (out / "broken").touch()
    words = [str(file), "--seeds", "0..2", "--grid", "c=4,8", "--train", "--workers", "2", "-o", str(out)]
    assert main(words) == 3
    said = capsys.readouterr().out
    assert "failed: net-c=4/seed-1: search: hdas: no such data" in said
    assert "net-c=8      2 of 3  20.00% +- 127.06  60.00% +- 127.06" in said
    assert len(calls(out)) == 2 * (2 * 2 + 1)
    (out / "broken").unlink()
    assert main(words) == 2
    assert "--resume goes on with it" in capsys.readouterr().err
    assert main([*words, "--resume"]) == 0
    assert "net-c=8      3 of 3  20.00% +- 24.84  60.00% +- 24.84" in capsys.readouterr().out
    assert len(calls(out)) == 2 * (2 * 2 + 1) + 2 * 2
    rows = list(csv.DictReader((out / "runs.csv").open()))
    assert [(row["combination"], row["seed"], row["accuracy"]) for row in rows] == [
        (f"net-c={c}", str(seed), str(0.5 + seed / 10)) for c in (4, 8) for seed in range(3)
    ]
    assert all(int(row["params"]) > 0 for row in rows)


def test_of_several_trainings_the_loss_chooses_one(file: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The one that learns fastest, as the mean over its epochs says: no test image is asked for that."""
    words = [str(file), "--seeds", "0..3", "--train", "-o", str(out)]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert f"net: seed 2 has the lowest training loss; its test accuracy 70.00% ({out}/net/seed-2)" in said
    assert main([*words, "--resume", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["combinations"]
    assert found["best"] == 2
    assert found["means"]["loss"]["value"] == mean([2.25, 1.25, 0.25, 1.25])
    assert "net: seed 2 has the lowest training loss" in study_of("net", out).choices[0]
    plan, results = ResultLog(out).read()
    one = {name: results[name] for name in ("net/seed-0",)}
    old = {
        name: result.model_copy(update={"loss": None}) if result.seed == 2 else result
        for name, result in results.items()
    }
    assert not [*choices(rows_of(plan, one), out), *choices(rows_of(plan, old), out)]


def test_the_training_loss_is_read_from_what_a_training_wrote() -> None:
    folder = ROOT / "tests" / "fixtures" / "runs" / "a" / "train"
    lines = (folder / "history.jsonl").read_text().splitlines()
    found = training_loss_of(folder)
    assert found is not None
    assert found == pytest.approx(mean(json.loads(line)["loss/train"] for line in lines), abs=1e-12)
    assert training_loss_of(folder.parent) is None  # That of a search, whose losses have other names.


def test_a_step_that_ended_is_not_done_again(file: Path, out: Path) -> None:
    """Of a run whose training failed, the training is tried again, and goes on where it has a checkpoint."""
    out.mkdir()
    (out / "broken-train").touch()
    plan = plan_study(Asked([file], (0,), trains=True))
    (found,) = conduct(plan, StudyConfig(out), lambda _: None).values()
    assert found.failed == "train: hdas: no memory"
    (out / "broken-train").unlink()
    (out / "net" / "seed-0" / "train" / "checkpoint.safetensors").touch()
    (found,) = conduct(plan, StudyConfig(out, resume=True), lambda _: None).values()
    assert (found.failed, found.tested) == ("", 0.5)
    assert [line.split()[0] for line in calls(out)] == ["search", "train", "train"]
    assert ["--resume" in line for line in calls(out)] == [False, False, True]


def test_stopped_and_resumed(file: Path, out: Path) -> None:
    """What ended is kept, what runs is asked to end, and goes on with --resume."""
    out.mkdir()
    (out / "slow").touch()
    plan = plan_study(Asked([file], (2, 0, 1)))

    def stop() -> None:
        until(
            lambda: (out / "runs.jsonl").is_file() and len((out / "runs.jsonl").read_text().splitlines()) == 2,
            "two runs",
        )
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(RunInterruptedError, match="after 2 of 3 runs"):
        conduct(plan, StudyConfig(out, workers=2), lambda _: None)
    thread.join()
    assert "--resume" not in "".join(calls(out))
    (out / "slow").unlink()
    found = conduct(plan, StudyConfig(out, resume=True), lambda _: None)
    assert {name: result.score for name, result in found.items()} == {
        f"net/seed-{seed}": (seed + 1) / 10 for seed in range(3)
    }
    assert len(calls(out)) == 4
    assert "--resume" in calls(out)[-1]


def test_more_seeds_go_on_and_another_study_is_refused(file: Path, out: Path) -> None:
    conduct(plan_study(Asked([file], (0,))), StudyConfig(out), lambda _: None)
    found = conduct(plan_study(Asked([file], (0, 1))), StudyConfig(out, resume=True), lambda _: None)
    assert len(found) == len(calls(out)) == 2
    other = plan_study(Asked([file], (0,), sets=("epochs=9",)))
    with pytest.raises(UsageError, match="'net/seed-0' is another run"):
        conduct(other, StudyConfig(out, resume=True), lambda _: None)
    (out / "runs.jsonl").write_text("{\n")
    with pytest.raises(UsageError, match="is damaged"):
        ResultLog(out).start(other, resume=True)


def test_what_kills_a_run_is_said(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conducting, "ATTACHED", (sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"))
    (result,) = conduct(plan_study(Asked([file], (0,))), StudyConfig(tmp_path / "out"), lambda _: None).values()
    assert result.failed.startswith("search was killed by signal 9: see ")


def test_shares_are_joined(
    file: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tasks of an array carry out all runs, each once; a task that is started again tries again what failed."""
    words = [str(file), "--seeds", "0..4", "--train", "-o", str(out)]
    assert main([*words, "--share", "slurm"]) == 2
    assert "SLURM_ARRAY_TASK_ID or SLURM_ARRAY_TASK_COUNT is not set" in capsys.readouterr().err
    for name, value in {"MIN": "4", "STEP": "2", "COUNT": "3", "ID": "5"}.items():
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", value)
    assert main([*words, "--share", "slurm"]) == 2
    assert "task 5 is none of 3 from 4 by 2" in capsys.readouterr().err
    out.mkdir()
    (out / "broken").touch()
    for number, code in ((8, 0), (4, 0), (6, 3)):
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", str(number))
        assert main([*words, "--share", "slurm"]) == code
    assert "net          1 of 2  50.00%" in capsys.readouterr().out
    assert len(calls(out)) == 2 * 4 + 1
    (out / "broken").unlink()
    assert main([*words, "--share", "1/3"]) == 0
    assert main([*words, "--share", "1/3", "--resume"]) == 2
    assert len(calls(out)) == 2 * 5 + 1
    kept = [len((out / "shares" / f"{k}-of-3" / "runs.jsonl").read_text().splitlines()) for k in range(3)]
    assert kept == [2, 3, 1]  # A failed run and the same again are two lines.
    capsys.readouterr()
    assert main([*words, "--resume"]) == 0
    said = capsys.readouterr().out
    assert "net          5 of 5  30.00%" in said
    assert "of 5: net/seed-" not in said  # Every result was found, none made again.
    assert len(calls(out)) == 2 * 5 + 1
    assert len((out / "runs.jsonl").read_text().splitlines()) == 5


@pytest.mark.parametrize("text", ["", "1", "1/", "2/2", "-1/2", "a/b", "0/0"])
def test_a_share_that_is_none(file: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(file), f"--share={text}"]) == 2
    assert "is not a share: write 0/4" in capsys.readouterr().err


def test_only_trials_are_mirrored(file: Path) -> None:
    """Of a study with a storage those searches write to it that have an explorer."""
    other = file.with_name("other.hsp")
    other.write_text(TEXT.replace("  epochs = 1\n  batch = 8\n}\n\ntrain", "  derive = random(2)\n}\n\ntrain"))
    plan = plan_study(Asked([file, other], (0,), trains=True, optuna="sqlite:///x.db"))
    assert [[step.words[-2:] for step in run.steps] for run in plan.runs] == [
        [("0", "--quiet"), ("0", "--quiet")],
        [("--optuna", "sqlite:///x.db"), ("0", "--quiet")],
    ]


@pytest.mark.bench
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="asks /proc which processes there are")
def test_a_killed_study_leaves_nothing_behind_and_goes_on(file: Path) -> None:
    out = file.parent / "out"
    words = [str(file), "--seeds", "0..1", "--set", "epochs=60", "--workers", "2", "-o", str(out)]
    command = [sys.executable, "-m", "compiler", "study", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    study = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
    until(lambda: len(list(out.glob("*/*/checkpoint.safetensors"))) == 2, "two checkpoints")
    pids = [int(word) for word in Path(f"/proc/{study.pid}/task/{study.pid}/children").read_text().split()]
    pids += [int(w) for p in Path(f"/proc/{study.pid}/task").iterdir() for w in (p / "children").read_text().split()]
    study.kill()
    study.wait()
    assert pids
    until(lambda: not any(map(runs, pids)), "runs end with the study")
    assert not list(out.glob("*/*/derived.hsp"))
    time.sleep(0.1)
    done = subprocess.run([*command, "--resume"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2" in done.stdout


# ---------------------------------------------------------------- the table


def test_means_and_intervals() -> None:
    values = [0.5, 0.25, 0.75, 0.625]
    found = Mean.of(values)
    low, high = t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=sem(values))
    assert found.reach is not None
    assert np.allclose((found.value - found.reach, found.value + found.reach), (low, high))
    assert Mean.of([0.5]) == Mean(0.5, None)


def test_tables(file: Path) -> None:
    plan = plan_study(Asked([file], (0, 1)))
    some = Result(combination="net", seed=0, score=0.5, params=7)
    failed = Result(combination="net", seed=1, failed="no, really")
    found = {item.name: item for item in (some, failed)}
    (row,) = csv.DictReader(table_csv(rows_of(plan, found)).splitlines())
    assert (row["runs"], row["finished"], row["score"], row["score_interval"], row["accuracy"]) == (
        "2",
        "1",
        "0.5",
        "",
        "",
    )
    assert [line["failed"] for line in csv.DictReader(runs_csv(plan, found).splitlines())] == ["", "no, really"]
    mse = Metric(name="mse", larger=False, share=False)
    errors = {
        f"net/seed-{seed}": Result(combination="net", seed=seed, score=1.5, judged=mse, tested=2.0 + seed, metric=mse)
        for seed in (0, 1)
    }
    assert {"mse", "mse_interval"} <= set(table_csv(rows_of(plan, errors)).partition("\n")[0].split(","))
    head, line = text_of(table_of(rows_of(plan, errors))).splitlines()
    assert head.split() == ["combination", "runs", "score", "test", "mse"]
    assert line.split("  ")[-2:] == ["1.5 +- 0", "2.5 +- 6.35"]


def test_a_study_that_starts_anew_removes_nothing_but_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its folder may be the user's own: `--out . --force` removed all that was there, and the file itself."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.hsp").write_text(TEXT)
    words = [
        "net.hsp",
        "--seeds",
        "0",
        "--set",
        "epochs=0",
        "--set",
        "derive=random(1)",
        "--set",
        "judge=proxy(params)",
    ]
    words += ["--set", "relax=none", "--out", "."]
    assert main(words) == 0
    for name in ("notes.txt", "logs/mine.txt", "net/mine.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    left = tmp_path / "net" / "seed-0" / "left.txt"
    left.write_text("of the study")
    assert main([*words, "--force"]) == 0
    assert all((tmp_path / name).read_text() == "mine" for name in ("notes.txt", "logs/mine.txt", "net/mine.txt"))
    assert not left.exists()
    plan = tmp_path / "study.json"
    plan.write_text("{}")
    assert main([*words, "--force"]) == 2
    assert "'.' is damaged" in capsys.readouterr().err
    assert (tmp_path / "net.hsp").is_file()

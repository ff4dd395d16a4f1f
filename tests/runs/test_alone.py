"""`judge = proxy` and `judge = table`: explorers without a supernet and without training."""

from __future__ import annotations

import csv
import json
import re
import signal
from pathlib import Path
from statistics import mean
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from compiler import describe, search
from compiler.analysis.architectures import Architectures
from compiler.analysis.architectures.equivalence.classes import EquivalenceKeys
from compiler.program.equivalence import equivalence
from compiler.program.request import Request
from compiler.run_report.derived import said_of
from compiler.run_report.reading import run_of
from compiler.run_report.words import number_of
from compiler.runs.config import RunConfig
from compiler.runs.decided import number_text
from compiler.runs.plan import plan_search
from compiler.runs.proxies import proxies
from compiler.runs.search import search as run
from compiler.searcher.engine.errors import RunInterruptedError
from compiler.searcher.explore import progress
from compiler.searcher.explore.guided import spread
from compiler.searcher.explore.proposers import proposer_of
from compiler.searcher.explore.space import ExploredSpace
from compiler.searcher.explore.study import DEAD, Study, stream_of
from compiler.searcher.explore.tables import Lookup, Table
from compiler.searcher.explore.trials import History, Trial
from compiler.searcher.settings.exploring import Local
from compiler.util.errors import UsageError
from hdas_dsl.text.diagnostics import HspError
from tests.support.paths import SPACES

TEXT = """\
hsp 1
op unit(x; k = 1) = x -> relu -> conv(k) -> batch_norm
choice Op = zero | unit | unit(k = 3) | identity
network Net(image: [1, 8, 8]; classes = 3) {
  stem = image -> conv(3, 4) -> batch_norm
  n[i < 2] = sum(Op(each (stem, earlier n)))
  output last of n -> classifier(classes)
}
equivalence table {
  identity = transparent
  zero = term
  compare = texts
}
search Net {
  data = fake(classes = 3, count = 48, channels = 1, size = 8)
  relax = none
  epochs = 0
  derive = DERIVE
  judge = JUDGE
}
train Net {
  data = fake(classes = 3, count = 48, channels = 1, size = 8)
}
"""


def written(folder: Path, judge: str, derive: str = "random(12)") -> Path:
    path = folder / "net.hsp"
    path.write_text(TEXT.replace("JUDGE", judge).replace("DERIVE", derive))
    return path


def trials(folder: Path) -> list[Trial]:
    return [Trial.model_validate_json(line) for line in (folder / "trials.jsonl").read_text().splitlines()[1:]]


def judged(folder: Path) -> list[Trial]:
    """Those whose output depends on their input, and that did not fail otherwise."""
    return [trial for trial in trials(folder) if not trial.failed]


def listed(path: Path) -> Architectures:
    return Architectures(Request(path))


# ---------------------------------------------------------------- proxies


def test_the_best_by_a_proxy_is_derived(tmp_path: Path) -> None:
    report = search(written(tmp_path, "proxy(synflow, images = 6)"), tmp_path / "run")
    found = judged(tmp_path / "run")
    best = max(found, key=lambda trial: trial.score)
    listing = listed(tmp_path / "net.hsp")
    assert f'number = "{best.number}"' in report.text
    assert "judge = proxy(synflow, images = 6)" in report.text
    for trial in found[:3]:
        text = listing.architecture(trial.number).text
        said = proxies(text, (torch.zeros(2, 1, 8, 8), torch.zeros(2).long()), ["synflow"])  # Which sees no images.
        assert said["synflow"] == pytest.approx(trial.score)


def test_proxies_vote_by_ranks(tmp_path: Path) -> None:
    """The best has the highest mean rank of all trials; the log has what each proxy says, not what it means."""
    report = search(written(tmp_path, "proxy(params, synflow)", "random(10)"), tmp_path / "run")
    found = judged(tmp_path / "run")

    def rank(trial: Trial, name: str) -> float:
        others = [other.votes[name] for other in found]
        return sum(value < trial.votes[name] for value in others) + sum(v == trial.votes[name] for v in others) / 2

    ranks = [rank(trial, "params") + rank(trial, "synflow") for trial in found]
    best = found[ranks.index(max(ranks))]
    assert f'number = "{best.number}"' in report.text
    history = History()
    history.replay(trials(tmp_path / "run"))
    assert [history.merit(trial) for trial in found] == pytest.approx([value / (2 * len(found)) for value in ranks])


@pytest.mark.parametrize("value", [0.25, -2.5e9, 9.3e88])
def test_a_score_is_read_again_however_large_it_is(tmp_path: Path, value: float) -> None:
    """The language has no numbers beyond 2 ** 53; a perplexity that went out of hand, or a proxy, may be larger."""
    path = tmp_path / "derived.hsp"
    network = "network Net(image: [1, 8, 8]) {\n  output image -> conv(3, 4)\n}"
    path.write_text(f"hsp 1\n{network}\nprovenance {{\n  score = {number_text(value)}\n}}\n")
    assert number_of(said_of(Request(path).compile())["score"]) == value


def test_an_architecture_that_has_no_proxy_fails_with_a_reason(tmp_path: Path) -> None:
    """Without a ReLU there are no units to count; it is worse than any other, though proxies may be negative."""
    search(written(tmp_path, "proxy(naswot, images = 4)", "random(40)"), tmp_path / "run")
    failed = {trial.failed for trial in trials(tmp_path / "run") if trial.failed}
    assert failed >= {DEAD, "`naswot` compares images by the ReLUs that they activate, and 'Net' has none"}
    history = History()
    history.tell(Trial(id=0, number=0, budget=1, score=0.0, failed="nothing"))
    history.tell(Trial(id=1, number=1, budget=1, score=-5.0))
    assert history.best is not None
    assert history.best.id == 1


def test_resumed_votes_give_the_same_bytes(tmp_path: Path) -> None:
    path = written(tmp_path, "proxy(params, snip)", "evolution(12, population = 4, tournament = 2)")
    whole = search(path, tmp_path / "run")
    log = tmp_path / "run" / "trials.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:6]))
    (tmp_path / "run" / "derived.hsp").unlink()
    again = search(path, tmp_path / "run", resume=True)
    assert again.text == whole.text
    assert [json.loads(line)["number"] for line in log.read_bytes().splitlines()[1:]] == [
        json.loads(line)["number"] for line in lines[1:]
    ]


# ---------------------------------------------------------------- features of a predictor


def test_a_predictor_learns_from_proxies(tmp_path: Path) -> None:
    """Where the score is a proxy, and a feature: the best of 12 draws by it are judged first; a killed run goes on."""
    start = "predictor(9, start = 4, batch = 5, among = 12, trees = 5, features = (params, synflow)"
    path = written(tmp_path, "proxy(params)", f"{start}, initial = best)")
    report = search(path, tmp_path / "run")
    found = judged(tmp_path / "run")
    assert "features = (params, synflow), initial = best" in " ".join(report.text.split())
    log = tmp_path / "run" / "trials.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:7]))
    assert search(path, tmp_path / "run", resume=True).text == report.text
    search(written(tmp_path, "proxy(params)", f"{start})"), tmp_path / "drawn")
    assert min(trial.score for trial in found[:4]) > min(trial.score for trial in trials(tmp_path / "drawn")[:4])


def test_what_is_measured_is_shown_and_can_be_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Screening takes time before a trial begins: it is said how far it is, and it can be stopped.

    All 64 are measured to begin with, and again by what the forest learns from: each counts once.
    """
    monkeypatch.setattr(progress, "MEASURED", 32)
    derive = "predictor(2, start = 1, among = 64, trees = 5, features = params, initial = best(params, macs))"
    path = written(tmp_path, "proxy(params)", derive)
    config = RunConfig(tmp_path / "run", tmp_path, device="cpu")
    run(plan_search(Request(path), config), say=lambda _: None)
    assert re.findall("(.*) measured by proxies", capsys.readouterr().out) == ["32", "64"]
    monkeypatch.setattr(progress.TrialProgress, "measured", lambda *_: signal.raise_signal(signal.SIGINT))
    config = RunConfig(tmp_path / "other", tmp_path, device="cpu")
    with pytest.raises(RunInterruptedError, match="Stopped after 0 of 2 trials"):
        run(plan_search(Request(path), config), say=lambda _: None)


def test_what_is_first_without_features(tmp_path: Path) -> None:
    with pytest.raises(HspError, match="`initial = best` ranks by proxies"):
        search(written(tmp_path, "proxy(params)", "predictor(9, initial = best)"), tmp_path / "run")
    rows = np.array([[0.0, 0.0], [0.1, 0.0], [1.0, 1.0], [0.0, 1.0], [0.4, 0.5]])
    assert spread(rows, 3) == [4, 2, 0]
    assert spread(rows, 9)[3:] == [3, 1]


# ---------------------------------------------------------------- several objectives


def test_a_front_is_derived(tmp_path: Path) -> None:
    path = written(tmp_path, 'table("net.csv")', "nsga2(60, population = 8, pareto = (accuracy, macs))")
    rows = truth(path)
    report = search(path, tmp_path / "run")
    folder = tmp_path / "run" / "pareto"
    table = list(csv.DictReader((folder / "front.csv").open()))
    files = sorted(file.name for file in folder.glob("*.hsp"))
    assert [row["file"] for row in table] == files
    assert len(files) > 1
    scores, macs = ([float(row[name]) for row in table] for name in ("accuracy", "macs"))
    assert scores == sorted(scores, reverse=True)
    assert macs == sorted(macs, reverse=True)
    for row in table:
        text = (folder / row["file"]).read_text()
        assert float(row["accuracy"]) == pytest.approx(rows[int(row["number"])][0])
        assert describe(folder / row["file"])["macs"] == float(row["macs"])
        assert f'number = "{row["number"]}"' in text
    best = max(judged(tmp_path / "run"), key=lambda trial: trial.score)
    assert f'number = "{best.number}"' in report.text
    picture = (folder / "front.svg").read_text()
    assert picture.count('r="4"') == len(files)
    ElementTree.fromstring(picture)


# ---------------------------------------------------------------- tables


def truth(path: Path, keep: int = 1_000) -> dict[int, tuple[float, float, float]]:
    """A table of made-up accuracies: one row for each class of architectures; returns them by number."""
    listing = listed(path)
    part = listing.parts[0]
    alike = EquivalenceKeys(part.space, equivalence(listing.program.equivalences, "table"))
    first: dict[object, int] = {}
    rows, lines = {}, ["number,text,params,macs,validation0,test0,seconds0,validation1,test1,seconds1,decisions"]
    for number in range(listing.number):
        key = alike.key(listing.choices(number)[0])
        if key not in first and len(first) == keep:
            continue
        row = first.setdefault(key, number)
        values = (row * 37 % 101 / 101, row * 53 % 97 / 97, 10.0 + row)
        rows[number] = values
        if row == number:
            lines.append(f'{number},x,1,1,{values[0]},{values[1]},{values[2]},0.5,0.5,1,"{{}}"')
    path.with_suffix(".csv").write_text("\n".join(lines) + "\n")
    return rows


def test_a_table_steers_by_validation_and_reports_the_test(tmp_path: Path) -> None:
    path = written(tmp_path, 'table("net.csv")', "random(30)")
    rows = truth(path)
    said: list[str] = []
    run(plan_search(Request(path), RunConfig(tmp_path / "run", quiet=True)), said.append)
    found = judged(tmp_path / "run")
    assert [trial.score for trial in found] == [rows[trial.number][0] for trial in found]
    assert all(trial.seconds == pytest.approx(rows[trial.number][2]) for trial in found if trial.same is None)
    best = max(found, key=lambda trial: trial.score)
    assert f"test accuracy is {(rows[best.number][1] + 0.5) / 2:.2%}" in said[-1]


def test_seconds_of_the_rows_end_an_exploration(tmp_path: Path) -> None:
    path = written(tmp_path, 'table("net.csv", seconds = 500)', "random(1000)")
    rows = truth(path)
    search(path, tmp_path / "run")
    found = judged(tmp_path / "run")
    spent = [rows[trial.number][2] for trial in found if trial.same is None]
    assert sum(spent[:-1]) < 500 <= sum(spent)


def test_a_table_that_lacks_architectures(tmp_path: Path) -> None:
    path = written(tmp_path, 'table("net.csv")')
    rows = truth(path, keep=5)
    listing = listed(path)
    lacking = sorted(set(range(listing.number)) - rows.keys())
    message = f"lacks {len(lacking)} of {listing.number} architectures, the first is number {lacking[0]}: `partial"
    with pytest.raises(UsageError, match=message):
        search(path, tmp_path / "run")
    search(written(tmp_path, 'table("net.csv", partial = true)'), tmp_path / "run", force=True)
    assert {trial.number for trial in trials(tmp_path / "run")} <= rows.keys()


def test_a_log_is_a_table_for_the_next_run(tmp_path: Path) -> None:
    """Its trials by their numbers, and no others; those that failed are not known, and nothing was tested."""
    text = TEXT.replace("equivalence table", "equivalence other").replace("= 0\n", "= 0\n  unique = other\n")
    path = tmp_path / "net.hsp"
    path.write_text(text.replace("DERIVE", "random(40)").replace("JUDGE", "proxy(params)"))
    search(path, tmp_path / "first")
    first = {trial.number: trial for trial in judged(tmp_path / "first")}
    told = trials(tmp_path / "first")
    assert any(trial.same is not None and trial.number != told[trial.same].number for trial in first.values())
    log = tmp_path / "first" / "trials.jsonl"
    log.write_text(log.read_text() + '{"id":40,"numb')  # What a kill leaves.
    text = text.replace("  unique = other\n", "").replace("DERIVE", "random(60)")
    path.write_text(text.replace("JUDGE", 'table("first/trials.jsonl", partial = true)'))
    said: list[str] = []
    run(plan_search(Request(path), RunConfig(tmp_path / "run", quiet=True)), said.append)
    found = judged(tmp_path / "run")
    assert {trial.number for trial in trials(tmp_path / "run")} <= first.keys()
    assert [trial.score for trial in found] == [first[trial.number].score for trial in found]
    assert all(trial.seconds > 0 for trial in found if trial.same is None)
    assert "test accuracy" not in "".join(said)
    other = Architectures(Request(path, text=path.read_text().replace("zero | unit |", "unit | zero |"))).parts[0]
    with pytest.raises(UsageError, match=r"is of another space: its trial \d+ is not in 'Net'"):
        Table(log, other)
    log.write_text(log.read_text().replace('"number":', '"number":x', 1))
    with pytest.raises(UsageError, match=r"is damaged: [^;]*$"):
        Table(log, other)
    search(written(tmp_path, "proxy(params, synflow)"), tmp_path / "votes")
    with pytest.raises(UsageError, match="has ranks among its own trials"):
        Table(tmp_path / "votes" / "trials.jsonl", listed(path).parts[0])


def test_repeats_are_the_next_trainings_of_a_table(tmp_path: Path) -> None:
    """The best are asked for rows' other seeds; the best mean is derived, and the report says the same of it."""
    path = written(tmp_path, 'table("net.csv")\n  confirm = best(3, seeds = 1)', "random(12)")
    truth(path)
    lines = path.with_suffix(".csv").read_text().splitlines()
    other = {line.split(",")[0]: int(line.split(",")[0]) * 29 % 103 / 103 for line in lines[1:]}
    some = [line.replace(",0.5,0.5,1,", f",{other[line.split(',')[0]]},0.5,2.5,") for line in lines[1:]]
    path.with_suffix(".csv").write_text("\n".join([lines[0], *some]) + "\n")
    report = search(path, tmp_path / "run")
    found = trials(tmp_path / "run")
    again = [trial for trial in found if trial.repeat]
    assert len(again) == 3
    assert {trial.seconds for trial in again} == {2.5}
    judge = Lookup(Table(path.with_suffix(".csv"), listed(path).parts[0]))
    means = {trial.number: mean(it.validation for it in judge.trainings(trial.number, 1)) for trial in again}
    best, second = sorted(means, key=lambda number: -means[number])[:2]
    assert f'number = "{best}"' in report.text
    assert f"score = {means[best]:.4f}" in report.text
    assert f'number = "{second}"' in (tmp_path / "run" / "runner_up.hsp").read_text()
    (phase,) = run_of("run", tmp_path / "run").phases
    assert phase.runner_up is not None
    assert phase.runner_up.score == pytest.approx(means[second])
    log = Table(tmp_path / "run" / "trials.jsonl", listed(path).parts[0])
    assert Lookup(log, True, seeds=2).score(judge.space.candidate(best), 1).score == pytest.approx(means[best])
    with pytest.raises(UsageError, match=r"has 2 trainings of architecture .*, and `confirm` asks for more"):
        search(written(tmp_path, 'table("net.csv")\n  confirm = best(3)', "random(12)"), tmp_path / "more")


def test_rungs_of_a_table_of_one_budget(tmp_path: Path) -> None:
    path = written(tmp_path, 'table("net.csv")\n  rungs = halving(start = 1, to = 9)')
    truth(path)
    with pytest.raises(UsageError, match="trainings of one length"):
        search(path, tmp_path / "run")


def line_of(space: ExploredSpace, number: int) -> int:
    """Which line of the table below an architecture is, by the decisions that a person reads."""
    names = space.readable(space.candidate(number))
    edges = [(end, start) for end in range(3) for start in range(end + 1)]
    taken = [names[f"Cell.n{end}.from_{f'n{start - 1}' if start else 'x'}"] for end, start in edges]
    return sum(("none", "skip", "conv1", "conv3", "pool").index(name) * 5**at for at, name in enumerate(taken))


def check_local_ends(judge: Lookup) -> None:
    """Asked and told until no architecture is better that differs in one edge: all 24 were looked up."""
    proposer = proposer_of(Local(trials=5_000), judge.space, judge.budgets, stream_of(0), None)
    history = Study(judge.space, proposer, judge, lambda trial, history: None).run(())
    assert history.best is not None
    end = line_of(judge.space, history.best.number)
    digits = [end // 5**at % 5 for at in range(6)]
    near = {end + (item - digits[at]) * 5**at for at in range(6) for item in range(5)} - {end}
    assert len(near & {line_of(judge.space, trial.number) for trial in history.trials}) == 24
    assert all(line % 89 / 100 <= history.best.score for line in near)


def test_rows_of_strings_and_epochs(tmp_path: Path) -> None:
    """All 15,625 of NAS-Bench-201 by their strings; accuracies in percent; a rung looks up its own epochs."""
    part = Architectures(Request(SPACES / "nasbench201.hsp")).parts[0]
    ops = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
    lines = ["architecture,epochs,seed,validation,test,seconds"]
    for at in range(5**6):
        a, b, c, d, e, f = (ops[at // 5**place % 5] for place in range(6))
        text = f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|"
        lines += [f'"{text}",{epochs},777,{at % 89},{at % 97},{epochs}' for epochs in ((200,) if at else (12, 200))]
    table = tmp_path / "t.csv"
    table.write_text("\n".join(lines))
    judge = Lookup(Table(table, part))
    assert judge.budgets.whole == 200
    assert ExploredSpace(part).count == len({*range(5**6)} & set(judge.table.rows)) == 5**6
    found = judge.score(judge.space.candidate(0), 12)
    assert 0 <= found.score < 0.89
    assert found.seconds == 12
    for number in range(0, 5**6, 613):
        line = line_of(judge.space, number)
        (training,) = judge.trainings(number, 200)
        assert (training.validation, training.test) == (line % 89 / 100, line % 97 / 100)
    check_local_ends(judge)
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("architecture,validation,test\n|none~0|,1,1\n")
    with pytest.raises(UsageError, match=r"line 2, is not a row of 'NB201': '.none~0.' has 1 operations"):
        Table(wrong, part)

"""Proposers and judges of a user's own, as docs/plugins.md has them, and a study as an iterator of trials."""

from __future__ import annotations

import re
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from compiler import Callback, TrialEvent, contains, study
from compiler.backend import plugins
from compiler.searcher.engine.errors import EngineError
from compiler.searcher.explore.trials import Trial
from compiler.util.errors import LoweringError, UsageError
from tests.runs.test_explore import TEXT, trials
from tests.support.paths import DOCS

PAGE = (DOCS / "plugins.md").read_text()
HILL = re.findall(r"```python\n(.*?class Hill.*?)```", PAGE, re.DOTALL)[-1].rpartition("```python\n")[2]
NET = re.findall(r"```hsp\n(.*?)```", PAGE, re.DOTALL)[-1]


@pytest.fixture
def net(tmp_path: Path) -> Path:
    (tmp_path / "hill.py").write_text(HILL)
    path = tmp_path / "net.hsp"
    path.write_text(NET.replace("data = digits", "data = fake(classes = 10, count = 8, channels = 1, size = 8)"))
    return path


def hill(net: Path) -> Path:
    return net.with_name("hill.py")


def test_the_page_climbs(net: Path) -> None:
    out, seen = net.parent / "run", list[Trial]()
    found = list(study(net, out, plugins=[hill(net)], callbacks=[seen.append]))
    assert found == seen
    assert len(found) == 40
    best = 0.0
    for trial in found:
        threes = sum(item == "unit(k = 3)" for item in trial.decisions.values())
        assert trial.score == threes
        assert all(found[parent].score == best for parent in trial.parents)
        best = max(best, trial.score)
    assert best == 3
    assert contains(net, out / "derived.hsp", plugins=[hill(net)])


def test_a_study_that_is_left_goes_on(net: Path) -> None:
    whole, out = net.parent / "whole", net.parent / "out"
    every = list(study(net, whole, plugins=[hill(net)]))
    first = []
    for trial in study(net, out, plugins=[hill(net)]):
        first.append(trial)
        if len(first) == 7:
            break
    assert len(trials(out)) == 1 + 7
    with pytest.raises(UsageError, match="unfinished run"):
        study(net, out, plugins=[hill(net)])
    rest = list(study(net, out, plugins=[hill(net)], resume=True))
    assert [t.number for t in first + rest] == [t.number for t in every]
    assert (out / "derived.hsp").read_bytes() == (whole / "derived.hsp").read_bytes()


def test_a_callback_ends_a_study_also_where_it_is_left(net: Path) -> None:
    class Enough(Callback):
        def on_trial(self, trial: TrialEvent) -> bool:
            return trial.id == 4

    whole, out = net.parent / "whole", net.parent / "out"
    every = list(study(net, whole, plugins=[hill(net)], callbacks=[Enough()]))
    assert [trial.id for trial in every] == list(range(5))
    assert contains(net, whole / "derived.hsp", plugins=[hill(net)])
    for trial in study(net, out, plugins=[hill(net)], callbacks=[Enough()]):
        if trial.id == 4:
            break
    assert list(study(net, out, plugins=[hill(net)], resume=True)) == []
    assert (out / "derived.hsp").read_bytes() == (whole / "derived.hsp").read_bytes()


def test_a_judge_that_raises_is_the_reason_of_a_trial(net: Path) -> None:
    hill(net).write_text(HILL.replace("return float(", "return 1 / text.count('identity') + float("))
    found = list(study(net, net.parent / "run", plugins=[hill(net)]))
    failed = [trial for trial in found if trial.failed]
    assert all("ZeroDivisionError" in trial.failed for trial in failed)
    assert len({bool(trial.failed) for trial in found}) == 2 or not failed
    hill(net).write_text(HILL.replace("return float(", "return 1 / 0 + float("))
    with pytest.raises(EngineError, match=r"gave an architecture to derive; `id` 0 in trials\.jsonl failed: ZeroDiv"):
        list(study(net, net.parent / "none", plugins=[hill(net)]))


def test_what_is_not_allowed_is_not_run(net: Path) -> None:
    hill(net).write_text("raise SystemExit")
    with pytest.raises(UsageError, match=r"--allow-plugin hill\.py allows it"):
        list(study(net, net.parent / "run"))
    hill(net).write_text(HILL.replace("class Hill(OwnProposer)", "class Hill"))
    with pytest.raises(UsageError, match="is not an `OwnProposer`"):
        list(study(net, net.parent / "run", plugins=[hill(net)]))
    hill(net).write_text(HILL.replace("__call__", "say"))
    with pytest.raises(UsageError, match="cannot be called"):
        list(study(net, net.parent / "run", plugins=[hill(net)]))
    hill(net).write_text("x = 1")
    with pytest.raises(LoweringError, match="has no"):
        list(study(net, net.parent / "run", plugins=[hill(net)]))


def test_entry_points(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They name a class of a module, which is allowed as any."""
    offered = EntryPoints(
        EntryPoint(name, f"hill_package:{made}", group)
        for name, made, group in (("hill", "Hill", "hdas.proposers"), ("threes", "Threes", "hdas.judges"))
    )
    monkeypatch.setattr(plugins, "entry_points", lambda group: offered.select(group=group))
    monkeypatch.syspath_prepend(str(net.parent))
    (net.parent / "hill_package.py").write_text(HILL)
    words = 'own("hill", trials = 5)', 'own("threes")'
    with pytest.raises(UsageError, match="--allow-plugin hill_package allows it"):
        list(study(net, net.parent / "run", derive=words[0], judge=words[1]))
    found = study(net, net.parent / "run", plugins=["hill_package"], derive=words[0], judge=words[1])
    assert len(list(found)) == 5
    with pytest.raises(UsageError, match=r"no entry point 'threse' of 'hdas\.judges': did you mean 'threes'"):
        list(study(net, net.parent / "other", plugins=["hill_package"], judge='own("threse")'))


def test_without_an_explorer_no_trial_is_given(tmp_path: Path) -> None:
    path = tmp_path / "net.hsp"
    text = TEXT.replace("evolution(9, population = 3, tournament = 2)", "strongest").replace("epochs = 2", "epochs = 1")
    path.write_text(text.replace("  judge = shared(images = 16, calibrate = 1)\n", "").replace("= fixed", "= adam"))
    assert list(study(path, tmp_path / "run")) == []
    assert (tmp_path / "run" / "derived.hsp").is_file()

"""Trials in an Optuna storage; it needs Optuna."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler import study
from compiler.runs import mirror
from compiler.runs.mirror import OptunaMirror
from compiler.util.errors import UsageError
from tests.runs.test_own import hill, net

__all__ = ["net"]


def test_without_optuna_it_is_refused(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"pip install 'hdas-dsl\[optuna\]'"):
        OptunaMirror(net, "sqlite://", "net")


def test_a_storage_has_every_trial_once(net: Path) -> None:
    """Decisions that exist, scores and reasons; a run that goes on, and one mirrored again, adds what is new."""
    optuna = pytest.importorskip("optuna", reason="Optuna is not installed: pip install 'hdas-dsl[optuna]'")
    text = hill(net).read_text()
    hill(net).write_text(text.replace("return float(", "return 1 / (text.count('k = 3') - 1) * 0 + float("))
    storage = f"sqlite:///{net.parent}/trials.db"
    made = OptunaMirror(net, storage, "net", plugins=[hill(net)])
    found = []
    for trial in study(net, net.parent / "run", plugins=[hill(net)], callbacks=[made]):
        found.append(trial)
        if len(found) == 5:
            break
    again = OptunaMirror(net, storage, "net", plugins=[hill(net)])
    for trial in found:
        again(trial)
    found += study(net, net.parent / "run", plugins=[hill(net)], callbacks=[again], resume=True)
    there = optuna.load_study(storage=storage, study_name="net")
    assert len(there.trials) == len(found) == 40
    for ours, theirs in zip(found, there.trials, strict=True):
        assert theirs.params == ours.decisions
        assert theirs.value == (None if ours.failed else ours.score)
        assert theirs.user_attrs["number"] == str(ours.number)
        assert (theirs.state is optuna.trial.TrialState.FAIL) == bool(ours.failed)
    assert there.best_value == max(trial.score for trial in found)

"""Trials in an Optuna storage; it needs Optuna."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler import study
from compiler.commands.compile import compile_main
from compiler.runs import mirror
from compiler.runs.mirror import OptunaMirror
from compiler.util.errors import UsageError
from tests.runs.test_explore import TEXT
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


def test_a_search_writes_to_a_storage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command line names a study by the run's folder; trials that the run had before are written too."""
    optuna = pytest.importorskip("optuna", reason="Optuna is not installed: pip install 'hdas-dsl[optuna]'")
    file, out, storage = tmp_path / "net.hsp", tmp_path / "out", f"sqlite:///{tmp_path}/trials.db"
    file.write_text(TEXT.replace("judge = shared(images = 16, calibrate = 1)", "judge = proxy(params)").replace(
        "epochs = 2", "epochs = 0").replace("relax = sample\n  alphas = fixed", "relax = none"))  # fmt: skip
    words = [str(file), "--search", "--quiet", "--out", str(out), "--optuna"]
    assert compile_main([*words, "sqlite:////no/such/folder/x.db"]) == 2
    assert "cannot open the storage 'sqlite:////no/such/folder/x.db'" in capsys.readouterr().err
    assert compile_main([*words, storage]) == 0
    there = optuna.load_study(storage=storage, study_name=out.as_posix()).trials
    assert [trial.user_attrs[mirror.NUMBER] for trial in there] == list(range(9))
    later = OptunaMirror(file, storage, "later")
    later.catch_up(out / "trials.jsonl")
    assert [trial.value for trial in later.study.trials] == [trial.value for trial in there]
    file.write_text(TEXT.replace("evolution(9, population = 3, tournament = 2)", "strongest").replace("judge = ", "# "))
    assert compile_main([*words, storage, "--force"]) == 2
    assert "no explorer proposes any" in capsys.readouterr().err

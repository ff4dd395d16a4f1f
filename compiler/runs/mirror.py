"""Trials in an Optuna storage, which its dashboard shows (extra `optuna`).

    hdas search net.hsp --optuna sqlite:///trials.db
    for trial in study("net.hsp", "runs/net", callbacks=[OptunaMirror("net.hsp", "sqlite:///trials.db", "net")]): ...

It is a mirror: `trials.jsonl` stays the truth, and nothing is read from the storage but which trials it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from compiler.backend.plugins import allow
from compiler.derivation.strongest import readable
from compiler.ir.decision import Decision, selections
from compiler.program.request import Request
from compiler.searcher.explore.trial_log import recorded
from compiler.searcher.explore.trials import Trial
from compiler.util.errors import UsageError

NUMBER = "hdas: trial"
"""The attribute of a trial of Optuna that says which of ours it is."""
MOST = 1_000
"""A pick that may take more sets than this is an attribute, and no parameter of Optuna."""


class OptunaMirror:
    """Writes each trial that is done into a study of Optuna; one that is there already is left as it is.

    Decisions are categorical parameters, those that exist in the architecture; what the trial says beside is in its
    attributes, and one that could not be judged has failed.

    Args:
        path: the .hsp file, or how it is read.
        storage: the address of the storage, such as ``sqlite:///trials.db``.
        name: of the study there; it is made where there is none.
        plugins: as in `compiler.load`.

    Raises:
        HspError: the file is wrong.
        UsageError: Optuna is not installed, the file has nothing to search, or there is no such storage.
    """

    def __init__(self, path: str | Path | Request, storage: str, name: str, plugins: Sequence[str | Path] = ()) -> None:
        if find_spec("optuna") is None:
            raise UsageError("a mirror needs Optuna: pip install 'hdas-dsl[optuna]'")
        import optuna

        request = path if isinstance(path, Request) else Request(Path(path), externals=allow(plugins))
        program = request.compile()
        if not program.phases:
            raise UsageError(f"'{program.name}' has no `search` section: nothing of it is searched")
        self.choices = {
            path: labels
            for phase in program.phases
            for path, decision in phase.network.decisions.items()
            if (labels := _labels(decision)) is not None
        }
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            self.study: Any = optuna.create_study(
                storage=storage, study_name=name, direction="maximize", load_if_exists=True
            )
        except Exception as error:  # Each kind of storage has errors of its own.
            reason = str(error).partition("\n")[0]
            raise UsageError(f"Optuna cannot open the storage '{storage}': {reason}") from None
        self.known = {trial.user_attrs.get(NUMBER) for trial in self.study.trials}

    def catch_up(self, log: Path) -> None:
        """Write the trials of a file of them; one that is not there has none.

        Raises:
            UsageError: it is damaged.
        """
        for event in recorded(log):
            if isinstance(event, Trial):
                self(event)

    def __call__(self, trial: Trial) -> None:
        """Write a trial."""
        import optuna

        if trial.id in self.known:
            return
        self.known.add(trial.id)
        shown = {path: label for path, label in trial.decisions.items() if path in self.choices}
        rest = {path: label for path, label in trial.decisions.items() if path not in self.choices}
        said = {NUMBER: trial.id, "number": str(trial.number), "budget": trial.budget, "parents": list(trial.parents)}
        said |= {"repeat": trial.repeat} if trial.repeat else {}
        distribution = optuna.distributions.CategoricalDistribution
        self.study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState.FAIL if trial.failed else optuna.trial.TrialState.COMPLETE,
                value=None if trial.failed else trial.score,
                params=shown,
                distributions={path: distribution(self.choices[path]) for path in shown},
                user_attrs={**said, **rest, **({"failed": trial.failed} if trial.failed else {})},
            )
        )


def _labels(decision: Decision) -> list[str] | None:
    """What a decision may be, as trials say it; None where that is too much."""
    found: list[str] = []
    for items in selections(decision):
        found.append(readable({decision.path: decision}, {decision.path: items})[decision.path])
        if len(found) > MOST:
            return None
    return list(dict.fromkeys(found))

"""Optuna's samplers as proposers: the laws of all explorers hold for them. They need Optuna."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from statistics import mean

import pytest

from compiler.program.request import Request
from compiler.runs import plan
from compiler.runs.config import RunConfig
from compiler.runs.plan import plan_search
from compiler.searcher.engine.errors import DivergedError
from compiler.searcher.explore.space import Candidate
from compiler.searcher.settings.exploring import OptunaSampler, RandomDraws, Sampled, Shipped
from compiler.util.errors import UsageError
from tests.analysis.test_architectures import net
from tests.runs.test_explore import TEXT
from tests.searcher import test_asynchronous, test_explorers
from tests.searcher.test_explorers import Table, explore, explored

NUMBERS = net(
    "k = 1 | 3 | 5",
    "j = 1 | 3 | 5",
    "w = 1 | 2 | 3 | 4",
    "v = 1 | 2 | 3 | 4",
    "output x -> conv(k, 4 * w) -> conv(j, 4 * v)",
)
SAMPLERS = [
    pytest.param(sampler, marks=pytest.mark.skipif(missing, reason="Optuna is not installed: pip install '.[optuna]'"))
    for sampler in OptunaSampler
    for missing in [any(find_spec(name) is None for name in Sampled(trials=1, sampler=sampler).needs)]
]

BETTER = {OptunaSampler.TPE: 1.5, OptunaSampler.NSGA2: 1.2, OptunaSampler.CMAES: 3.0}
"""By how much more than independent draws a sampler has to score: less than it does, more than its first draws do."""


class Middle(Table):
    """Likes the items of which the numbers are near to 1; some cannot be judged."""

    def score(self, found: Candidate, budget: int, repeat: int = 0) -> float:
        if found.number == 5:
            raise DivergedError("too fast")
        return -float(sum((items[0] - 1) ** 2 for items in found.choices.values()))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_laws_of_explorers(sampler: OptunaSampler, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proposals lie in the space, follow from the trials alone, wherever a run is cut, and several run at once.

    Generations and beginnings are shortened, so that samplers learn something within so few trials.
    """
    from optuna import samplers

    short = {OptunaSampler.NSGA2: "NSGAIISampler", OptunaSampler.TPE: "TPESampler", OptunaSampler.CMAES: "CmaEsSampler"}
    made = getattr(samplers, short[sampler])
    few = {"population_size": 4} if sampler is OptunaSampler.NSGA2 else {"n_startup_trials": 2}
    monkeypatch.setattr(samplers, short[sampler], lambda **named: made(**named, **few))
    word = Sampled(trials=14, sampler=sampler)
    for name in ("tied", "none to b of n", "inside an item", "costs"):
        test_explorers.test_what_is_proposed_is_an_architecture_that_is_required(name, word)
    test_explorers.test_equal_architectures_are_judged_once(word)
    for text in (test_explorers.FREE, NUMBERS):
        monkeypatch.setattr(test_explorers, "FREE", text)
        monkeypatch.setattr(test_asynchronous, "FREE", text)
        test_explorers.test_trials_that_are_read_again_rebuild_the_proposer(word, Table, monkeypatch)
        test_asynchronous.test_a_run_goes_on_wherever_it_was_cut(word, 3)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_it_learns(sampler: OptunaSampler) -> None:
    """What is proposed late is better than draws, in the mean."""
    space = explored(NUMBERS)

    def late(word: Shipped) -> float:
        return mean(trial.score for trial in explore(space, word, Middle()).trials[70:] if not trial.failed)

    assert late(Sampled(trials=130, sampler=sampler)) > late(RandomDraws(trials=130)) + BETTER[sampler]


def test_without_optuna_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "net.hsp"
    file.write_text(TEXT.replace("evolution(9, population = 3, tournament = 2)", "optuna(9, sampler = cmaes)"))
    monkeypatch.setattr(plan, "find_spec", lambda name: None if name == "cmaes" else name)
    with pytest.raises(
        UsageError, match=r"`derive = optuna\(9, sampler = cmaes\)` needs cmaes: pip install 'hdas-dsl\["
    ):
        plan_search(Request(file), RunConfig(tmp_path / "out"))

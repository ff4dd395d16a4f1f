"""Laws of the predictor: what its forest learns from, what it asks of, and what it takes."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from statistics import pstdev

import pytest
from sklearn.ensemble import RandomForestRegressor

from compiler.searcher.explore import predictor
from compiler.searcher.explore.guided import Guided
from compiler.searcher.explore.predictor import Features, Forest
from compiler.searcher.explore.proposer import Budgets
from compiler.searcher.explore.space import Candidate, ExploredSpace, same_of
from compiler.searcher.explore.study import Study, stream_of
from compiler.searcher.settings.exploring import (
    Acquisition,
    InitialBest,
    Predictor,
    RandomDraws,
    Shipped,
)
from compiler.searcher.settings.judges import ProxyName
from compiler.util.seeds import mix
from tests.analysis.test_architectures import net
from tests.searcher.test_explorers import FREE, PLAIN, Table, explore, explored


def test_features_say_which_items_are_taken() -> None:
    space = explored(net("n0 = a(x) | (b | C)(x)", "output n0"))
    features = Features(space.part.space.decisions)
    rows = {tuple(row) for row in features([space.candidate(n).choices for n in range(space.count)]).tolist()}
    assert len(rows) == space.count, "different architectures have different features"
    assert {sum(row) for row in rows} == {1, 2, 3}, "what does not exist has none"


@pytest.mark.parametrize("seen", [None, 25], ids=["all", "at most 25"])
def test_the_mean_and_the_deviation_are_those_of_the_forest(seen: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    space = explored(PLAIN)
    rows = Features(space.part.space.decisions)([space.candidate(n).choices for n in range(space.count)])
    scores = [Random(n).random() for n in range(40)]
    if seen is not None:
        monkeypatch.setattr(predictor, "SEEN", seen)
    means, spreads = Forest(rows[:40], scores, 20, 7)(rows[40:])
    forest = RandomForestRegressor(20, random_state=7, max_samples=seen, max_features=1 / 3).fit(rows[:40], scores)
    each = [tree.predict(rows[40:]) for tree in forest.estimators_]
    assert means == pytest.approx(forest.predict(rows[40:]))
    assert spreads == pytest.approx([pstdev(values) for values in zip(*each, strict=True)])


def test_a_predictor_takes_those_with_the_best_mean() -> None:
    """Of a whole space that is small enough, as a forest of its own says."""
    space = explored(
        net(*(f"n{i} = (a | b | identity)({'x' if not i else f'n{i - 1}'})" for i in range(4)), "output n3")
    )
    word = Predictor(trials=12, start=6, batch=3, trees=5)
    history = explore(space, word, Table(3))
    features = Features(space.part.space.decisions)
    assert space.count == 81
    for first in (6, 9):
        before, found = history.trials[:first], history.trials[first : first + 3]
        numbers = [trial.number for trial in before]
        others = [n for n in range(space.count) if n not in numbers]
        rows, asked = (features([space.candidate(n).choices for n in many]) for many in (numbers, others))
        seed = stream_of(3)(first).getrandbits(32)
        means, _ = Forest(rows, [trial.score for trial in before], 5, seed)(asked)
        best = dict(zip(others, means.tolist(), strict=True))
        assert [best[trial.number] for trial in found] == sorted(best.values(), reverse=True)[:3]


def test_a_predictor_screens_a_space_with_no_more_architectures_than_it_may_ask_of() -> None:
    """The best by a feature are judged first, of alike ones one; then all others are asked of, each measured once."""
    chain = net(*(f"n{i} = (a | b | identity)({'x' if not i else f'n{i - 1}'})" for i in range(4)), "output n3")
    part = explored(chain).part
    space = ExploredSpace(part, same=same_of(part, "functional"))
    assert space.count == 81
    asked: Counter[int] = Counter()

    def measure(found: Candidate, names: Sequence[ProxyName]) -> dict[str, float]:
        asked[found.number] += 1
        return {name: float(-found.number if name is ProxyName.MACS else found.number) for name in names}

    word = Predictor(trials=28, start=24, batch=2, among=81, trees=5, features=(ProxyName.MACS,), initial=InitialBest())
    proposer = Guided(space, Budgets(1, 1), stream_of(3), word, measure)
    judge = Table(3)
    history = Study(space, proposer, judge, lambda *_: None).run()
    keys = list(dict.fromkeys(space.key(number) for number in range(81)))
    assert len(keys) < 81
    assert [space.key(trial.number) for trial in history.trials[:24]] == keys[:24]
    assert [trial.number for trial in history.trials[:24]] != [*range(24)]
    assert proposer.listed is not None
    assert set(asked) == {*range(81)}
    assert max(asked.values()) <= 2, "once to screen, once to learn"
    by = InitialBest(names=(ProxyName.SYNFLOW, ProxyName.ZEN))
    for features, often in (((ProxyName.MACS,), 2), ((), 1)):
        other = word.model_copy(update={"features": features, "initial": by})
        asked.clear()
        history = Study(space, Guided(space, Budgets(1, 1), stream_of(3), other, measure), judge, lambda *_: None).run()
        assert space.key(history.trials[0].number) == space.key(80), "by proxies that the forest does not see"
        assert max(asked.values()) == often
    fewer = Guided(space, Budgets(1, 1), stream_of(3), word.model_copy(update={"among": 80}), measure)
    assert fewer.listed is None
    assert len(fewer._to_screen()) < 80, "draws, some of which repeat"


def test_a_predictor_takes_those_with_the_best_draws() -> None:
    """Of neighbours and draws, by a normal draw for each from the stream of the round."""
    space = explored(PLAIN)
    word = Predictor(trials=9, start=6, batch=3, among=10, trees=5, acquisition=Acquisition.THOMPSON)
    history = explore(space, word, Table(3))
    before, found = history.trials[:6], history.trials[6:]
    proposer = Guided(space, Budgets(1, 1), stream_of(3), word)
    assert proposer.listed is None
    asked, source = proposer._asked(before)
    assert 3 < len(asked) <= 20
    assert not {trial.number for trial in before} & {*asked}
    forest = Forest(
        proposer.features([space.candidate(t.number) for t in before]),
        [t.score for t in before],
        5,
        source.getrandbits(32),
    )
    hopes = [source.gauss(*pair) for pair in zip(*forest(proposer.features([*asked.values()])), strict=True)]
    best = dict(zip(asked, hopes, strict=True))
    assert [trial.number for trial in found] == sorted(best, key=lambda number: -best[number])[:3]


def test_a_forest_learns_from_a_tenth_more_than_the_one_before() -> None:
    """Each round at first, so that few trials are used at once; ever more rarely later, so that many are cheap."""
    proposer = Guided(explored(FREE), Budgets(1, 1), stream_of(0), Predictor(trials=20_000, batch=10))
    assert [proposer.learned(k) for k in range(10, 201, 10)] == [*range(10, 201, 10)]
    learned = [proposer.learned(k) for k in range(10, 10_001, 10)]
    forests = sorted(set(learned))
    assert all(
        21 * count <= 20 * after and 10 * after <= max(11 * count, 10 * count + 100)
        for count, after in itertools.pairwise(forests)
    )
    assert all(
        count <= k and 10 * k < max(11 * count, 10 * count + 100)
        for count, k in zip(learned, range(10, 10_001, 10), strict=True)
    )
    assert len(forests) == 63


def test_a_predictor_finds_what_draws_do_not() -> None:
    """Where scores are sums over choices, with noise: the regret of 30 trials, mean of ten seeds, is a third less."""
    space = explored(
        net(*(f"n{i} = (a | b | identity)({'x' if not i else f'n{i - 1}'})" for i in range(7)), "output n6")
    )

    @dataclass
    class Sums(Table):
        def score(self, found: Candidate, budget: int, repeat: int = 0) -> float:
            parts = (Random(mix(self.seed, path, items[0])).gauss(0, 1) for path, items in found.choices.items())
            return sum(parts) + Random(mix(self.seed, found.number)).gauss(0, 0.1)

    def regret(word: Shipped, seed: int) -> float:
        judge = Sums(seed)
        best = explore(space, word, judge).best
        assert best is not None
        return max(judge.score(space.candidate(n), 1) for n in range(space.count)) - best.score

    guided = sum(regret(Predictor(trials=30, start=10, batch=5, among=40, trees=20), seed) for seed in range(10))
    assert guided < 2 / 3 * sum(regret(RandomDraws(trials=30), seed) for seed in range(10))

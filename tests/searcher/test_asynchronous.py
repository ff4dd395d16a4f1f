"""Several trials at once: proposals follow from the lines of the file, also where trials end in another order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from compiler.searcher.explore.proposer import Budgets
from compiler.searcher.explore.proposers import proposer_of
from compiler.searcher.explore.space import ExploredSpace
from compiler.searcher.explore.study import Judged, Study, stream_of
from compiler.searcher.explore.trial_log import TrialLog
from compiler.searcher.explore.trials import Asked, Event, History, Trial
from compiler.searcher.settings.exploring import Evolution, Local, RandomDraws, Shipped
from compiler.searcher.settings.rungs import Halving, Rungs
from compiler.util.errors import UsageError
from compiler.util.seeds import mix
from tests.analysis.test_architectures import SMALL
from tests.searcher.test_explorers import EXPLORERS, FREE, Table, explore, explored, timeless


class Arriving:
    """Judges that end in an order which is a function of those that run, and of a seed."""

    def __init__(self, space: ExploredSpace, judge: Table, count: int, seed: int) -> None:
        self.space, self.judge, self.count, self.seed = space, judge, count, seed
        self.running: dict[int, Asked] = {}
        self.most = 0

    def start(self, asked: Asked) -> None:
        self.running[asked.id] = asked
        self.most = max(self.most, len(self.running))
        pairs = [(item.number, item.budget) for item in self.running.values()]
        assert len(set(pairs)) == len(pairs), "an architecture is judged twice at once"

    def wait(self) -> Judged:
        ids = sorted(self.running)
        asked = self.running.pop(Random(mix(self.seed, *ids)).choice(ids))
        return Judged(asked.id, self.judge.score(self.space.candidate(asked.number), asked.budget))


def at_once(
    space: ExploredSpace,
    word: Shipped,
    count: int,
    known: Sequence[Event] = (),
    rungs: Rungs | None = None,
    seed: int = 0,
) -> tuple[list[Event], Arriving]:
    """The lines of a run with ``count`` workers, and these."""
    judge, events = Table(budgets=Budgets(1, 2)), list(known)
    workers = Arriving(space, judge, count, seed)
    proposer = proposer_of(word, space, judge.budgets, stream_of(3), rungs)
    Study(space, proposer, judge, lambda trial, _: events.append(trial), events.append, workers).run(known)
    return events, workers


def ended(events: Sequence[Event]) -> list[Trial]:
    return [event for event in events if isinstance(event, Trial)]


@pytest.mark.parametrize("word", EXPLORERS.values(), ids=EXPLORERS)
@pytest.mark.parametrize("count", [2, 5])
def test_a_run_goes_on_wherever_it_was_cut(word: Shipped, count: int) -> None:
    """The same proposals follow, and what was being judged is judged first."""
    space = explored(FREE)
    whole, workers = at_once(space, word, count)
    assert workers.most > 1
    assert [trial.id for trial in ended(whole)] != sorted(trial.id for trial in ended(whole))
    for cut in range(len(whole)):
        assert at_once(space, word, count, whole[:cut])[0] == whole


@pytest.mark.parametrize("word", EXPLORERS.values(), ids=EXPLORERS)
@pytest.mark.parametrize("name", SMALL)
def test_what_is_proposed_at_once_lies_in_the_space_and_is_judged_once(name: str, word: Shipped) -> None:
    space = explored(SMALL[name])
    events, workers = at_once(space, word, 3)
    assert max(workers.judge.asked.values()) == 1
    first = {trial.id: trial for trial in ended(events)}
    for trial in first.values():
        assert space.part.uncounted.met(space.completed(space.candidate(trial.number)))
        before = first[trial.id if trial.same is None else trial.same]
        assert (before.number, before.budget, before.score) == (trial.number, trial.budget, trial.score)
        assert all(parent in first for parent in trial.parents)


@pytest.mark.parametrize("name", ["random", "genetic"])
def test_rounds_do_not_depend_on_who_ends_first(name: str) -> None:
    """A round waits for the one before: the judged architectures are those of one worker."""
    space, word = explored(FREE), EXPLORERS[name]
    alone = {(t.number, t.budget) for t in explore(space, word, Table(budgets=Budgets(1, 2))).trials}
    assert {(t.number, t.budget) for t in ended(at_once(space, word, 4)[0])} == alone


def test_rungs_wait_for_the_one_below() -> None:
    space, word = explored(FREE), RandomDraws(trials=20)
    rungs = Halving(start=2, to=20, by=3)
    alone = timeless(explore(space, word, None, rungs=rungs))
    several = ended(at_once(space, word, 4, rungs=rungs)[0])
    assert {(t.id, t.number, t.budget) for t in several} == {(t.id, t.number, t.budget) for t in alone}


def test_a_mutant_descends_from_what_is_known() -> None:
    """The parents of a proposal ended before it began, among the last of a population."""
    events, _ = at_once(explored(FREE), Evolution(trials=60, population=5, tournament=3), 4)
    known: list[int] = []
    mutants = 0
    for event in events:
        if isinstance(event, Trial):
            known.append(event.id)
        elif event.parents:
            mutants += 1
            assert set(event.parents) <= set(known[-5:])
    assert mutants > 40


def test_local_ends_where_no_neighbour_is_better_also_at_once() -> None:
    space = explored(FREE)
    events, _ = at_once(space, Local(trials=500), 4)
    history = History()
    history.replay(events)
    assert history.best is not None
    end = space.candidate(history.best.number)
    assert all((near.number, 1) in history.known for near in space.neighbours(end, Random(0)))


def test_fewer_workers_go_on_with_what_more_began() -> None:
    space, word = explored(FREE), RandomDraws(trials=12)
    whole = {(t.id, t.number) for t in explore(space, word).trials}
    events, _ = at_once(space, word, 5)
    begun = [event for event in events if not isinstance(event, Trial)][:5]
    for count in (1, 2):
        assert {(t.id, t.number) for t in ended(at_once(space, word, count, begun)[0])} == whole


def test_the_file_keeps_the_order_and_refuses_another(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    events, _ = at_once(explored(FREE), EXPLORERS["evolution"], 3)
    log = TrialLog(path, "run")
    log.start(resume=False)
    for event in events:
        log.append(event)
    assert TrialLog(path, "run").start(resume=True) == events
    lines = path.read_bytes().splitlines(keepends=True)
    for wrong in (lines[:1] + lines[2:], [*lines, lines[-1]], [*lines[:2], lines[1], *lines[2:]]):
        path.write_bytes(b"".join(wrong))
        with pytest.raises(UsageError, match="another run"):
            TrialLog(path, "run").start(resume=True)

"""A proposer that learns from the trials which architectures may be good."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from math import isfinite
from random import Random

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from compiler.searcher.settings.exploring import Acquisition, InitialBest, InitialDrawn, Predictor
from compiler.searcher.settings.judges import ProxyName

from .predictor import Features, Forest
from .proposer import Budgets, Proposal, Proposer, Stream
from .space import Candidate, ExploredSpace
from .trials import History, Trial, merit_among, strongest

LOWEST = -1e30
"""What stands for a feature that is not a number."""

LATER = 10
"""A forest serves until about one more in so many trials is told: each round at first, ever more rarely later."""

Measure = Callable[[Candidate, Sequence[ProxyName]], Mapping[str, float]]
"""What is known of an architecture before a trial, by name."""


class Guided(Proposer):
    """What a predictor that learns from the trials expects to be best (`predictor`).

    ``measure`` gives the proxies of a candidate, where the word names any.
    """

    def __init__(
        self, space: ExploredSpace, budgets: Budgets, stream: Stream, word: Predictor, measure: Measure | None = None
    ) -> None:
        super().__init__(space, budgets, stream)
        self.word, self.measure = word, measure
        assert measure is not None or not (word.features or word.screening)
        self.decisions = Features(space.part.space.decisions)
        self.round: tuple[int, list[Candidate]] = 0, []
        """The architectures of the last round that was asked for, after so many trials, the best first."""
        self.kept: dict[int, NDArray[np.float32]] = {}
        """The features, by number, of the architectures that a forest learned from or that all rounds ask of."""
        self.forest: tuple[int, Forest | None] = 0, None
        """The last forest, after the trials that it learned from."""
        self.screened: list[Candidate] = []
        """Those that are judged first, where they are not drawn."""

    @property
    def total(self) -> int:
        """So many as it is told to."""
        return self.word.trials

    def following(self, history: History, k: int) -> Proposal | None:
        """One of the first, then the next of those that look best; a draw where all candidates are known."""
        word = self.word
        if k < word.start:
            return self.proposed(self._first(k))
        place = (k - word.start) % word.batch
        if self.round[0] != k - place:
            if (before := history.between(0, k - place)) is None:
                return None
            self.round = k - place, self._best(before)
        best = self.round[1]
        return self.proposed(best[place] if place < len(best) else self.space.drawn(self.stream(k)))

    def _first(self, k: int) -> Candidate:
        """A draw, or one of those that are screened."""
        if not isinstance(self.word.initial, InitialDrawn) and not self.screened:
            self.screened = self._screened(self._to_screen())
        return self.screened[k] if k < len(self.screened) else self.space.drawn(self.stream(k))

    def _to_screen(self) -> list[Candidate]:
        """As many draws as a round has, or every architecture where there are no more."""
        if self.space.count <= self.word.among and self.space.listed is not None:
            return self.space.listed
        source = self.stream(0)
        drawn = (self.space.drawn(source) for _ in range(self.word.among))
        return list({found.number: found for found in drawn}.values())

    def _screened(self, many: list[Candidate]) -> list[Candidate]:
        """The first ``start``: the best by mean rank of proxies, no two equivalent, or those far from each other."""
        if not isinstance(self.word.initial, InitialBest):
            return [many[at] for at in spread(ranks(self.features(many)), self.word.start)]
        means = ranks(self._measured(many, self.word.screening)).mean(1)
        differing: dict[Hashable, Candidate] = {}
        for at in sorted(range(len(many)), key=lambda at: -means[at]):
            if len(differing) == self.word.start:
                break
            differing.setdefault(self.space.key(many[at].number), many[at])
        return list(differing.values())

    def features(self, many: Sequence[Candidate]) -> NDArray[np.float32]:
        """A row for each architecture, (architectures, features): its decisions, then what is measured."""
        measured = self._measured(many, self.word.features)
        return np.hstack([self.decisions([found.choices for found in many]), measured])

    def _measured(self, many: Sequence[Candidate], names: Sequence[ProxyName]) -> NDArray[np.float32]:
        """Proxies of architectures, (architectures, names)."""
        if self.measure is None or not names:
            return np.zeros((len(many), 0), dtype=np.float32)
        rows = np.asarray([list(self.measure(found, names).values()) for found in many], dtype=np.float64)
        # A forest sees the order alone; synflow is larger than float32 takes.
        found: NDArray[np.float32] = (np.sign(rows) * np.log1p(np.abs(rows))).astype(np.float32)
        return np.nan_to_num(found, nan=LOWEST, posinf=-LOWEST, neginf=LOWEST)

    def _keep(self, many: Iterable[Candidate]) -> None:
        """Compute the features of architectures once."""
        if fresh := list(many):
            self.kept.update(zip((found.number for found in fresh), self.features(fresh), strict=True))

    def _rows(self, many: Sequence[Candidate]) -> NDArray[np.float32]:
        """Their features, (architectures, features): those of a space that is asked whole are kept."""
        if self.listed is None:
            return self.features(many)
        self._keep(found for found in many if found.number not in self.kept)
        return np.stack([self.kept[found.number] for found in many])

    @property
    def listed(self) -> list[Candidate] | None:
        """Every architecture, where each round asks of all: in a small space, by means.

        What is measured takes time, so that a space is then small where it has no more than a round has draws.
        """
        small = not self.word.features or self.space.count <= self.word.among
        return self.space.listed if small and self.word.acquisition is Acquisition.MEAN else None

    def learned(self, k: int) -> int:
        """How many trials the forest learned from that serves after ``k``, those of whole rounds.

        What all forests cost together grows as the trials do, since each has a share more of them than the one before.
        """
        found, batch = self.word.start, self.word.batch
        while (later := found + max(found // (LATER * batch), 1) * batch) <= k:
            found = later
        return found

    def _learned(self, trials: Sequence[Trial], seed: int) -> Forest:
        """The forest that serves after these trials, from the seed of the first round that it served in."""
        count = self.learned(len(trials))
        if self.forest[0] == count and self.forest[1] is not None:
            return self.forest[1]
        known = merits(trials[:count], merit_among(trials[:count]))
        self._keep(self.space.candidate(number) for number in known if number not in self.kept)
        rows = np.stack([self.kept[number] for number in known])
        if count < len(trials):  # The run was resumed after that round.
            seed = self._asked(trials[:count])[1].getrandbits(32)
        forest = Forest(rows, list(known.values()), self.word.trees, seed)
        self.forest = count, forest
        return forest

    def _asked(self, trials: Sequence[Trial]) -> tuple[dict[int, Candidate], Random]:
        """The architectures that the round after these trials chooses from, by number, and its stream after them."""
        source = self.stream(len(trials))
        known = {trial.number for trial in trials}
        parents = [self.candidate(trial) for trial in strongest(trials, self.word.batch, merit_among(trials))]
        return {found.number: found for found in self._among(parents, source) if found.number not in known}, source

    def _best(self, trials: Sequence[Trial]) -> list[Candidate]:
        """The candidates of a round, in the order of what the forest thinks of each, or of draws from that."""
        asked, source = self._asked(trials)
        if not asked:
            return []
        forest = self._learned(trials, source.getrandbits(32))
        means, spreads = forest(self._rows(list(asked.values())))
        hopes: Sequence[float] = means.tolist()
        if self.word.acquisition is Acquisition.THOMPSON:
            hopes = [source.gauss(mean, spread) for mean, spread in zip(means, spreads, strict=True)]
        order = sorted(zip(hopes, asked.values(), strict=True), key=lambda pair: (-pair[0], pair[1].number))
        return [found for _, found in order[: self.word.batch]]

    def _among(self, parents: Sequence[Candidate], source: Random) -> Iterator[Candidate]:
        """What the predictor is asked of: all where they are listed, else neighbours of the parents and draws."""
        if self.listed is not None:
            yield from self.listed
            return
        count = self.word.among
        near = (self.space.mutated(source.choice(parents), source) for _ in range(count))
        yield from (found for found in near if found is not None)
        yield from (self.space.drawn(source) for _ in range(count))


def ranks(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Each column as ranks from 0 to 1; equal values share their mean rank."""
    found: NDArray[np.float64] = (rankdata(rows, axis=0) - 0.5) / len(rows)
    return found


def spread(rows: NDArray[np.float64], count: int) -> list[int]:
    """Rows far from each other: the one nearest to the mean, then each time the one whose nearest is farthest."""
    chosen = [int(np.square(rows - rows.mean(0)).sum(1).argmin())]
    nearest = np.square(rows - rows[chosen[0]]).sum(1)
    while len(chosen) < min(count, len(rows)):
        nearest[chosen] = -1.0
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.square(rows - rows[chosen[-1]]).sum(1))
    return chosen


def merits(trials: Sequence[Trial], merit: Callable[[Trial], float]) -> dict[int, float]:
    """How good the architectures of trials are, by number; a failed one is as good as the worst that did not fail."""
    found = {trial.number: merit(trial) for trial in trials}
    worst = min((value for value in found.values() if isfinite(value)), default=0.0)
    return {number: max(value, worst) for number, value in found.items()}

"""The best-scoring architecture among those that satisfy what a space requires.

The score is the sum of the log-probabilities of all decisions, with one that does not exist at its strongest item: so
the derivation rule (`decide.strongest`) is the best there is without requirements. The candidates of a pick between
menus count where they are picked, as strong as the rule measures them.

Decisions are eliminated one after the other, as in `optimum`, but what is kept of a decision is every way to take it
that another does not beat in score and costs. That is exact as long as all of these can be kept. Otherwise the answer
is the best that was found, and the Lagrangian bound says how much better another could be at most.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product

import numpy as np

from compiler.analysis.costs.elimination import Factor, Variables, maximum, minimum, order, range_of
from compiler.analysis.costs.existence import Entangled, Monomial
from compiler.analysis.costs.prices import Amount, Undefined
from compiler.derivation.strongest import default_decisions, strongest
from compiler.ir.decision import Selection
from compiler.searcher.settings.sections import By
from compiler.util.errors import UsageError

from .evaluate import Requirements, shown
from .limits import Column, columns
from .pareto_labels import Labels, Numbers, joined
from .score import score_of, scores_of

LARGEST = 20_000
"""How many joint cases of decisions labels are kept for."""

STEPS = 60
"""How many multipliers are tried for the Lagrangian bound."""


class Unsatisfiable(UsageError):
    """No architecture, or none that could be found, satisfies what is required."""


@dataclass(frozen=True)
class Answer:
    """The decisions, their score, and a bound: no architecture that satisfies the requirements scores more."""

    chosen: Selection
    score: float
    bound: float
    free: float
    """The score without requirements."""

    @classmethod
    def of(cls, chosen: Selection) -> Answer:
        """What the derivation rule decides, where that satisfies all that is required."""
        return cls(chosen, 0.0, 0.0, 0.0)

    @property
    def gap(self) -> float:
        """How much better another could be at most; 0 where the answer is proved."""
        return max(self.bound - self.score, 0.0)

    @property
    def told(self) -> str:
        """What requirements cost, for people; nothing where the derivation rule satisfies them by itself."""
        lost = self.free - self.score
        if lost <= 0:
            return ""
        proved = "the best there is" if self.gap < 1e-9 else f"another may score up to {self.gap:.4f} more"
        return f"log-probability {lost:.4f} below the strongest architecture; {proved}"


def best(wanted: Requirements, alphas: Mapping[str, Sequence[float]], by: By) -> Answer:
    """The best-scoring architecture that satisfies the requirements; that of the derivation rule where it does.

    Args:
        wanted: the requirements of a space.
        alphas: raw architecture parameters of each decision that has any, one per item.
        by: how strength is measured between the candidates of a pick.

    Raises:
        Unsatisfiable: there is none, or none was found.
        Undefined: a quantity has no value.
        Entangled: one cannot be written down.
    """
    decisions = wanted.space.decisions
    chosen = strongest(decisions, alphas, by)
    scores = scores_of(decisions, alphas, by)
    free = score_of(scores, chosen)
    if wanted.met(chosen):
        return Answer(chosen, free, free, free)
    return _Search(wanted, scores, free).answer(chosen)


@dataclass(frozen=True, eq=False)
class _Message:
    """What is left of a decision: labels for every case of the decisions that it is still tied to."""

    scope: tuple[int, ...]
    labels: Mapping[tuple[int, ...], Labels]
    variable: int
    feeds: tuple[int, ...]
    """Earlier messages that its labels are made of."""


class _Search:
    def __init__(self, wanted: Requirements, scores: Mapping[Monomial, float], free: float) -> None:
        self.wanted, self.scores, self.free = wanted, scores, free
        self.variables = Variables(wanted.space.decisions)
        self.columns = [column for column in columns(wanted.requirements) if not self.is_idle(column)]
        self.formulas = [wanted.formula(column.total) for column in self.columns]
        self.exact = all(formula.exact for formula in self.formulas)
        self.score_factors, self.score_constant = self.variables.factors(scores.items())
        self.cost_factors: list[list[Factor]] = []
        self.constants: list[Amount] = []
        for column, formula in zip(self.columns, self.formulas, strict=True):
            # What is counted too often is safe for what may be large at most, what is counted too rarely for the least.
            terms = formula.terms if column.sign > 0 else formula.least
            factors, constant = self.variables.factors((m, column.sign * v) for m, v in terms.items())
            self.cost_factors.append(factors)
            self.constants.append(constant)

    def answer(self, unconstrained: Selection) -> Answer:
        self.refuse_impossible()
        found, certain = self.by_labels()
        candidates = list(self.by_multipliers()) if not certain else []
        bound = min((bound for _, bound in candidates), default=self.free)
        options = ([found] if found is not None else []) + [chosen for chosen, _ in candidates if chosen is not None]
        if not options:
            conditions = " and ".join(f"`{r.condition.span.text}`" for r in self.wanted.requirements)
            if certain and self.exact:
                raise Unsatisfiable(f"no architecture of '{self.wanted.space.name}' meets {conditions} together")
            raise Unsatisfiable(f"no architecture of '{self.wanted.space.name}' was found that meets {conditions}")
        top = max(options, key=lambda chosen: score_of(self.scores, chosen))
        score = score_of(self.scores, top)
        return Answer(self.readable(top, unconstrained), score, score if certain and self.exact else bound, self.free)

    def is_idle(self, column: Column) -> bool:
        """Whether no architecture comes to a limit."""
        if not column.once or math.isinf(column.limit):
            return False
        span = range_of(self.wanted.formula(column.total), self.variables)
        return (span.high if column.sign > 0 else -span.low) <= column.limit

    def refuse_impossible(self) -> None:
        """Refuse a requirement that no architecture meets by itself."""
        for column, formula in zip(self.columns, self.formulas, strict=True):
            span = range_of(formula, self.variables)
            low = span.low if column.sign > 0 else -span.high
            if low > column.limit:
                word, side = ("most", "least") if column.sign > 0 else ("least", "most")
                exact = span.low_exact if column.sign > 0 else span.high_exact
                reached = "" if exact else "a bound: "
                raise Unsatisfiable(
                    f"no architecture of '{self.wanted.space.name}' has `{column.total}` at {word} "
                    f"{shown(column.sign * _tidy(column.limit))}: {reached}at {side} it is {shown(column.sign * low)}"
                )

    def readable(self, chosen: Selection, unconstrained: Selection) -> Selection:
        """The answer, with candidates that are not picked as the derivation rule leaves them."""
        result = dict(chosen)
        for path, decision in self.wanted.space.decisions.items():
            for index, candidate in enumerate(decision.candidates):
                if candidate is not None and index not in chosen[path]:
                    result[candidate] = unconstrained[candidate]
        return result

    # ------------------------------------------------------------ labels

    def by_labels(self) -> tuple[Selection | None, bool]:
        """The best decisions that satisfy the requirements, and whether none that could do better was left out."""
        tables = [(factor, None) for factor in self.score_factors]
        costs = [(factor, k) for k, factors in enumerate(self.cost_factors) for factor in factors]
        # Every table of costs is lowered to a least entry of 0: then a partial sum beyond the limit stays beyond it.
        limits = np.array([column.limit for column in self.columns], dtype=float) - np.array(
            self.constants, dtype=float
        )
        lowered: list[tuple[Factor, int | None]] = list(tables)
        for factor, k in costs:
            least = factor.table.min()
            limits[k] -= least
            lowered.append((Factor(factor.scope, factor.table - least), k))
        scopes = [factor.scope for factor, _ in lowered]
        messages: list[_Message] = []
        open_: list[int] = []
        pending = list(lowered)
        for index in order(self.variables, scopes):
            mine = [(factor, k) for factor, k in pending if index in factor.scope]
            pending = [(factor, k) for factor, k in pending if index not in factor.scope]
            feeds = tuple(number for number in open_ if index in messages[number].scope)
            open_ = [number for number in open_ if number not in feeds]
            around = {other for factor, _ in mine for other in factor.scope}
            around |= {other for number in feeds for other in messages[number].scope}
            scope = tuple(sorted(around - {index}))
            if self.variables.size((*scope, index)) > LARGEST:
                return None, False
            messages.append(self.eliminated(index, scope, mine, [messages[n] for n in feeds], feeds, limits))
            open_.append(len(messages) - 1)
        total = Labels.single(0.0, [0.0] * len(self.columns))
        for number in open_:
            total = total.times(messages[number].labels[()], limits)
        for row in np.argsort(-total.scores, kind="stable"):
            states: dict[int, int] = {}
            for number, label in zip(open_, total.origin[row], strict=True):
                _follow(messages, number, int(label), states)
            chosen = self.variables.decisions({i: states.get(i, 0) for i in range(len(self.variables.all))})
            if self.wanted.met(chosen):
                return chosen, total.certain
        return None, total.certain

    def eliminated(
        self,
        index: int,
        scope: tuple[int, ...],
        tables: Sequence[tuple[Factor, int | None]],
        messages: Sequence[_Message],
        feeds: tuple[int, ...],
        limits: Numbers,
    ) -> _Message:
        """A decision for every case of those around it."""
        spread = [(factor.spread((*scope, index)), k) for factor, k in tables]
        shape = tuple(len(self.variables.all[other].states) for other in (*scope, index))
        scores = np.zeros(shape)
        costs = np.zeros((*shape, len(self.columns)))
        for table, k in spread:
            if k is None:
                scores = scores + table
            else:
                costs[..., k] += table
        found: dict[tuple[int, ...], Labels] = {}
        for case in product(*(range(length) for length in shape[:-1])):
            parts: list[Labels] = []
            for state in range(shape[-1]):
                at = dict(zip((*scope, index), (*case, state), strict=True))
                labels = Labels.single(0.0, [0.0] * len(self.columns))
                for message in messages:
                    labels = labels.times(message.labels[tuple(at[other] for other in message.scope)], limits)
                parts.append(labels.shifted(float(scores[(*case, state)]), costs[(*case, state)]))
            found[case] = joined(parts).pruned(limits)
        return _Message(scope, found, index, feeds)

    # ------------------------------------------------------------ multipliers

    def by_multipliers(self) -> Iterator[tuple[Selection | None, float]]:
        """For each limit, decisions that are best for some price of it, where they satisfy all, and its bound."""
        for k, column in enumerate(self.columns):
            if math.isinf(column.limit):
                continue
            low, high = 0.0, None
            multiplier = 1.0 / max(abs(column.limit), 1.0)
            for _ in range(STEPS):
                chosen, bound = self.priced(k, multiplier)
                fits = chosen is not None and self.cost(k, chosen) <= column.limit
                yield (chosen if chosen is not None and self.wanted.met(chosen) else None), bound
                if fits:
                    high = multiplier
                else:
                    low = multiplier
                multiplier = 2 * multiplier if high is None else (low + high) / 2
            cheapest = minimum(self.variables, self.cost_factors[k], self.constants[k])
            if cheapest.states is not None:
                chosen = self.variables.decisions(cheapest.states)
                yield (chosen if self.wanted.met(chosen) else None), self.free

    def cost(self, k: int, chosen: Selection) -> Amount:
        formula, column = self.formulas[k], self.columns[k]
        terms = formula.terms if column.sign > 0 else formula.least
        return column.sign * sum(v for m, v in terms.items() if all(item in chosen[path] for path, item in m))

    def priced(self, k: int, multiplier: float) -> tuple[Selection | None, float]:
        """The best decisions where a cost beyond its limit is paid for, and what no decisions within it can exceed."""
        column, formula = self.columns[k], self.formulas[k]
        # The bound must not count what an architecture may not have.
        least = formula.least if column.sign > 0 else formula.terms
        factors, constant = self.variables.factors((m, -multiplier * column.sign * v) for m, v in least.items())
        found = maximum(
            self.variables,
            [*self.score_factors, *factors],
            self.score_constant + constant + multiplier * column.limit,
        )
        chosen = None if found.states is None else self.variables.decisions(found.states)
        return chosen, float(found.value)


def _follow(messages: Sequence[_Message], number: int, label: int, states: dict[int, int]) -> None:
    """The states that a label of a message stands for, those around it being known."""
    message = messages[number]
    labels = message.labels[tuple(states[other] for other in message.scope)]
    state, *inner = (int(part) for part in labels.origin[label])
    states[message.variable] = state
    for feed, part in zip(message.feeds, inner, strict=False):
        _follow(messages, feed, part, states)


def _tidy(limit: float) -> Amount:
    return int(limit) if float(limit).is_integer() else limit


def prepare(wanted: Requirements) -> None:
    """See before a search that its result can be made to satisfy the requirements.

    Raises:
        UsageError: it cannot, or no architecture does.
    """
    with _refusing(wanted):
        if wanted:
            wanted.met(default_decisions(wanted.space.decisions))
            _Search(wanted, {}, 0.0).refuse_impossible()


def derive_within(wanted: Requirements, alphas: Mapping[str, Sequence[float]], by: By) -> Answer:
    """`best`, with every refusal as a `UsageError` that says why."""
    with _refusing(wanted):
        return best(wanted, alphas, by)


@contextmanager
def _refusing(wanted: Requirements) -> Iterator[None]:
    conditions = ", ".join(f"`{requirement.condition.span.text}`" for requirement in wanted.requirements)
    try:
        yield
    except Undefined as error:
        raise UsageError(f"what '{wanted.space.name}' requires, {conditions}, cannot be honoured: {error}") from None
    except Entangled:
        why = "its parts exist in too many different ways"
        raise UsageError(f"what '{wanted.space.name}' requires, {conditions}, cannot be honoured: {why}") from None

"""Decisions eliminated one after the other with Pareto labels: exact, as long as all labels can be kept.

As in `compiler.analysis.costs.elimination` (Dechter, "Bucket elimination", 1999), but an eliminated decision leaves all
the ways to decide it that no other way beats in score and every cost, instead of the best one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from compiler.analysis.costs.elimination import Factor, elimination_order
from compiler.ir.decision import Selection

from .pareto_labels import Labels, Numbers, joined
from .problem import Problem

LARGEST = 20_000
"""The most joint cases of decisions that labels are kept for."""


@dataclass(frozen=True, eq=False)
class _Message:
    """An eliminated variable: its labels for every case of ``scope``, the variables that it still depends on.

    ``feeds`` are the numbers of the earlier messages that its labels are made of.
    """

    scope: tuple[int, ...]
    labels: Mapping[tuple[int, ...], Labels]
    variable: int
    feeds: tuple[int, ...]


def by_labels(problem: Problem) -> tuple[Selection | None, bool]:
    """The best decisions that meet the requirements, if any, and whether all ways to decide were considered."""
    tables = [(factor, None) for factor in problem.score_factors]
    costs = [(factor, k) for k, factors in enumerate(problem.cost_factors) for factor in factors]
    # Every table of costs is lowered to a least entry of 0: then a partial sum beyond the limit stays beyond it.
    limits = np.array([column.limit for column in problem.columns], dtype=float) - np.array(
        problem.constants, dtype=float
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
    for index in elimination_order(problem.variables, scopes):
        mine = [(factor, k) for factor, k in pending if index in factor.scope]
        pending = [(factor, k) for factor, k in pending if index not in factor.scope]
        feeds = tuple(number for number in open_ if index in messages[number].scope)
        open_ = [number for number in open_ if number not in feeds]
        around = {other for factor, _ in mine for other in factor.scope}
        around |= {other for number in feeds for other in messages[number].scope}
        scope = tuple(sorted(around - {index}))
        if problem.variables.size((*scope, index)) > LARGEST:
            return None, False
        messages.append(_eliminated(problem, index, scope, mine, [messages[n] for n in feeds], feeds, limits))
        open_.append(len(messages) - 1)
    total = Labels.single(0.0, [0.0] * len(problem.columns))
    for number in open_:
        total = total.times(messages[number].labels[()], limits)
    for row in np.argsort(-total.scores, kind="stable"):
        states: dict[int, int] = {}
        for number, label in zip(open_, total.origin[row], strict=True):
            _follow(messages, number, int(label), states)
        chosen = problem.variables.decisions({i: states.get(i, 0) for i in range(len(problem.variables.all))})
        if problem.wanted.met(chosen):
            return chosen, total.certain
    return None, total.certain


def _eliminated(
    problem: Problem,
    index: int,
    scope: tuple[int, ...],
    tables: Sequence[tuple[Factor, int | None]],
    messages: Sequence[_Message],
    feeds: tuple[int, ...],
    limits: Numbers,
) -> _Message:
    """The message of a variable: its labels for every case of its scope, of tables and earlier messages."""
    spread = [(factor.spread((*scope, index)), k) for factor, k in tables]
    shape = tuple(len(problem.variables.all[other].states) for other in (*scope, index))
    scores = np.zeros(shape)
    costs = np.zeros((*shape, len(problem.columns)))
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
            labels = Labels.single(0.0, [0.0] * len(problem.columns))
            for message in messages:
                labels = labels.times(message.labels[tuple(at[other] for other in message.scope)], limits)
            parts.append(labels.shifted(float(scores[(*case, state)]), costs[(*case, state)]))
        found[case] = joined(parts).pruned(limits)
    return _Message(scope, found, index, feeds)


def _follow(messages: Sequence[_Message], number: int, label: int, states: dict[int, int]) -> None:
    """Add the states that a label of a message stands for, given those of its scope."""
    message = messages[number]
    labels = message.labels[tuple(states[other] for other in message.scope)]
    state, *inner = (int(part) for part in labels.origin[label])
    states[message.variable] = state
    for feed, part in zip(message.feeds, inner, strict=False):
        _follow(messages, feed, part, states)

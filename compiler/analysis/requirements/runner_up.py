"""The second best architecture by a derivation rule: what it would take had it not taken the best.

An architecture other than the best differs from it in an item of a decision that the best uses. So the second best is
the best of those that hold one such change, each found by the rule itself. What a change costs at least, requirements
left aside, is known from the decisions near it alone, so that few are tried in full (Lawler, "A procedure for computing
the K best solutions to discrete optimization problems", Management Science 1972).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from compiler.derivation.selected_steps import NothingSelectedError
from compiler.derivation.strongest import strongest
from compiler.elaborate import Elaborated
from compiler.ir.decision import Selection
from compiler.searcher.settings.derivation import By
from compiler.util.errors import UsageError

from .alive import alive, selects_life, with_zeros
from .constrained import Answer
from .demands import Decisions, Demands, Strengths, are_met, changes, log_probabilities, with_demands
from .score import score_of, scores_of

TRIED = 50
"""Changes that are tried in full."""


def runner_up(
    space: Elaborated,
    strengths: Strengths,
    by: By,
    select: Callable[[Strengths, By], Answer],
    first: Selection,
    over: float | None = None,
) -> tuple[Selection, float] | None:
    """The best architecture besides the first, and how much log-probability it is below; None where there is none.

    Where the first lives, so does this one.

    Args:
        space: the space.
        strengths: of the items of each decision that has alphas, (items).
        by: how strength is measured between the candidates of a pick.
        select: the rule, which may refuse (`UsageError`) strengths under which nothing is left.
        first: the best architecture.
        over: the least weight of what a pick of no fixed number takes.
    """
    decisions = space.decisions
    if by is By.PROBABILITY:
        strengths, by = log_probabilities(decisions, strengths), By.LOGIT
    scores = scores_of(decisions, strengths, by, over)
    free, lives = score_of(scores, strongest(decisions, strengths, by, over)), selects_life(space, first)

    def rule(values: Strengths, by: By) -> Answer:
        return alive(space, values, by, select, over) if lives else select(values, by)

    best: tuple[float, Selection] | None = None
    for loss, demands in sorted(_losses(space, strengths, by, first, over), key=lambda item: item[0])[:TRIED]:
        if best is not None and best[0] >= free - loss:
            break
        try:
            chosen = rule(with_demands(decisions, strengths, demands), by).chosen
        except UsageError:
            continue
        score = score_of(scores, chosen)
        if are_met(demands, chosen) and (best is None or score > best[0]) and _is_as_good(space, chosen, lives):
            best = score, chosen
    return None if best is None else (best[1], score_of(scores, first) - best[0])


def _is_as_good(space: Elaborated, chosen: Selection, lives: bool) -> bool:
    """Whether decisions leave a network, and one that lives where the best does."""
    try:
        space.once(with_zeros).path(chosen)
    except NothingSelectedError:
        return False
    return selects_life(space, chosen) or not lives


def _losses(
    space: Elaborated, strengths: Strengths, by: By, first: Selection, over: float | None
) -> Iterator[tuple[float, Demands]]:
    """Each change of a decision that the first architecture uses, with the score that it costs at least."""
    try:
        used = space.once(with_zeros).path(first).used
    except NothingSelectedError:
        return
    for group in _groups(space.decisions):
        alphas = {path: strengths[path] for path in group if path in strengths}
        scores = scores_of(group, alphas, by, over)
        top = score_of(scores, strongest(group, alphas, by, over))
        for path in filter(used.__contains__, group):
            for change in changes(group[path], path, first[path]):
                demands = frozenset([change])
                free = strongest(group, with_demands(group, alphas, demands), by, over)
                if are_met(demands, free):
                    yield top - score_of(scores, free), demands


def _groups(decisions: Decisions) -> Iterator[Decisions]:
    """The decisions that no other has a part in: each pick with its menus, and each other one by itself."""
    menus = {path for decision in decisions.values() for path in decision.candidates if path is not None}
    for path, decision in decisions.items():
        if path not in menus:
            yield {name: decisions[name] for name in (path, *filter(None, decision.candidates))}

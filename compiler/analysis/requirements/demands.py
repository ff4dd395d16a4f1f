"""Demands on a derivation rule besides the strengths: items that it shall take, or shall not take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from compiler.ir.decision import Decision, Selection

from .score import log_softmax

Strengths = Mapping[str, Sequence[float]]
Decisions = Mapping[str, Decision]
Demands = frozenset[tuple[str, int, bool]]
"""Items of decisions, each with whether it shall be taken."""

PENALTY = 1e4
"""Subtracted from the strength of an excluded item, added to that of a demanded one; far above any difference."""


def with_demands(decisions: Decisions, strengths: Strengths, demands: Demands) -> dict[str, list[float]]:
    """Strengths under which a rule takes an excluded item only where it has no other, and a demanded one if it can.

    A candidate of a pick of menus is as strong as the items of its menu are.
    """
    found = {path: list(values) for path, values in strengths.items()}
    for path, item, wanted in demands:
        more = PENALTY if wanted else -PENALTY
        candidates = decisions[path].candidates
        menu = candidates[item] if candidates else None
        if menu is not None:
            found[menu] = [value + more for value in found[menu]]
        else:
            found[path][item] += more
    return found


def are_met(demands: Demands, chosen: Selection) -> bool:
    """Whether decisions meet the demands."""
    return all((item in chosen[path]) is wanted for path, item, wanted in demands)


def changes(decision: Decision, path: str, taken: Sequence[int]) -> list[tuple[str, int, bool]]:
    """The demands of which whatever differs in a decision meets one.

    They exclude an item that is taken, and demand one that is not where more may be taken.
    """
    items = range(len(decision.items)) if decision.least < decision.most else taken
    return [(path, item, item not in taken) for item in items]


def log_probabilities(decisions: Decisions, strengths: Strengths) -> dict[str, Sequence[float]]:
    """Log-probabilities, which say as strengths what alphas say by probability."""
    apart = {path for path, decision in decisions.items() if decision.independent}
    return {path: values if path in apart else log_softmax(values) for path, values in strengths.items()}

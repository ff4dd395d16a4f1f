"""The largest and the smallest architecture of a space. No torch.

Numbers and sizes are at their extremes. A choice between operations takes the one with which the architecture has the
most, or the fewest, multiply-adds, where everything else is as it is; that is repeated until no choice changes. A pick
takes its first candidates, as many as it may or as few, but one at least. Ties go to the first in source order.
"""

from __future__ import annotations

from compiler.ir.decision import Decision, DecisionKind, Selection

from .selected_steps import NothingSelectedError, Paths


def extreme(paths: Paths, largest: bool) -> Selection:
    """The largest architecture, or the smallest."""
    sign = 1 if largest else -1
    chosen = {path: _start(decision, sign) for path, decision in paths.decisions.items()}
    menus = [decision for decision in paths.decisions.values() if decision.kind is DecisionKind.OPERATION]
    for _ in range(len(menus) + 1):
        before = dict(chosen)
        for menu in menus:
            chosen[menu.path] = max(
                ((item,) for item in menu.derivable_items),
                key=lambda taken: _size(paths, {**chosen, menu.path: taken}, sign),
            )
        if chosen == before:
            break
    return chosen


def _start(decision: Decision, sign: int) -> tuple[int, ...]:
    usable = decision.derivable_items
    match decision.kind:
        case DecisionKind.PICK:
            return tuple(range(decision.most if sign > 0 else max(decision.least, 1)))
        case DecisionKind.NUMBER | DecisionKind.SIZE if decision.numbers:
            return (max(usable, key=lambda item: sign * decision.numbers[item]),)
    return (usable[0],)


def _size(paths: Paths, chosen: Selection, sign: int) -> float:
    """The multiply-adds, signed; minus infinity where nothing is left of the network."""
    try:
        return sign * paths.path(chosen).macs
    except NothingSelectedError:
        return float("-inf")

"""All architectures of a space, under the requirements that can be counted with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compiler.elaborate import Copy, Elaborated, Requirement
from compiler.ir.combinatorics.circuit import Circuit, either
from compiler.ir.combinatorics.count_formula import Factor, Given, Mention, Product, Tag, Ways, ways
from hdas_dsl.tree import ast

from .condition_value import Uncountable, amount, of_cost, quantity
from .structural import Walk, steps_of


def architectures(space: Elaborated) -> Circuit:
    """The architectures of a space: their number is that of law 7, and each can be found by its own.

    Raises:
        Uncountable: a `require` of the space speaks of a structure that is not counted.
    """
    circuit, left = counted(space)
    for item in left:
        if item.reason is not None:
            raise item.reason
    return circuit


@dataclass(frozen=True, eq=False)
class Left:
    """A requirement that the count takes no part in, and why: it speaks of costs (None), or of something beyond it."""

    requirement: Requirement
    reason: Uncountable | None


def counted(space: Elaborated, only: str | None = None) -> tuple[Circuit, tuple[Left, ...]]:
    """The architectures of a space under the requirements that can be counted with, and those that cannot.

    With ``only`` a copy, the ways to decide in its text alone: the copies in it are taken as given.
    """
    formulas: dict[str, Product] = {}
    left: list[Left] = []
    for path, copy in space.copies.items():
        if only not in (None, path):
            continue
        conditions: list[ast.Expr] = []
        for requirement in space.requirements:
            if requirement.frame.body is copy.body:
                reason = None if of_cost(requirement.condition) else _beyond(space, copy, requirement.condition)
                if of_cost(requirement.condition) or reason is not None:
                    left.append(Left(requirement, reason))
                else:
                    conditions.append(requirement.condition)
        if copy.body.prune or any(quantity(node) for condition in conditions for node in condition.walk()):
            formulas[path] = reached(space, copy, conditions)
        else:
            holds = all(amount(condition, copy, {}) for condition in conditions)
            formulas[path] = copy.formula if holds else (Ways(()),)
    return ways(space.formula if only is None else (Mention(only),), formulas), tuple(left)


def _beyond(space: Elaborated, copy: Copy, condition: ast.Expr) -> Uncountable | None:
    """Why a condition on structure is beyond counting, if it is."""
    try:
        walk = _walk(space, copy, [condition])
        amount(condition, copy, dict.fromkeys(walk.quantities, 0))
    except Uncountable as found:
        return found
    return None


def _walk(space: Elaborated, copy: Copy, conditions: Sequence[ast.Expr]) -> Walk:
    others = (steps_of(other.block.graph) for other in space.copies.values() if other is not copy)
    kept = {name for steps in others for step in steps for name in step.decisions}
    kept |= {name for name, decision in space.decisions.items() if decision.copy != copy.path}
    return Walk(copy, space.decisions, frozenset(kept), conditions)


def reached(space: Elaborated, copy: Copy, conditions: Sequence[ast.Expr]) -> Product:
    """The formula of a copy by a walk over its nodes, where its conditions on structure hold."""
    walk = _walk(space, copy, conditions)
    terms: dict[frozenset[Tag], list[Circuit]] = {}
    for state, number in walk.states().items():
        grades = dict(zip(walk.quantities, state.grades, strict=True))
        if all(amount(condition, copy, grades) for condition in conditions):
            terms.setdefault(state.tags, []).append(number)
    # Sorted, since sets of texts have another order in each process.
    return (Ways(tuple((either(parts), tuple(map(_factor, sorted(tags, key=str)))) for tags, parts in terms.items())),)


def _factor(tag: Tag) -> Factor:
    return Mention(tag) if isinstance(tag, str) else Given((tag[0],), (((tag[1],), ()),))

"""All architectures of a space, under the requirements that can be counted with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from compiler.elaborate import Copy, Elaborated, Origin, Requirement
from compiler.ir.combinatorics.circuit import Circuit, either
from compiler.ir.combinatorics.count_formula import Factor, Given, Mention, Product, Tag, Ways, ways
from compiler.ir.conditions import evaluate, totals, unknowns
from compiler.ir.quantities import Condition

from .errors import Uncountable
from .structural import Walk, steps_of


def architectures(space: Elaborated) -> Circuit:
    """The architectures of a space: their number is that of law 7, and each can be found by its own.

    Raises:
        Uncountable: the space, or a `require` of it, has a structure that is not counted.
    """
    circuit, uncounted = counted(space)
    for item in uncounted:
        if item.reason is not None:
            raise item.reason
    return circuit


@dataclass(frozen=True)
class UncountedRequirement:
    """A requirement that counting takes no part in. ``reason`` is None where it is about costs."""

    requirement: Requirement
    reason: Uncountable | None


def counted(space: Elaborated, only: str | None = None) -> tuple[Circuit, tuple[UncountedRequirement, ...]]:
    """The architectures of a space under the requirements that can be counted with, and those that cannot.

    Requirements of sections and of operations are not among them: only those in the text of a copy are counted with.
    With ``only`` a copy, the ways to decide in its text alone: the copies in it are taken as given.

    Raises:
        Uncountable: a text with `prune` has a structure that is not counted.
    """
    formulas: dict[str, Product] = {}
    uncounted: list[UncountedRequirement] = []
    for path, copy in space.copies.items():
        if only not in (None, path):
            continue
        conditions: list[Condition] = []
        for requirement in stated_in(space, path):
            condition = requirement.condition
            about_costs = not all(total.structural for total in totals(condition))
            reason = None if about_costs else _beyond(space, copy, condition)
            if about_costs or reason is not None:
                uncounted.append(UncountedRequirement(requirement, reason))
            else:
                conditions.append(condition)
        if copy.body.prune or any(True for condition in conditions for _ in totals(condition)):
            formulas[path] = reached(space, copy, conditions)
        else:
            formulas[path] = copy.formula if _all_hold(conditions, {}) else (Ways(()),)
    return ways(space.formula if only is None else (Mention(only),), formulas), tuple(uncounted)


def stated_in(space: Elaborated, path: str) -> Iterator[Requirement]:
    """The requirements in the text of a copy."""
    return (item for item in space.requirements if item.copy == path and item.origin is Origin.BODY)


def _beyond(space: Elaborated, copy: Copy, condition: Condition) -> Uncountable | None:
    """Why a condition on structure is beyond counting, if it is."""
    for unknown in unknowns(condition):
        return Uncountable(unknown.span, "architectures cannot be counted under this requirement")
    try:
        _walk(space, copy, [condition])
    except Uncountable as found:
        return found
    return None


def _all_hold(conditions: Sequence[Condition], grades: Mapping[str, int]) -> bool:
    """Whether all conditions are met where quantities have these values; one without a value there is not."""
    return all(evaluate(condition, lambda total: grades[str(total)]) for condition in conditions)


def _walk(space: Elaborated, copy: Copy, conditions: Sequence[Condition]) -> Walk:
    others = (steps_of(other.block.graph) for other in space.copies.values() if other is not copy)
    kept = {name for steps in others for step in steps for name in step.decisions}
    kept |= {name for name, decision in space.decisions.items() if decision.copy != copy.path}
    return Walk(copy, space.decisions, frozenset(kept), conditions)


def reached(space: Elaborated, copy: Copy, conditions: Sequence[Condition]) -> Product:
    """The formula of a copy by a walk over its nodes, where its conditions on structure hold."""
    walk = _walk(space, copy, conditions)
    terms: dict[frozenset[Tag], list[Circuit]] = {}
    for state, number in walk.states().items():
        grades = dict(zip(walk.quantities, state.grades, strict=True))
        if _all_hold(conditions, grades):
            terms.setdefault(state.tags, []).append(number)
    # Sorted, since sets of texts have another order in each process.
    return (Ways(tuple((either(parts), tuple(map(_factor, sorted(tags, key=str)))) for tags, parts in terms.items())),)


def _factor(tag: Tag) -> Factor:
    return Mention(tag) if isinstance(tag, str) else Given((tag[0],), (((tag[1],), ()),))

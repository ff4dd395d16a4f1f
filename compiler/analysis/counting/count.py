"""All architectures of a space, under the requirements that can be counted with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from compiler.elaborate import Copy, Elaborated, Origin, Requirement
from compiler.ir.combinatorics.circuit import Circuit, either
from compiler.ir.combinatorics.count_formula import Decide, Factor, Given, Mention, Product, Ways, names_of, ways
from compiler.ir.combinatorics.polynomial import Tag
from compiler.ir.conditions import evaluate, totals, unknowns
from compiler.ir.quantities import Condition

from .errors import UncountableError
from .steps import steps_of
from .structural import Walk


def architectures(space: Elaborated) -> Circuit:
    """The architectures of a space: their number is that of law 7, and each can be found by its own.

    Raises:
        UncountableError: the space, or a `require` of it, has a structure that is not counted.
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
    reason: UncountableError | None


def counted(space: Elaborated, only: str | None = None) -> tuple[Circuit, tuple[UncountedRequirement, ...]]:
    """The architectures of a space under the requirements that can be counted with, and those that cannot.

    Those of a `search` section count as if they stood in the text of the network; those of operations are about what is
    applied, and are left out, as those about costs are. Those of a `train` section are not among either.
    With ``only`` a copy, the ways to decide in its text alone: the copies in it are taken as given.

    Raises:
        UncountableError: a text with `prune` has a structure that is not counted.
    """
    if space.grammars:
        message = "a grammar is decided along a draw: its architectures are counted (`hdas count`), but have no numbers"
        raise UncountableError(space.grammars[0].node.span, message)
    formulas: dict[str, Product] = {}
    uncounted: list[UncountedRequirement] = []
    for path, copy in space.copies.items():
        if only in (None, path):
            formulas[path], beyond = _formula(space, copy)
            uncounted += beyond
    if only is None:
        of_operations = (item for item in space.requirements if item.origin is Origin.OPERATION)
        uncounted += (UncountedRequirement(item, None) for item in of_operations)
    return ways(space.formula if only is None else (Mention(only),), formulas), tuple(uncounted)


def pruned_texts(space: Elaborated) -> dict[str, Circuit | UncountableError]:
    """The ways to decide in each text with `prune`, by the path of its copy, or why they are not counted.

    They meet the requirements that are counted with. The copies in a text are taken as given; a decision of another
    text that it depends on may take any item.
    """
    return {path: _text(space, copy) for path, copy in space.copies.items() if copy.body.prune}


def _text(space: Elaborated, copy: Copy) -> Circuit | UncountableError:
    try:
        formula, _ = _formula(space, copy)
    except UncountableError as reason:
        return reason
    named = (space.decisions[name] for name in sorted(names_of(formula)) if name in space.decisions)
    others = (
        Decide(decision.path, tuple(() if derivable else None for derivable in decision.derivable))
        for decision in named
        if decision.copy != copy.path
    )
    return ways((*others, *formula), {})


def _formula(space: Elaborated, copy: Copy) -> tuple[Product, list[UncountedRequirement]]:
    """The formula of a copy under the requirements in its text, and those of them that it leaves out."""
    uncounted: list[UncountedRequirement] = []
    conditions: list[Condition] = []
    for requirement in stated_in(space, copy.path):
        condition = requirement.condition
        about_costs = not all(total.structural for total in totals(condition))
        reason = None if about_costs else _beyond(space, copy, condition)
        if about_costs or reason is not None:
            uncounted.append(UncountedRequirement(requirement, reason))
        else:
            conditions.append(condition)
    if copy.body.prune or any(True for condition in conditions for _ in totals(condition)):
        return reached(space, copy, conditions), uncounted
    return copy.formula if _all_hold(conditions, {}) else (Ways(()),), uncounted


def stated_in(space: Elaborated, path: str) -> Iterator[Requirement]:
    """The requirements in the text of a copy; of the network, those of its `search` section too."""
    return (item for item in space.requirements if item.copy == path and item.origin in (Origin.BODY, Origin.SEARCH))


def _beyond(space: Elaborated, copy: Copy, condition: Condition) -> UncountableError | None:
    """Why a condition on structure is beyond counting, if it is."""
    for unknown in unknowns(condition):
        return UncountableError(unknown.span, "architectures cannot be counted under this requirement")
    try:
        _walk(space, copy, [condition])
    except UncountableError as found:
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

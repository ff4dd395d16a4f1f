"""The facts of a space or an architecture that `hdas-compile FILE` prints, as a page and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any

from compiler.analysis.costs.block_totals import UNDEFINED, Costs
from compiler.analysis.costs.existence import ExistenceTooComplexError
from compiler.analysis.costs.prices import Latency, UndefinedQuantityError
from compiler.analysis.counting.count import counted
from compiler.analysis.counting.errors import UncountableError
from compiler.analysis.requirements.evaluate import Requirements, amounts_of, reported_quantities
from compiler.elaborate import Elaborated
from compiler.elaborate.settled import settled
from compiler.ir.decision import Decision, DecisionKind
from compiler.ir.graph import Call, is_auxiliary
from compiler.ir.payloads import Prim
from compiler.ir.shape import Extent
from compiler.ir.undecided import Open, Var
from compiler.program.model import Program, deciding
from compiler.util.errors import UsageError


def cardinality(space: Elaborated) -> int:
    """The number of architectures (law 7), under the requirements that can be counted with.

    Raises:
        UncountableError: a text with `prune` has a structure that is not counted.
    """
    return counted(space)[0].number


def describe(program: Program) -> dict[str, Any]:
    """One JSON-ready object about a compiled file."""
    if not program.named_phases:
        found = {**facts(program.network), "name": program.network.name}
        trained, shown = program.train_network, program.network
        if trained is None or trained.is_space:
            return found
        same = trained.block.arguments == shown.block.arguments and trained.input == shown.input
        return found if same else {**found, "trained": trained_facts(trained)}
    phases = []
    total: int | None = 1
    decide = deciding([phase for phase in program.phases if not phase.optional] or program.phases)
    for phase in program.phases:
        found = facts(phase.network, known=not phase.after)
        known = found["cardinality"]
        together = None if total is None or known is None else total * int(Decimal(known))
        total = together if phase in decide else total
        phases.append({"phase": phase.name, "after": list(phase.after), "optional": phase.optional, **found})
    return {
        "name": program.name,
        "kind": "space",
        "params": None,
        "macs": None,
        "memory": None,
        "cardinality": None if total is None else digits(total),
        "choices": None,
        "alphas": None,
        "input": None,
        "classes": None,
        "blocks": None,
        "phases": phases,
    }


def trained_facts(network: Elaborated) -> dict[str, Any]:
    """The facts of an architecture at the arguments of its `train` section, with which it is trained and exported."""
    total = Costs().block(network.block)
    return {
        "arguments": dict(network.block.arguments),
        "input": list(network.input.dims),
        "params": total.params,
        "macs": total.macs,
        "memory": total.memory,
    }


def facts(space: Elaborated, known: bool = True) -> dict[str, Any]:
    """The facts of one network; costs are unknown while parts of it are still to be found, or derived by a grammar."""
    every = known and not space.grammars
    costs = Costs()
    total = costs.block(space.block) if every else UNDEFINED
    graph = space.block.graph
    given = graph.output_shapes
    output = given[0] if len(given) == 1 else None
    number, uncounted = _number(space)
    open_costs = unknown(space, total.params is None) if every else {}
    classes = output.c if output is not None and isinstance(output.c, int) else None
    return {
        "name": space.name,
        "kind": "space" if space.is_space else "architecture",
        "params": total.params,
        "macs": total.macs,
        "memory": total.memory,
        "ranges": ranges(space) if every and space.is_space else {},
        "latency": latencies(space) if every and not space.is_space else {},
        "unknown": open_costs,
        **({"impossible": never} if (never := impossible(space) if every and not open_costs else None) else {}),
        "cardinality": number,
        "uncounted": uncounted,
        "choices": [choice(decision) for decision in space.decisions.values()],
        "alphas": space.alphas,
        "input": list(space.input.dims),
        "classes": classes,
        **({"outputs": [[extent(dim) for dim in shape.dims] for shape in given]} if len(given) > 1 else {}),
        "arguments": dict(space.block.arguments),
        "blocks": list(blocks(space, costs, known)),
        "refusals": list(dict.fromkeys(diagnostic.message for diagnostic in space.refusals)),
    }


def _number(space: Elaborated) -> tuple[str | None, list[str]]:
    """The number of architectures, where it is known, and the requirements that it leaves out."""
    try:
        circuit, uncounted = counted(space)
    except UncountableError as reason:
        return None, [reason.message]
    return digits(circuit.number), [item.requirement.span.text for item in uncounted]


def ranges(space: Elaborated) -> dict[str, Any]:
    """Between which values each quantity of an architecture lies; what is a bound says so.

    Latencies are those that the space itself mentions, where their tables can be read.
    """
    from compiler.analysis.requirements.ranges import ranges_of  # numpy, which an architecture has no use for

    found = {}
    for name, span in ranges_of(space):
        bounds = [end for end, exact in (("min", span.low_exact), ("max", span.high_exact)) if not exact]
        found[name] = {"min": span.low, "max": span.high, **({"bounds": bounds} if bounds else {})}
    return found


def latencies(space: Elaborated) -> dict[str, float]:
    """The milliseconds of an architecture by each table that it mentions, where that can be read."""
    return {name: float(value) for name, value in amounts_of(space) if name.startswith("latency")}


def latency_prices(space: Elaborated) -> dict[str, Latency]:
    """The price of an operation by each table that an architecture mentions and that knows all of its operations."""
    wanted, found = Requirements(space), {}
    for item in reported_quantities(space):
        with suppress(UndefinedQuantityError):
            price = wanted.price(item) if item.total.copy is None and item.network is None else None
            if isinstance(price, Latency):
                wanted.complete(item, price)
                found[str(item)] = price
    return found


def unknown(space: Elaborated, totals: bool) -> dict[str, str]:
    """Why latencies that the space mentions have no value, and the ``totals``: tables lack rows, a width is open."""
    wanted = Requirements(space)
    found = {}
    for item in reported_quantities(space):
        if item.total.by_table or totals:
            try:
                wanted.formula(item)
            except UndefinedQuantityError as reason:
                found[str(item)] = str(reason)
            except ExistenceTooComplexError:  # Its architectures have values, one by one.
                continue
    return found


def impossible(space: Elaborated) -> str | None:
    """Why no architecture meets what a space requires, as its search would refuse it; None where one may."""
    if not space.is_space:
        return None
    from compiler.analysis.requirements.constrained import check_feasible  # numpy

    try:
        check_feasible(Requirements(space))
    except UsageError as reason:
        return str(reason)
    return None


def choice(decision: Decision) -> dict[str, Any]:
    """A decision for a machine."""
    found: dict[str, Any] = {"path": decision.path, "kind": decision.kind.value, "items": list(decision.items)}
    if not all(decision.derivable):
        found["derivable"] = [item for item, yes in zip(decision.items, decision.derivable, strict=True) if yes]
    if decision.kind is DecisionKind.PICK:
        least, most = decision.least, decision.most
        found["take"] = most if least == most else [least, most]
    return found


def blocks(space: Elaborated, costs: Costs, known: bool = True) -> Iterator[dict[str, Any]]:
    """The cells, stages and operations in the network's own text, in order.

    Of a network with grammars they are those of its first architecture, and have costs where these are of all.
    """
    graph = space.block.graph
    same = settled(space)[graph]
    for index, node in graph.order():
        if not isinstance(node.payload, Call | Prim):
            continue
        fixed = index < same and (known or not isinstance(node.payload, Call))
        cost = costs.node(graph, index, node) if fixed else UNDEFINED
        block = node.payload.block if isinstance(node.payload, Call) else None
        if is_auxiliary(node) or (isinstance(node.payload, Prim) and node.payload.op.packs):
            continue
        yield {
            "name": node.name,
            "kind": block.level if block else "op",
            "definition": (block.copy or block.name) if block else node.payload.name,  # type: ignore[union-attr]
            "shape": [extent(dim) for dim in node.shape.dims],
            "params": cost.params,
            "macs": cost.macs,
        }


def extent(dim: Extent) -> int | str | None:
    """A dimension for a machine: a number, what an undecided one may be, None for an open one."""
    return None if isinstance(dim, Open) else str(dim) if isinstance(dim, Var) else dim


def human(number: int | None) -> str:
    """A count with thousands apart: 1,930,618."""
    return "undefined" if number is None else f"{number:,}"


def digits(number: int) -> str:
    """A count in full: Python itself refuses to write more than 4300 digits."""
    return str(Decimal(number))


def power(number: int) -> str:
    """A count with thousands apart; a very large one by its order of magnitude."""
    text = digits(number)
    return f"{number:,}" if len(text) < 23 else f"about {text[0]}.{text[1:3]}e{len(text) - 1}"

"""The verifier: what a well-formed space graph is, as one table of legal forms and one list of rules of the whole.

A graph is well-formed before and after every pass. Elaboration gives a hierarchical one, of inputs, primitives, choices
and calls; `flatten` makes it flat, without calls; later passes put fused sums in it. Tests verify between passes, and
so does everything under the environment variable ``HDAS_VERIFY=1``.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from .decision import Decision, DecisionKind
from .graph import Call, Node, SpaceGraph
from .payloads import Input, Mix, Prim, Weigh
from .primitives.roles import BatchNormalisation, Corner, Pointwise, Window
from .shape import Extent, Shape
from .sums import Item, Part, Share, Sum, Sums, Term
from .undecided import Open, Var


class Stage(Enum):
    """How far a graph has come."""

    HIERARCHICAL = "hierarchical"
    FLAT = "flat"


class MalformedGraphError(ValueError):
    """A graph breaks a rule; the message names the node, the rule, and how it is broken."""


@dataclass(frozen=True)
class Context:
    """A node with what its rules look at. Without ``decisions``, their names and sizes are not checked."""

    graph: SpaceGraph
    index: int
    node: Node
    stage: Stage
    decisions: Mapping[str, Decision] | None

    @property
    def sources(self) -> tuple[Node, ...]:
        """The nodes that feed it."""
        return tuple(self.graph.node(source) for source in self.graph.sources(self.index))


Rule = Callable[[Context, Any], Iterator[str]]
"""Yields how a node with a payload of one kind breaks a rule."""


@dataclass(frozen=True)
class Form:
    """A legal form of a payload: the stages that may hold it, and its rules by name."""

    stages: frozenset[Stage]
    rules: Mapping[str, Rule]


def verify(
    graph: SpaceGraph, decisions: Mapping[str, Decision] | None = None, stage: Stage = Stage.FLAT, when: str = ""
) -> None:
    """Check that a graph, and every block in it, is well-formed.

    Args:
        graph: the graph.
        decisions: the decisions of the space, by path; without them only the graph itself is checked.
        stage: how far it has come.
        when: what made it, for the message.

    Raises:
        MalformedGraphError: it breaks a rule.
    """
    pending, seen = [graph], {id(graph)}
    while pending:
        part = pending.pop()
        for name, rule, how in _broken(part, decisions, stage):
            after = f" after {when}" if when else ""
            raise MalformedGraphError(f"'{name}'{after} breaks the rule '{rule}': {how}")
        for _, node in part.order():
            if isinstance(node.payload, Call) and id(node.payload.block.graph) not in seen:
                seen.add(id(node.payload.block.graph))
                pending.append(node.payload.block.graph)


def is_asked_for() -> bool:
    """Whether graphs are to be verified outside of tests as well."""
    return os.environ.get("HDAS_VERIFY") == "1"


def _broken(
    graph: SpaceGraph, decisions: Mapping[str, Decision] | None, stage: Stage
) -> Iterator[tuple[str, str, str]]:
    """Each node that breaks a rule, the rule, and how."""
    for rule_name, whole in WHOLE.items():
        for name, how in whole(graph, stage):
            yield name, rule_name, how
    for index, node in graph.order():
        context = Context(graph, index, node, stage, decisions)
        form = FORMS[type(node.payload)]
        if stage not in form.stages:
            kind = type(node.payload).__name__
            yield node.name, "the payload is of this stage", f"a {stage.value} graph holds no {kind}"
        for rule_name, rule in {**EVERY, **form.rules}.items():
            for how in rule(context, node.payload):
                yield node.name, rule_name, how


# ---------------------------------------------------------------- the whole graph


def _order(graph: SpaceGraph, stage: Stage) -> Iterator[tuple[str, str]]:
    for index, node in graph.order():
        for source in graph.sources(index):
            if not 0 <= source < index:
                yield node.name, f"node {index} reads node {source}"


def _edges(graph: SpaceGraph, stage: Stage) -> Iterator[tuple[str, str]]:
    if sorted(graph.nx) != list(range(len(graph))):
        yield "", "the nodes of the networkx graph are others"
        return
    for index, node in graph.order():
        if graph.nx.nodes[index].get("node") is not node:
            yield node.name, "the networkx graph has another node"
        edges = sorted((slot, source) for source, _, slot in graph.nx.in_edges(index, keys=True))
        if edges != list(enumerate(graph.sources(index))):
            yield node.name, f"slots {[slot for slot, _ in edges]} of {len(graph.sources(index))}"
        readers = Counter(reader for _, reader, _ in graph.nx.out_edges(index, keys=True))
        if readers != Counter(graph.readers(index)):
            yield node.name, "the networkx graph has other readers"


def _ends(graph: SpaceGraph, stage: Stage) -> Iterator[tuple[str, str]]:
    if graph.output is None:
        yield "", "there is no output"
    for end in graph.outputs:
        if not 0 <= end < len(graph):
            yield "", f"there is no node {end}"
        elif isinstance(graph.node(end).payload, Sums):
            yield graph.node(end).name, "several sums are no tensor"
    found = [(index, node.payload) for index, node in graph.order() if isinstance(node.payload, Input)]
    if [index for index, _ in found] != graph.inputs:
        yield "", "the inputs are others than its input nodes"
    for place, (index, payload) in enumerate(found):
        if payload.index != place:
            yield graph.node(index).name, f"input {place} says that it is number {payload.index}"


def _names(graph: SpaceGraph, stage: Stage) -> Iterator[tuple[str, str]]:
    for name, count in Counter(node.name for _, node in graph.order()).items():
        if count > 1 or not name:
            yield name, f"{count} nodes have it"


def _scopes(graph: SpaceGraph, stage: Stage) -> Iterator[tuple[str, str]]:
    around: dict[str, tuple[str, ...]] = {}
    for _, node in graph.order():
        if stage is Stage.HIERARCHICAL and node.scope:
            yield node.name, "a hierarchical graph has no scopes"
        for depth, name in enumerate(node.scope):
            outer = node.scope[:depth]
            if around.setdefault(name, outer) != outer:
                yield node.name, f"'{name}' lies in {outer} here and in {around[name]} elsewhere"
            if outer and not name.startswith(f"{outer[-1]}."):
                yield node.name, f"'{name}' lies in '{outer[-1]}'"


WHOLE: Mapping[str, Callable[[SpaceGraph, Stage], Iterator[tuple[str, str]]]] = {
    "sources come first": _order,
    "edges have slots from 0 on, and lists agree with networkx": _edges,
    "inputs and outputs are nodes of the graph": _ends,
    "names are unique": _names,
    "scopes are prefixes": _scopes,
}
"""The rules of a graph as a whole."""


# ---------------------------------------------------------------- every node


def _undecided(context: Context, payload: object) -> Iterator[str]:
    op = payload.op if isinstance(payload, Prim) else None
    values = [*context.node.shape.dims, *(() if op is None else (value for _, value in op.attributes))]
    for value in values:
        if not isinstance(value, Var):
            continue
        if len(value.values) != math.prod(value.sizes) or len(value.decisions) != len(value.sizes):
            yield f"{value} has {len(value.values)} values"
        for path, size in zip(value.decisions, value.sizes, strict=False):
            yield from _known(context, path, (size - 1,))


def _known(context: Context, path: str, items: tuple[int, ...]) -> Iterator[str]:
    """How a mention of a decision and some of its items is wrong."""
    if context.decisions is None:
        return
    decision = context.decisions.get(path)
    if decision is None:
        yield f"there is no decision '{path}'"
        return
    for item in items:
        if not 0 <= item < len(decision.items):
            yield f"'{path}' has {len(decision.items)} items, not item {item}"


EVERY: Mapping[str, Rule] = {"undecided values are of decisions": _undecided}
"""The rules of every node."""


# ---------------------------------------------------------------- inputs, primitives, choices


def _no_sources(context: Context, payload: Input) -> Iterator[str]:
    if context.sources:
        yield f"it has {len(context.sources)}"


def _arity(context: Context, payload: Prim) -> Iterator[str]:
    count, wanted = len(context.sources), payload.op.arity
    if count < 1 or (wanted is not None and count != wanted):
        yield f"'{payload.name}' takes {wanted or 'at least 1'}, not {count}"


def _parameters(context: Context, payload: Prim) -> Iterator[str]:
    op = payload.op
    for name, value in op.attributes:
        if isinstance(value, Var | Open) and op.parameters() and name not in op.widths():
            yield f"'{name}' of '{op.called}' is {value}"


def _result(context: Context, payload: Prim) -> Iterator[str]:
    op, shapes = payload.op, [source.shape for source in context.sources]
    if not shapes or (op.arity is not None and len(shapes) != op.arity):
        return
    if len(shapes[0].dims) not in op.ranks:
        yield f"'{op.called}' takes no tensor of shape {shapes[0]}"
        return
    result = op.result(shapes)
    if result is not None and not _fits(result, context.node.shape.dims):
        yield f"'{op.called}' makes {'x'.join(map(str, result))} of {' and '.join(map(str, shapes))}"


def _fits(rule: tuple[Extent | None, ...], dims: tuple[Extent, ...]) -> bool:
    """Whether a shape is that of a rule, where the rule says one; an open width may have been solved."""
    if len(rule) != len(dims):
        return False
    pairs = zip(rule, dims, strict=True)
    return all(said is None or isinstance(said, Open) or said == dim for said, dim in pairs)


def _mix_rows(context: Context, payload: Mix) -> Iterator[str]:
    if len(payload.rows) != len(context.sources):
        yield f"{len(payload.rows)} rows, {len(context.sources)} sources"
    yield from _assignments(context, payload.decisions, [joint for row in payload.rows for joint in row])
    if not all(payload.rows):
        yield "a row is empty"


def _assignments(context: Context, decisions: tuple[str, ...], joints: list[tuple[int, ...]]) -> Iterator[str]:
    """How joint assignments of decisions are wrong."""
    for joint, count in Counter(joints).items():
        if count > 1:
            yield f"the assignment {joint} stands in it {count} times"
        if len(joint) != len(decisions):
            yield f"the assignment {joint} is of {len(decisions)} decisions"
    for path, items in zip(decisions, zip(*joints, strict=False), strict=False):
        yield from _known(context, path, tuple(dict.fromkeys(items)))
        if context.decisions is not None and path in context.decisions:
            if context.decisions[path].kind is DecisionKind.ANY:
                yield f"'{path}' picks any number"


def _mix_shapes(context: Context, payload: Mix) -> Iterator[str]:
    dims = context.node.shape.dims
    ranks = {len(source.shape.dims) for source in context.sources}
    if ranks != {len(dims)}:  # the first stands for all; it cannot be mixed, and the space says so
        if len(ranks) < 2:
            yield f"it is {context.node.shape}, of {context.sources[0].shape if context.sources else 'nothing'}"
        return
    for source in context.sources:
        for dim, other in zip(dims, source.shape.dims, strict=True):
            if isinstance(dim, int) and isinstance(other, int) and dim != other:
                yield f"it is {context.node.shape}, '{source.name}' is {source.shape}"


def _weigh(context: Context, payload: Weigh) -> Iterator[str]:
    if len(context.sources) != 1:
        yield f"it has {len(context.sources)} sources"
        return
    yield from _known(context, payload.decision, (payload.index,))
    yield from _candidate(context, payload)
    if context.sources[0].shape != context.node.shape:
        yield f"it is {context.node.shape}, of {context.sources[0].shape}"


def _candidate(context: Context, factor: Weigh) -> Iterator[str]:
    """How a candidate of a pick is wrong."""
    decision = (context.decisions or {}).get(factor.decision)
    if decision is not None and decision.kind not in (DecisionKind.PICK, DecisionKind.ANY):
        yield f"'{factor.decision}' picks nothing"


def _call(context: Context, payload: Call) -> Iterator[str]:
    inner = payload.block.graph
    shapes = [inner.node(index).shape for index in inner.inputs]
    given = [source.shape for source in context.sources]
    if shapes != given:
        yield f"'{payload.block.name}' reads {_shown(shapes)}, not {_shown(given)}"
    if inner.output is not None and inner.node(inner.output).shape != context.node.shape:
        yield f"'{payload.block.name}' makes {inner.node(inner.output).shape}, not {context.node.shape}"


def _shown(shapes: list[Shape]) -> str:
    return " and ".join(map(str, shapes)) or "nothing"


# ---------------------------------------------------------------- fused sums


def _sum_sources(context: Context, payload: Sum | Sums) -> Iterator[str]:
    count = sum(len(total.terms) for total in _totals(payload))
    if count != len(context.sources) or not all(total.terms for total in _totals(payload)):
        yield f"{count} terms, {len(context.sources)} sources"


def _totals(payload: Sum | Sums) -> tuple[Sum, ...]:
    return payload.sums if isinstance(payload, Sums) else (payload,)


def _terms(context: Context, payload: Sum | Sums) -> Iterator[tuple[Term, Node]]:
    """The terms, each with the node that it reads."""
    terms = [term for total in _totals(payload) for term in total.terms]
    yield from zip(terms, context.sources, strict=False)


def _weights(context: Context, payload: Sum | Sums) -> Iterator[str]:
    for term, _ in _terms(context, payload):
        for factor in term.weight:
            if isinstance(factor, Share):
                yield from _assignments(context, factor.decisions, list(factor.row))
            else:
                yield from _known(context, factor.decision, (factor.index,))
                yield from _candidate(context, factor)


def _roles(context: Context, payload: Sum | Sums) -> Iterator[str]:
    for term, _ in _terms(context, payload):
        for part, kinds in (
            (term.before, BatchNormalisation),
            (term.filter, Window | Corner),
            (term.projection, Pointwise),
            (term.norm, BatchNormalisation),
            *((part, BatchNormalisation) for part in term.tied),
        ):
            if part is not None and not isinstance(part.op.role, kinds):
                yield f"'{part.name}' is '{part.op.called}'"


def _chains(context: Context, payload: Sum | Sums) -> Iterator[str]:
    """Each part reads what the one before it makes, and the last makes the sum, or some of its channels."""
    for term, source in _terms(context, payload):
        shape = source.shape
        for part in (term.before, term.filter, term.projection):
            if part is not None:
                yield from _reads(part, shape)
                shape = part.shape
        if term.columns is not None:
            columns = term.columns
            if not 0 <= columns.first < columns.first + columns.count <= columns.width or shape.c != columns.count:
                yield f"channels {columns.first} to {columns.first + columns.count - 1} of {columns.width}"
            shape = Shape((columns.width, *shape.space))
        for part in (term.norm, *term.tied):
            if part is not None:
                yield from _reads(part, shape)
        if shape != context.node.shape:
            yield f"a term makes {shape} of '{source.name}', the sum is {context.node.shape}"


def _reads(part: Part, shape: Shape) -> Iterator[str]:
    if part.inputs != (shape,):
        yield f"'{part.name}' reads {_shown(list(part.inputs))}, not {shape}"


def _sums_readers(context: Context, payload: Sums) -> Iterator[str]:
    for reader in context.graph.readers(context.index):
        if not isinstance(context.graph.node(reader).payload, Item):
            yield f"'{context.graph.node(reader).name}' reads all of them"


def _item(context: Context, payload: Item) -> Iterator[str]:
    if len(context.sources) != 1 or not isinstance(context.sources[0].payload, Sums):
        yield "it reads no sums"
        return
    (source,) = context.sources
    assert isinstance(source.payload, Sums)
    if not 0 <= payload.index < len(source.payload.sums):
        yield f"sum {payload.index} of {len(source.payload.sums)}"
    if source.shape != context.node.shape:
        yield f"it is {context.node.shape}, the sums are {source.shape}"


BOTH = frozenset(Stage)
FLAT = frozenset({Stage.FLAT})

_SUM_RULES: Mapping[str, Rule] = {
    "a sum has one source for each term": _sum_sources,
    "weights are of decisions": _weights,
    "the parts of a term have roles": _roles,
    "the parts of a term fit together": _chains,
}

FORMS: Mapping[type, Form] = {
    Input: Form(BOTH, {"an input has no sources": _no_sources}),
    Prim: Form(
        BOTH,
        {
            "a primitive has its number of inputs": _arity,
            "only widths are undecided": _parameters,
            "the shape is that of the operator's rule": _result,
        },
    ),
    Mix: Form(
        BOTH, {"a mix has one row for each source": _mix_rows, "a mix has the shape of its sources": _mix_shapes}
    ),
    Weigh: Form(BOTH, {"a candidate is of a pick": _weigh}),
    Call: Form(frozenset({Stage.HIERARCHICAL}), {"a call has the shapes of its block": _call}),
    Sum: Form(FLAT, _SUM_RULES),
    Sums: Form(FLAT, {**_SUM_RULES, "items alone read sums": _sums_readers}),
    Item: Form(FLAT, {"an item is one of several sums": _item}),
}
"""The legal forms of payloads."""

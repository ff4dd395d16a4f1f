"""Lowering: a flat space graph becomes nested `torch.fx.GraphModule`s with readable code.

One lowering serves the supernet and the discrete network alike; they differ in their graphs only. Each cell and stage
is a GraphModule of its own; weights of choices come in as one mapping from decision path to tensor.
"""

from __future__ import annotations

import keyword
import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import networkx as nx
from torch import fx, nn

from compiler.backend.fused.modules import WeightedSum, WeightedSums
from compiler.backend.fused.program import Program, place_of, program_of, weight_plan
from compiler.backend.torch_modules.masks import masked
from compiler.backend.torch_modules.mixing import joint, row_sums, weighted_sum
from compiler.ir.decision import Decision
from compiler.ir.graph import Node, SpaceGraph
from compiler.ir.payloads import Input, Mix, Prim, Weigh
from compiler.ir.primitives.base import Operator
from compiler.ir.primitives.external import Unavailable
from compiler.ir.shape import Shape
from compiler.ir.sums import Item, Part, Share, Sum, Sums, Term
from compiler.ir.undecided import Open, Var
from compiler.util.errors import LoweringError
from compiler.util.gc_pause import uncollected

from .operators import call, standalone

WEIGHTS = "weights"
"""The name of the argument that holds the weights of the choices."""


RESERVED = {*keyword.kwlist, *dir(fx.GraphModule), *dir(nn.Module()), "meta", "self", WEIGHTS}
"""Names that Python or torch uses itself; as a line's name they get an underscore."""


@dataclass(eq=False)
class Region:
    """The nodes of one cell, stage or network, and the regions directly inside."""

    scope: tuple[str, ...]
    items: list[int | Region] = field(default_factory=list)

    def nodes(self) -> set[int]:
        """All nodes in it, at any depth."""
        found: set[int] = set()
        for item in self.items:
            found |= {item} if isinstance(item, int) else item.nodes()
        return found

    @property
    def name(self) -> str:
        """The name of its module in the module around it."""
        return attribute(self.scope[-1].removeprefix(self.prefix)) if self.scope else ""

    @property
    def prefix(self) -> str:
        """What the full names of the modules around it begin with."""
        return f"{self.scope[-2]}." if len(self.scope) > 1 else ""

    @property
    def inner(self) -> str:
        """What the full names of its own nodes begin with."""
        return f"{self.scope[-1]}." if self.scope else ""


@uncollected()
def lower(
    graph: SpaceGraph,
    decisions: Mapping[str, Decision],
    *,
    drop_path: bool = False,
    holders: Mapping[str, nn.Module] | None = None,
) -> fx.GraphModule:
    """Lower a flat graph.

    Args:
        graph: a graph that holds only primitives and choices (`passes.flatten`).
        decisions: the decisions that it mentions, by path.
        drop_path: keep the primitive of that name, which a training schedules; else it vanishes.
        holders: the modules of some primitives, by the nodes' names (`hold`); others are built here.

    Returns:
        A module of the network's inputs (batches first) and, where there are choices, ``weights``: a mapping from
        decision path to a tensor with one weight per item. It returns the output, or a pair with the auxiliary one.

    Raises:
        LoweringError: where a width is still open, or an operation is not known.
    """
    return _Lowering(graph, decisions, drop_path, holders or {}).region(_regions(graph))


@uncollected()
def hold(graph: SpaceGraph) -> dict[str, nn.Module]:
    """The modules of all primitives with parameters or state, built in the order of a flat graph.

    So the values that they start from do not depend on what passes make of the graph.
    """
    holders: dict[str, nn.Module] = {}
    for index, node in graph.order():
        op = node.payload.op if isinstance(node.payload, Prim) else None
        if op is not None and op.available and not op.pure:
            shapes = [graph.node(source).shape for source in graph.sources(index)]
            for shape in (*shapes, node.shape):
                _closed(shape, node)
            holders[node.name] = standalone(op, [shape.largest for shape in shapes], node.shape.largest)
    return holders


def _regions(graph: SpaceGraph) -> Region:
    """The tree of regions, items in the order of their first node."""
    root = Region(())
    known: dict[tuple[str, ...], Region] = {(): root}

    def at(scope: tuple[str, ...]) -> Region:
        if scope not in known:
            known[scope] = Region(scope)
            at(scope[:-1]).items.append(known[scope])
        return known[scope]

    for index, node in graph.order():
        at(node.scope).items.append(index)
    return root


class _Lowering:
    def __init__(
        self,
        graph: SpaceGraph,
        decisions: Mapping[str, Decision],
        drop_path: bool,
        holders: Mapping[str, nn.Module],
    ) -> None:
        self.graph = graph
        self.holders = holders
        self.decisions = decisions
        self.drop_path = drop_path

    # ------------------------------------------------------------ what crosses a border

    def inputs(self, members: set[int]) -> list[int]:
        found = {s for m in members for s in self.graph.sources(m) if s not in members}
        return sorted(found)

    def outputs(self, members: set[int]) -> list[int]:
        ends = set(self.graph.outputs)
        return sorted(m for m in members if m in ends or not members.issuperset(self.graph.readers(m)))

    def chooses(self, members: set[int]) -> bool:
        return any(self.needs_weights(self.graph.node(member)) for member in members)

    def needs_weights(self, node: Node) -> bool:
        match node.payload:
            case Mix():
                return True
            case Weigh(decision=decision):
                return not self.decisions[decision].candidates
            case Sum(terms=terms):
                return any(self.factors(term.weight) for term in terms)
            case Sums(sums=sums):
                return any(self.factors(term.weight) for total in sums for term in total.terms)
        return self.mask(node) is not None

    def mask(self, node: Node) -> Var[int] | None:
        """The undecided width that masks a node's output."""
        if isinstance(node.payload, Prim) and isinstance(node.shape.c, Var):
            return node.shape.c if node.payload.op.fills else None
        return None

    # ------------------------------------------------------------ modules

    def region(self, region: Region) -> fx.GraphModule:
        """The module of a region: own nodes as code, inner regions as modules."""
        graph = fx.Graph()
        modules: dict[str, nn.Module] = {}
        values: dict[int, fx.Node] = {}
        members = region.nodes()
        feeds = self.graph.inputs if not region.scope else self.inputs(members)
        taken: set[str] = set()
        for index in feeds:
            name = self.identifier(self.graph.node(index), region)
            while name in taken:
                name += "_"
            taken.add(name)
            values[index] = graph.placeholder(name)
        weights = graph.placeholder(WEIGHTS) if self.chooses(members) else None
        for item in self.sorted(region):
            if isinstance(item, int):
                if not isinstance(self.graph.node(item).payload, Input):
                    values[item] = self.node(item, graph, modules, values, weights, region)
                continue
            inside = item.nodes()
            modules[item.name] = self.region(item)
            args = [values[index] for index in self.inputs(inside)]
            if self.chooses(inside):
                assert weights is not None
                args.append(weights)
            made = graph.call_module(item.name, tuple(args))
            ends = self.outputs(inside)
            if len(ends) == 1:
                made._rename(_word(item.name))
            for position, index in enumerate(ends):
                values[index] = made if len(ends) == 1 else graph.call_function(operator.getitem, (made, position))
        ends = list(self.graph.outputs) if not region.scope else self.outputs(members)
        results = tuple(values[index] for index in ends)
        graph.output(results[0] if len(results) == 1 else results)
        name = re.sub(r"\W", "_", region.scope[-1]) if region.scope else "Network"
        module = fx.GraphModule(tree(modules), graph, name)
        module.graph.lint()
        return module

    def sorted(self, region: Region) -> list[int | Region]:
        """Own nodes and inner regions, sources first, otherwise in their order."""
        where: dict[int, int] = {}
        for position, item in enumerate(region.items):
            for index in {item} if isinstance(item, int) else item.nodes():
                where[index] = position
        order = nx.DiGraph()
        order.add_nodes_from(range(len(region.items)))
        for index, position in where.items():
            for source in self.graph.sources(index):
                if source in where and where[source] != position:
                    order.add_edge(where[source], position)
        return [region.items[position] for position in nx.lexicographical_topological_sort(order)]

    def identifier(self, node: Node, region: Region) -> str:
        return _word(node.name.removeprefix(region.inner))

    # ------------------------------------------------------------ nodes

    def node(
        self,
        index: int,
        graph: fx.Graph,
        modules: dict[str, nn.Module],
        values: Mapping[int, fx.Node],
        weights: fx.Node | None,
        region: Region,
    ) -> fx.Node:
        node = self.graph.node(index)
        sources = [values[source] for source in self.graph.sources(index)]
        match node.payload:
            case Mix(decisions=decisions, rows=rows):
                assert weights is not None
                share = self.row_weights(graph, weights, decisions, rows)
                return self.called(graph.call_function(weighted_sum, (share, sources)), node, region)
            case Weigh(decision=decision, index=position):
                if self.decisions[decision].candidates:
                    return sources[0]
                assert weights is not None
                one = graph.call_function(operator.getitem, (self.of(graph, weights, decision), position))
                return self.called(graph.call_function(operator.mul, (one, sources[0])), node, region)
            case Sum() as total:
                return self.sums(index, node, (total,), graph, modules, values, weights, region)
            case Sums(sums=sums):
                return self.sums(index, node, sums, graph, modules, values, weights, region)
            case Item(index=position):
                item = graph.call_function(operator.getitem, (sources[0], position))
                return self.called(item, node, region)
            case Prim(op=op) if op.drops_paths and not self.drop_path:
                return sources[0]
            case Prim(op=op):
                made = self.operator(index, node, op, graph, modules, sources, region)
                width = self.mask(node)
                if width is None:
                    return made
                assert weights is not None
                share = self.all_weights(graph, weights, width.decisions)
                return graph.call_function(masked, (made, share, tuple(int(v) for v in width.values)))
        raise LoweringError(f"'{node.name}' is not flat: run `flatten` first")

    def operator(
        self,
        index: int,
        node: Node,
        op: Operator,
        graph: fx.Graph,
        modules: dict[str, nn.Module],
        sources: Sequence[fx.Node],
        region: Region,
    ) -> fx.Node:
        if isinstance(op, Unavailable):
            hint = f"allow it with `{op.remedy}`"
            raise LoweringError(f"'{node.name}': the plugin '{op.called}' is not allowed here; {hint}")
        shapes = [self.graph.node(source).shape for source in self.graph.sources(index)]
        if op.torch_call is not None:
            made = call(op.torch_call, graph, sources)
            return made if made in sources else self.called(made, node, region)
        for shape in (*shapes, node.shape):
            _closed(shape, node)
        target = attribute(node.name.removeprefix(region.inner))
        modules[target] = self.holders.get(node.name) or standalone(
            op, [shape.largest for shape in shapes], node.shape.largest
        )
        return self.called(graph.call_module(target, tuple(sources)), node, region)

    def sums(
        self,
        index: int,
        node: Node,
        sums: Sequence[Sum],
        graph: fx.Graph,
        modules: dict[str, nn.Module],
        values: Mapping[int, fx.Node],
        weights: fx.Node | None,
        region: Region,
    ) -> fx.Node:
        """Sums of terms: a module without parameters, called with those that stayed at their own names."""
        pending = list(self.graph.sources(index))
        distinct = list(dict.fromkeys(pending))
        programs: list[Program] = []
        vectors: dict[tuple[str, ...], fx.Node] = {}
        parts: list[fx.Node] = []
        terms: list[Term] = []
        for total in sums:
            kept = [replace(term, weight=self.factors(term.weight)) for term in total.terms]
            of, pending = pending[: len(kept)], pending[len(kept) :]
            programs.append(program_of(replace(total, terms=tuple(kept)), of, distinct, terms))
            terms += kept
        for factor in (factor for term in terms for factor in term.weight):
            decisions = (factor.decision,) if isinstance(factor, Weigh) else factor.decisions
            if decisions not in vectors:
                assert weights is not None
                vectors[decisions] = self.all_weights(graph, weights, decisions)
        for part in (part for term in terms for part in term.parts):
            target = path_from(region.scope, part.scope, part.name)
            modules[target] = self.holders.get(part.name) or self.built(part)
            parts.append(graph.get_attr(target))
        name = attribute(node.name.removeprefix(region.inner))
        while name in modules:
            name += "_"
        plan = weight_plan(terms, list(vectors), self.decisions)
        modules[name] = (WeightedSum if isinstance(node.payload, Sum) else WeightedSums)(programs, plan)
        read = [values[source] for source in distinct]
        return self.called(graph.call_module(name, (list(vectors.values()), read, parts)), node, region)

    def built(self, part: Part) -> nn.Module:
        return standalone(part.op, [shape.largest for shape in part.inputs], part.shape.largest)

    def factors(self, weight: tuple[Share | Weigh, ...]) -> tuple[Share | Weigh, ...]:
        """Without those that are 1: a menu weighs its items itself."""
        return tuple(f for f in weight if isinstance(f, Share) or not self.decisions[f.decision].candidates)

    def called(self, made: fx.Node, node: Node, region: Region) -> fx.Node:
        """The value under a name that a reader recognises."""
        made._rename(self.identifier(node, region))
        return made

    def of(self, graph: fx.Graph, weights: fx.Node, decision: str) -> fx.Node:
        return graph.call_function(operator.getitem, (weights, decision))

    def all_weights(self, graph: fx.Graph, weights: fx.Node, decisions: Sequence[str]) -> fx.Node:
        """The weights of the joint assignments of some decisions."""
        single = [self.of(graph, weights, decision) for decision in decisions]
        return single[0] if len(single) == 1 else graph.call_function(joint, (single,))

    def row_weights(
        self,
        graph: fx.Graph,
        weights: fx.Node,
        decisions: tuple[str, ...],
        rows: tuple[tuple[tuple[int, ...], ...], ...],
    ) -> fx.Node:
        """One weight per input of a mix."""
        every = self.all_weights(graph, weights, decisions)
        sizes = [len(self.decisions[decision].items) for decision in decisions]
        flat = [[place_of(assignment, sizes) for assignment in row] for row in rows]
        total = 1
        for size in sizes:
            total *= size
        if flat == [[i] for i in range(total)]:
            return every
        if all(len(row) == 1 for row in flat):
            kept = [row[0] for row in flat]
            if kept == list(range(kept[0], total)):
                return graph.call_function(operator.getitem, (every, slice(kept[0], None)))
            return graph.call_function(operator.getitem, (every, kept))
        return graph.call_function(row_sums, (every, flat))


def _closed(shape: Shape, node: Node) -> None:
    if any(isinstance(dim, Open) for dim in shape.dims):
        raise LoweringError(f"'{node.name}' has a width that is still open")


def _word(name: str) -> str:
    """A dotted name as a Python identifier."""
    word = _safe(re.sub(r"\W", "_", name))
    return word if not word[0].isdigit() else f"_{word}"


def attribute(name: str) -> str:
    """A dotted name as a path of modules."""
    return ".".join(_safe(part) for part in name.split("."))


def path_from(region: tuple[str, ...], scope: tuple[str, ...], name: str) -> str:
    """The path of modules from a region to what lies in a scope inside it; names are full."""
    places = [*scope[len(region) :], name]
    around = [*region[-1:], *places[:-1]] if region else ["", *places[:-1]]
    return ".".join(
        attribute(place.removeprefix(f"{outer}.") if outer else place)
        for place, outer in zip(places, around, strict=True)
    )


def _safe(word: str) -> str:
    return f"{word}_" if word.rstrip("_") in RESERVED else word


def tree(modules: Mapping[str, nn.Module]) -> nn.Module:
    """Modules of dotted names as a tree; a name may lie below another."""
    root = nn.Module()
    for name in sorted(modules, key=lambda name: name.count(".")):
        *path, last = name.split(".")
        parent = root
        for part in path:
            if not hasattr(parent, part):
                parent.add_module(part, nn.Module())
            parent = parent.get_submodule(part)
        parent.add_module(last, modules[name])
    return root


def code(module: fx.GraphModule) -> str:
    """The Python code of a lowered network: each distinct cell and stage once, then the network."""
    seen: dict[str, list[str]] = {}
    for path, part in [*module.named_modules()]:
        if isinstance(part, fx.GraphModule):
            seen.setdefault(_clean(part.code), []).append(path or "network")
    texts = []
    for text, paths in reversed(seen.items()):
        texts.append(f"# {', '.join(paths)}\n{text}")
    return "\n\n".join(texts) + "\n"


def _clean(text: str) -> str:
    """fx's code without its clean-up of variables."""
    lines = [re.sub(r";(\s+\w+ = )+None$", "", re.sub(r";\s+(\w+ = )+None$", "", line)) for line in text.splitlines()]
    return "\n".join(line for line in lines if line.strip()).strip()

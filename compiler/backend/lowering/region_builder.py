"""The module of a region: its own nodes as code, the regions inside it as modules."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Sequence
from dataclasses import replace

from torch import fx, nn

from compiler.backend.fused.modules import WeightedSum, WeightedSums
from compiler.backend.fused.plan import SumPlan, place_of, plan_of, weight_plan
from compiler.backend.names import WEIGHTS, identifier, unique
from compiler.backend.torch_modules.channels import pieces
from compiler.backend.torch_modules.masks import masked, packed
from compiler.backend.torch_modules.mixing import entries, joint, row_sums, weighted_sum
from compiler.backend.torch_modules.recomputed import recomputed
from compiler.backend.torch_modules.recurrence import recomputed_scan, scan
from compiler.ir.graph import Node
from compiler.ir.payloads import Input, Mix, Prim, Weigh
from compiler.ir.primitives.base import Operator
from compiler.ir.sums import Item, Sum, Sums, Term
from compiler.util.errors import LoweringError

from .build import allowed, build_node, build_part
from .lowering import Lowering
from .names import attribute, module_path, tree
from .operators import call
from .pieces import pieces_of
from .regions import Region, in_order


class RegionBuilder:
    """Builds the module of one region.

    Args:
        lowering: the network that the region is of.
        region: the region.
    """

    def __init__(self, lowering: Lowering, region: Region) -> None:
        self.lowering, self.region = lowering, region
        self.source = lowering.graph
        self.graph = fx.Graph()
        self.modules: dict[str, nn.Module] = {}
        self.values: dict[int, fx.Node] = {}
        """The fx node of each node of the space's graph that is known here."""
        self.members = {item for item in region.items if isinstance(item, int)}
        """The nodes of the region that are in no region inside it."""
        self.pieces: dict[int, fx.Node] = {}
        """The values of cuts that are made together."""
        self.weights: fx.Node | None = None
        """The mapping from decision path to weights, where the region needs it."""

    def build(self) -> fx.GraphModule:
        """The module of the region.

        Raises:
            LoweringError: where a width is still open, or an operation is not known.
        """
        members, is_network = self.region.nodes(), not self.region.scope
        self._placeholders(self.source.inputs if is_network else self.lowering.inputs(members))
        # A network of choices takes weights also where the items that live need none.
        if self.lowering.reads_weights(members) or (is_network and self.lowering.decisions):
            self.weights = self.graph.placeholder(WEIGHTS)
        for item in in_order(self.region, self.source):
            if isinstance(item, Region):
                self._call(item)
            elif not isinstance(self.source.node(item).payload, Input):
                self.values[item] = self._node(item)
        ends = self.source.outputs if is_network else self.lowering.outputs(members)
        results = tuple(self.values[index] for index in ends)
        self.graph.output(results[0] if len(results) == 1 else results)
        name = "Network" if is_network else re.sub(r"\W", "_", self.region.scope[-1])
        module = fx.GraphModule(tree(self.modules), self.graph, name)
        module.graph.lint()
        return module

    def _placeholders(self, inputs: Sequence[int]) -> None:
        """The arguments of the module: what the region reads."""
        taken: set[str] = set()
        for index in inputs:
            name = unique(self._identifier(self.source.node(index)), taken)
            self.values[index] = self.graph.placeholder(name)

    def _call(self, inner: Region) -> None:
        """The call of a region inside."""
        members = inner.nodes()
        self.modules[inner.name] = RegionBuilder(self.lowering, inner).build()
        inputs = self.lowering.inputs(members)
        arguments = [self.values[index] for index in inputs]
        if self.lowering.reads_weights(members):
            arguments.append(self._all_weights)
        is_recomputed = inner.scope in self.lowering.recomputed
        if (state := self.lowering.state(inner)) is not None:
            target = recomputed_scan if is_recomputed else scan
            cell = self.graph.get_attr(inner.name)
            made = self.graph.call_function(target, (cell, inputs.index(state), *arguments))
        elif is_recomputed:
            made = self.graph.call_function(recomputed, (self.graph.get_attr(inner.name), *arguments))
        else:
            made = self.graph.call_module(inner.name, tuple(arguments))
        ends = self.lowering.outputs(members)
        if len(ends) == 1:
            made._rename(identifier(inner.name))
            self.values[ends[0]] = made
            return
        for position, index in enumerate(ends):
            self.values[index] = self.graph.call_function(operator.getitem, (made, position))

    # ------------------------------------------------------------ nodes

    def _node(self, index: int) -> fx.Node:
        node = self.source.node(index)
        sources = [self.values[source] for source in self.source.sources(index)]
        match node.payload:
            case Mix(decisions=decisions, rows=rows):
                share = self._row_weights(decisions, rows)
                return self._named(self.graph.call_function(weighted_sum, (share, sources)), node)
            case Weigh(decision=decision, index=position):
                if self.lowering.decisions[decision].candidates:
                    return sources[0]
                one = self.graph.call_function(operator.getitem, (self._weights_of(decision), position))
                return self._named(self.graph.call_function(operator.mul, (one, sources[0])), node)
            case Sum() as total:
                return self._sums(index, node, (total,))
            case Sums(sums=sums):
                return self._sums(index, node, sums)
            case Item(index=position):
                return self._named(self.graph.call_function(operator.getitem, (sources[0], position)), node)
            case Prim(op=op) if op.drops_paths and not self.lowering.drop_path:
                return sources[0]
            case Prim() if (widths := self.lowering.packing(index)) is not None:
                share = self._joint_weights(widths.decisions)
                return self._named(self.graph.call_function(packed, (sources, share, widths.values)), node)
            case Prim(op=op):
                return self._masked(self._operator(index, node, op, sources), node)
        raise LoweringError(f"'{node.name}' is not flat: run `flatten` first")

    def _operator(self, index: int, node: Node, op: Operator, sources: Sequence[fx.Node]) -> fx.Node:
        if op.slices_channels and index not in self.pieces:
            self._cut_up(*self.source.sources(index))
        if index in self.pieces:
            return self._named(self.pieces[index], node)
        function = allowed(node, op).torch_call
        if function is not None:
            made = call(function, self.graph, sources)
            return made if made in sources else self._named(made, node)
        target = self._attribute(node)
        self.modules[target] = self.lowering.modules.get(node.name) or build_node(self.source, index)
        return self._named(self.graph.call_module(target, tuple(sources)), node)

    def _cut_up(self, index: int) -> None:
        """Make the pieces of a tensor, if its cuts are such."""
        found = pieces_of(self.source, index, [r for r in self.source.readers(index) if r in self.members])
        if found:
            made = self.graph.call_function(pieces, (self.values[index], tuple(found.values())))
            for position, cut in enumerate(found):
                self.pieces[cut] = self.graph.call_function(operator.getitem, (made, position))

    def _masked(self, made: fx.Node, node: Node) -> fx.Node:
        """A value whose channels beyond an undecided width are masked."""
        width = self.lowering.masking_width(node)
        if width is None:
            return made
        share = self._joint_weights(width.decisions)
        return self.graph.call_function(masked, (made, share, tuple(int(v) for v in width.values)))

    def _sums(self, index: int, node: Node, sums: Sequence[Sum]) -> fx.Node:
        """Sums of terms: a module without parameters, called with those that stayed at their own names."""
        pending = list(self.source.sources(index))
        distinct = list(dict.fromkeys(pending))
        plans: list[SumPlan] = []
        terms: list[Term] = []
        for total in sums:
            kept = [replace(term, weight=self.lowering.factors(term.weight)) for term in total.terms]
            of, pending = pending[: len(kept)], pending[len(kept) :]
            plans.append(plan_of(replace(total, terms=tuple(kept)), of, distinct, terms))
            terms += kept
        vectors: dict[tuple[str, ...], fx.Node] = {}
        for factor in (factor for term in terms for factor in term.weight):
            decisions = (factor.decision,) if isinstance(factor, Weigh) else factor.decisions
            if decisions not in vectors:
                vectors[decisions] = self._joint_weights(decisions)
        parts: list[fx.Node] = []
        for part in (part for term in terms for part in term.parts):
            target = module_path(self.region.scope, part.scope, part.name)
            self.modules[target] = self.lowering.modules.get(part.name) or build_part(part)
            parts.append(self.graph.get_attr(target))
        name = self._attribute(node)
        while name in self.modules:
            name += "_"
        weights = weight_plan(terms, list(vectors), self.lowering.decisions)
        self.modules[name] = (WeightedSum if isinstance(node.payload, Sum) else WeightedSums)(plans, weights)
        read = [self.values[source] for source in distinct]
        return self._named(self.graph.call_module(name, (list(vectors.values()), read, parts)), node)

    # ------------------------------------------------------------ weights of choices

    @property
    def _all_weights(self) -> fx.Node:
        assert self.weights is not None, "`reads_weights` says that the region needs them"
        return self.weights

    def _weights_of(self, decision: str) -> fx.Node:
        return self.graph.call_function(operator.getitem, (self._all_weights, decision))

    def _joint_weights(self, decisions: Sequence[str]) -> fx.Node:
        """The weights of the joint assignments of some decisions."""
        single = [self._weights_of(decision) for decision in decisions]
        return single[0] if len(single) == 1 else self.graph.call_function(joint, (single,))

    def _row_weights(self, decisions: tuple[str, ...], rows: tuple[tuple[tuple[int, ...], ...], ...]) -> fx.Node:
        """One weight per input of a mix."""
        every = self._joint_weights(decisions)
        sizes = [len(self.lowering.decisions[decision].items) for decision in decisions]
        flat = [[place_of(assignment, sizes) for assignment in row] for row in rows]
        total = math.prod(sizes)
        if flat == [[i] for i in range(total)]:
            return every
        if all(len(row) == 1 for row in flat):
            kept = [row[0] for row in flat]
            if kept == list(range(kept[0], total)):
                return self.graph.call_function(operator.getitem, (every, slice(kept[0], None)))
            return self.graph.call_function(entries, (every, kept))
        return self.graph.call_function(row_sums, (every, flat))

    # ------------------------------------------------------------ names

    def _identifier(self, node: Node) -> str:
        return identifier(node.name.removeprefix(self.region.inner))

    def _attribute(self, node: Node) -> str:
        return attribute(node.name.removeprefix(self.region.inner))

    def _named(self, made: fx.Node, node: Node) -> fx.Node:
        """The value under a name that a reader recognises."""
        made._rename(self._identifier(node))
        return made

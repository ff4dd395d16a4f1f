"""An architecture as an object: a space with its decisions made, on the graph.

`specialise` gives the network that `derive_module` writes down: blocks stay, choices go, shapes are decided. It equals
what the derived text elaborates to (law 2) but for the names of nodes, which stay those of the space, sums inside of
sums, which a text writes as one, tensors that nothing reads and no line holds, of which a text may write fewer, and the
auxiliary output, which spaces do not have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from compiler.elaborate import BodyElaboration, Copy, Elaborated, Origin, elaborate
from compiler.elaborate.errors import ElaborationError
from compiler.elaborate.values import Function, Picked, describe, params_of
from compiler.elaborate.widths import fill, solve
from compiler.ir.combinatorics.count_formula import Mention
from compiler.ir.decision import Selection
from compiler.ir.graph import Block, Call, Node, Payload, SpaceGraph
from compiler.ir.payloads import Input, Mix, Prim, Weigh
from compiler.ir.primitives.base import Gather
from hdas_dsl.files import Loader
from hdas_dsl.text.diagnostics import HspError
from hdas_dsl.tree import ast
from hdas_dsl.tree.printer import print_module

from .assignment import Assignment
from .block_facts import has_open_widths, undecided_blocks
from .discrete import discrete
from .module import derive_module
from .presence import absent, existing, may_lack, settle


def specialise(space: Elaborated, chosen: Selection) -> Elaborated:
    """The architecture that decisions select, as a network without decisions.

    Its copies have graphs, but no record of the expressions that made them: text is written from the space.

    Args:
        space: what is chosen in.
        chosen: the items of every decision.

    Raises:
        HspError: the decisions leave nothing of a text with `prune`, or open widths have no solution.
        DifferentDecisionsError: the discrete variant of the space has other decisions.
    """
    selecting = Selecting(space, chosen)
    network = selecting.variant.network
    if not network.decisions:
        return network
    block = without_choices(selecting.network)
    copies = _copies(network, block)
    kept = (Origin.BODY, Origin.OPERATION)
    return replace(
        network,
        block=block,
        decisions={},
        copies=copies,
        formula=(Mention(network.root.path),),
        preferences=(),
        requirements=tuple(item for item in network.requirements if item.copy in copies and item.origin in kept),
        refusals=(),
    )


@dataclass(eq=False)
class Selecting:
    """An architecture in which the choices that were made still stand: each as a `Mix` or `Weigh` of one tensor.

    Args:
        space: what is chosen in.
        chosen: the items of every decision.

    Raises:
        HspError: the decisions leave nothing of a text with `prune`.
        DifferentDecisionsError: the discrete variant of the space has other decisions.
    """

    space: Elaborated
    chosen: Selection

    def __post_init__(self) -> None:
        self.variant = self.space.once(discrete)
        network = self.variant.network
        presence = settle(network, self.variant.selection(self.chosen))
        self._blocks = _Selector(network, presence.chosen)

    @cached_property
    def network(self) -> Block:
        """The whole network, open widths solved.

        Raises:
            HspError: open widths have no solution.
        """
        network = self.variant.network
        block = self._blocks.block(network.block) if network.decisions else network.block
        try:
            return fill(block, solve(block)) if network.once(has_open_widths) else block
        except ElaborationError as error:
            raise HspError([error.diagnostic]) from None

    def copy(self, path: str) -> Block | None:
        """The first instance of a copy, open widths as they are; None where the space has no such copy."""
        copy = self.variant.network.copies.get(path)
        return None if copy is None else self._blocks.block(copy.block)


def derived_at(space: Elaborated, chosen: Selection, network: Elaborated) -> Elaborated:
    """The architecture that decisions select, at the arguments of a network of the same definition with other choices.

    Decisions of the space do not select an architecture of that network, so that the derived text is elaborated.

    Raises:
        HspError: it has errors at these arguments, or the decisions leave nothing of it.
    """
    text = print_module(derive_module(space, chosen))
    instance = Loader().load_text(text, "derived.hsp", space.root.instance.unit.root)
    assert instance is not None, "a derived module parses (law 2)"
    definition = next(d for d in instance.unit.module.definitions if d.name == space.name)
    assert isinstance(definition, ast.GraphDef)
    # An operation among the arguments names definitions of the space, which still choose: the derived text has its own.
    inputs = {param.name for param in definition.inputs}
    args = {name: value for name, value in network.given.items() if name in inputs or isinstance(value, int | float)}
    found, diagnostics = elaborate(Function(definition, instance), args, externals=space.externals)
    if found is None:
        raise HspError(diagnostics)
    return found


# ---------------------------------------------------------------- what stays


@dataclass(eq=False)
class _Selector:
    """Blocks with only what exists in them."""

    network: Elaborated
    chosen: Selection
    made: dict[Block, Block] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.assignment = Assignment.of(self.chosen)
        self.undecided = self.network.once(undecided_blocks)

    def block(self, block: Block) -> Block:
        """A block under the decisions, made once."""
        if block not in self.undecided:
            return block
        if block not in self.made:
            params = {name: self.assignment.value(value) for name, value in params_of(block).items()}
            changed = {name for name, value in params.items() if value is not block.params[name]}
            arguments = tuple(
                (name, describe(params[name]) if name in changed else text) for name, text in block.arguments
            )
            self.made[block] = replace(block, graph=self.graph(block), params=params, arguments=arguments)
        return self.made[block]

    def graph(self, block: Block) -> SpaceGraph:
        """The nodes that exist, sources first."""
        graph, copy = block.graph, self.network.copies.get(block.copy or "")
        body = None if copy is None else copy.bodies.get(block, copy.body)
        prune = copy is not None and copy.body.prune and copy.live
        gone = absent(graph, dict(self.chosen)) if copy is not None and may_lack(self.network, copy) else set()
        here = existing(graph, body, self.chosen, gone, prune)
        made, place = SpaceGraph(), dict[int, int]()
        for index, node in graph.order():
            if index in here or isinstance(node.payload, Input):
                sources = self.sources(node.payload, [place.get(source) for source in graph.sources(index)])
                shape = self.assignment.shape(node.shape)
                place[index] = made.add(replace(node, payload=self.payload(node.payload), shape=shape), sources)
        assert graph.output is not None
        made.output = place[graph.output]
        if graph.aux is not None:
            # Nothing that is asked of an architecture needs the head; it stays where a line holds it.
            made.aux = place.get(graph.aux)
        for line, value in () if body is None else body.bound():
            taken = (
                [place[item.index] for item in value.items if item.index in place] if isinstance(value, Picked) else ()
            )
            if len(taken) == 1:
                made.name_line(taken[0], line)
        return made

    def sources(self, payload: Payload, sources: Sequence[int | None]) -> tuple[int, ...]:
        """The sources of a node that it reads."""
        if isinstance(payload, Mix):
            taken = tuple(self.chosen[path][0] for path in payload.decisions)
            sources = [source for source, row in zip(sources, payload.rows, strict=True) if taken in row]
        return tuple(source for source in sources if source is not None)

    def payload(self, payload: Payload) -> Payload:
        """The payload of a node with its decisions made."""
        match payload:
            case Prim(op=op):
                decided = op.map(self.assignment.attribute)
                return payload if decided is op else Prim(decided)
            case Call(block=block):
                return Call(self.block(block))
        return payload


# ---------------------------------------------------------------- without choices


def without_choices(block: Block) -> Block:
    """The block without choices that were made, and without sums of one tensor: they are that tensor."""
    return _Collapser().block(block)


@dataclass(eq=False)
class _Collapser:
    made: dict[Block, Block] = field(default_factory=dict)

    def block(self, block: Block) -> Block:
        if block not in self.made:
            self.made[block] = replace(block, graph=self.graph(block.graph))
        return self.made[block]

    def graph(self, graph: SpaceGraph) -> SpaceGraph:
        made, place = SpaceGraph(), dict[int, int]()
        for index, node in graph.order():
            sources = tuple(place[source] for source in graph.sources(index))
            if len(sources) == 1 and _stands_for_its_source(node):
                place[index] = sources[0]
                if node.line is not None:
                    made.name_line(sources[0], node.line)
            else:
                payload = Call(self.block(node.payload.block)) if isinstance(node.payload, Call) else node.payload
                place[index] = made.add(replace(node, payload=payload), sources)
        assert graph.output is not None
        made.output, made.aux = place[graph.output], None if graph.aux is None else place[graph.aux]
        return made


def _stands_for_its_source(node: Node) -> bool:
    match node.payload:
        case Mix() | Weigh():
            return True
        case Prim(op=op):
            return op.gather is Gather.SUM
    return False


# ---------------------------------------------------------------- copies


def _copies(network: Elaborated, block: Block) -> dict[str, Copy]:
    """The copies that an architecture has, in the order of the space; the first block of each stands for it."""
    found: dict[str, list[Block]] = {}
    seen: set[Block] = set()
    pending = [block]
    while pending:
        here = pending.pop()
        if here not in seen:
            seen.add(here)
            if here.copy is not None:
                found.setdefault(here.copy, []).append(here)
            pending += [n.payload.block for _, n in reversed(list(here.graph.order())) if isinstance(n.payload, Call)]
    return {path: _copy(copy, found[path]) for path, copy in network.copies.items() if path in found}


def _copy(copy: Copy, blocks: Sequence[Block]) -> Copy:
    bodies = {block: _body(copy.body, block.graph) for block in blocks}
    return replace(copy, body=bodies[blocks[0]], formula=(), block=blocks[0], bodies=bodies)


def _body(body: BodyElaboration, graph: SpaceGraph) -> BodyElaboration:
    return BodyElaboration(body.definition, body.instance, body.copy, body.level, False, root=body.root, graph=graph)

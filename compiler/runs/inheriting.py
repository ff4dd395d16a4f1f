"""Weights that a network takes from a supernet that it was derived from, or from a network of another size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from compiler.analysis.membership.found import NotInSpaceError
from compiler.analysis.membership.query import decisions_of
from compiler.backend.lowering.network import Network
from compiler.backend.lowering.operators import slice_of
from compiler.backend.passes.flatten import flatten
from compiler.backend.torch_modules.regularisation import Fade
from compiler.derivation.correspondence import corresponding
from compiler.derivation.discrete import discrete
from compiler.derivation.strongest import default_decisions
from compiler.elaborate import Elaborated
from compiler.ir.decision import Selection
from compiler.ir.graph import SpaceGraph
from compiler.ir.payloads import Mix, Prim, Weigh
from compiler.ir.primitives.base import Operator
from compiler.ir.undecided import Var, largest
from compiler.searcher.relaxations import OnePath, Relaxed, Supernet
from compiler.searcher.relaxations.started import is_wider, start_from, widened
from compiler.util.errors import UsageError

from .inherited import Inherited


@dataclass(frozen=True)
class _Donor:
    """What gives: a graph, an architecture in it, and the modules and operators behind its nodes, by their names."""

    graph: SpaceGraph
    chosen: Selection
    modules: Mapping[str, nn.Module]
    operators: Mapping[str, Operator]
    used: frozenset[str]
    """The modules that run in this architecture."""
    adds: bool = False
    """Whether it adds items to its menus that no architecture has, as `beside` does."""


@torch.no_grad()
def inherit(source: Relaxed | Network, target: Relaxed | Network, *, seed: int = 0) -> Inherited:
    """Give a network the weights and statistics that another has for the same operations.

    Args:
        source: a supernet in whose space the target lies, or a network of the same structure, of other widths maybe.
        target: the network that takes them, in place; a supernet takes tensors by their names.
        seed: what follows from it is which channels are repeated where the target has more.

    Returns:
        Which tensors were taken, and how, and which not.

    Raises:
        UsageError: the target does not lie in the space of the supernet, or has another structure; or one is neither.
    """
    wrong = [type(given).__name__ for given in (source, target) if not isinstance(given, Relaxed | Network)]
    if wrong:
        raise UsageError(f"`inherit` takes supernets and networks, as `load` makes them, not {wrong[0]}")
    if isinstance(target, Relaxed):
        if not isinstance(source, Relaxed):
            raise UsageError("a supernet takes weights from a supernet: a network has those of one architecture alone")
        found = start_from(target, source.network.state_dict(), seed)
        whole, part, grown, fresh = (
            tuple(f"network.{name}" for name in names) for names in (found.whole, found.part, found.grown, found.fresh)
        )
        return Inherited(whole, part, grown, fresh, exact=not (part or grown or fresh))
    donor = _of_supernet(source, target.space) if isinstance(source, Relaxed) else _of_network(source)
    return _given(donor, target, seed)


def _given(donor: _Donor, target: Network, seed: int) -> Inherited:
    """Copy what the donor has for the target."""
    own, theirs_of, mine = flatten(target.space.block.graph), _tensors(donor.modules), _tensors(target.built)
    found: dict[str, list[str]] = {"whole": [], "part": [], "grown": []}
    names = {id(tensor): name for name, tensor in target.state_dict(keep_vars=True).items()}
    taken: set[str] = set()
    for left, right in corresponding(donor.graph, own, donor.chosen):
        theirs, node, payload = donor.graph.node(left).name, own.node(right), own.node(right).payload
        if node.name not in mine or theirs not in theirs_of or not isinstance(payload, Prim):
            continue
        taken.add(theirs)
        given = theirs_of[theirs]
        for name, tensor in mine[node.name].items():
            if name in given and (kind := _take(tensor, name, given[name], donor.operators[theirs], payload.op, seed)):
                found[kind].append(names.pop(id(tensor)))
    unused = tuple(sorted(name for name in donor.used - taken if theirs_of[name]))
    needed = {id(tensor) for name in _running(own, {}) for tensor in mine.get(name, {}).values()}
    exact = not (donor.adds or found["grown"] or unused or needed & names.keys())
    whole, part, grown = (tuple(found[kind]) for kind in ("whole", "part", "grown"))
    return Inherited(whole, part, grown, tuple(names.values()), unused, exact)


def _tensors(modules: Mapping[str, nn.Module]) -> dict[str, dict[str, Tensor]]:
    """The tensors of each module, by its name and theirs; modules lie below others by their names alone."""
    every = {id(module) for module in modules.values()}
    found: dict[str, dict[str, Tensor]] = {}
    for name, module in modules.items():
        below = tuple(f"{path}." for path, other in module.named_modules() if path and id(other) in every)
        tensors = module.state_dict(keep_vars=True)
        found[name] = {key: tensor for key, tensor in tensors.items() if not key.startswith(below)}
    return found


def _take(own: Tensor, name: str, given: Tensor, large: Operator, small: Operator, seed: int) -> str:
    """Fill a tensor from another's, and say how; empty where it cannot be."""
    if given.shape == own.shape:
        own.copy_(given)
        return "whole"
    if given.dim() == own.dim() and all(a >= b for a, b in zip(given.shape, own.shape, strict=True)):
        own.copy_(slice_of(given, large.part(name, tuple(given.shape), tuple(own.shape), small)))
        return "part"
    if is_wider(own, given):
        own.copy_(widened(given, own.shape, seed))
        return "grown"
    return ""


def _of_network(source: Network) -> _Donor:
    graph = flatten(source.space.block.graph)
    return _Donor(graph, {}, source.built, dict(_operators(graph)), frozenset(source.built))


def _of_supernet(supernet: Relaxed, own: Elaborated) -> _Donor:
    """A supernet as the architecture that a network is.

    Raises:
        UsageError: it does not lie in the space.
    """
    space = supernet.space
    try:
        chosen = {**default_decisions(space.decisions), **decisions_of(space, own)}
    except NotInSpaceError as refusal:
        where = f"it leaves it at {refusal.path}: {refusal.reason}"
        raise UsageError(f"the network does not lie in the space of the supernet: {where}") from None
    if isinstance(supernet, OnePath):
        modules = supernet.operations.modules
        operators = supernet.operations.operators_of_nodes
    else:
        assert isinstance(supernet, Supernet)
        modules = dict(supernet.lowering.first.modules)
        operators = dict(_operators(flatten(supernet.lowering.space.block.graph)))
    used = frozenset(name for name in _running(flatten(space.block.graph), chosen) if name in modules)
    variant = discrete(space)  # whose nodes have the names of the supernet's, which those of an architecture may not
    graph = flatten(variant.network.block.graph)
    adds = any(isinstance(module, Fade) for module in supernet.modules())
    return _Donor(graph, variant.selection(chosen), modules, operators, used, adds)


def _operators(graph: SpaceGraph) -> Iterator[tuple[str, Operator]]:
    """The operators of a graph by the names of their nodes, each at its largest."""
    for _, node in graph.order():
        if isinstance(node.payload, Prim):
            yield node.name, node.payload.op.map(lambda value: largest(value) if isinstance(value, Var) else value)


def _running(graph: SpaceGraph, chosen: Selection) -> Iterator[str]:
    """The names of the nodes that the output of an architecture depends on."""
    pending, seen = [graph.output], set()
    while pending:
        index = pending.pop()
        if index is None or index in seen:
            continue
        seen.add(index)
        yield graph.node(index).name
        sources = graph.sources(index)
        match graph.node(index).payload:
            case Weigh(decision=path, index=item) if item not in chosen[path]:
                continue
            case Mix(decisions=paths, rows=rows):
                taken = tuple(chosen[path][0] for path in paths)
                sources = tuple(source for source, row in zip(sources, rows, strict=True) if taken in row)
        pending.extend(sources)

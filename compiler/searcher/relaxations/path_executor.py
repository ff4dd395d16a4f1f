"""The operations of a space and how one architecture of them runs: what is not in it is not touched.

Parameters and their names are those of the naive lowering. An architecture is not lowered but called step by step,
which costs some microseconds each, so that every pass may run another one. Where an architecture is smaller than what
was built (an undecided width), it uses a slice of the parameters; nothing is masked.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from compiler.backend.lowering.fx import attribute, tree
from compiler.backend.lowering.operators import slice_of, standalone
from compiler.backend.passes.flatten import flatten
from compiler.backend.passes.share import share as share_equal
from compiler.derivation.selected_steps import Dims, Path, Paths, Step, bounds
from compiler.ir.decision import Decision, DecisionKind, Selection
from compiler.ir.graph import Node, SpaceGraph
from compiler.ir.payloads import Input, Mix, Prim, Weigh
from compiler.ir.primitives.base import Operator
from compiler.ir.primitives.parameters import Attribute, Scalar
from compiler.ir.undecided import Open, Var, largest
from compiler.util.errors import LoweringError

from .path_fusion import Call, chained

CACHED = 64
"""How many architectures are remembered as calls; to find those of another takes about a millisecond."""

Weighed = Callable[[Step, Tensor], Tensor]
"""What the tensor of a choice that was made, or of an undecided width, is passed through."""


@dataclass(frozen=True)
class Built:
    """A primitive as it was built: at its largest."""

    op: Operator
    module: nn.Module
    inputs: tuple[Dims, ...]
    shape: Dims


class Operations:
    """Every operation of a space; called with images and decisions, it runs those of one architecture.

    ``module`` holds them under their names.

    Args:
        graph: the space's graph.
        decisions: its decisions, by path.
        share: whether the values of an undecided number share one weight, of which each takes a slice.

    Raises:
        LoweringError: where an operation is not known.
    """

    def __init__(self, graph: SpaceGraph, decisions: Mapping[str, Decision], share: bool = False) -> None:
        flat = share_equal(flatten(graph))  # operations that read the same have their activations in common
        self.paths = Paths(flat, decisions)
        nodes = self.paths.nodes
        widths = bounds(flat) if self.paths.is_open else {}
        self.built: dict[int, Built] = {}
        for index, node in enumerate(nodes):
            if isinstance(node.payload, Prim) and not node.payload.op.drops_paths:
                built = self._build(node, node.payload.op, index, widths)
                if built is not None:
                    self.built[index] = built
        names = {index: module_name(nodes[index]) for index in self.built}
        for members in alternatives(self.paths, decisions) if share else ():
            if (home := _home([self.built[member] for member in members])) is not None:
                self.built.update(dict.fromkeys(members, home))
                for member in members[1:]:
                    del names[member]
        self.module = tree({name: self.built[index].module for index, name in names.items()})
        self.modules = {index: built.module for index, built in self.built.items()}
        self.cached: OrderedDict[object, tuple[Path, tuple[Call, ...]]] = OrderedDict()

    def _build(self, node: Node, op: Operator, index: int, widths: Mapping[Open, int]) -> Built | None:
        if not op.available:
            raise LoweringError(f"'{node.name}': the external operation '{op.called}' is not allowed here")
        if op.torch_call is not None:
            return None

        def most(value: Attribute) -> Scalar:
            if not isinstance(value, Open):
                return largest(value) if isinstance(value, Var) else value
            if value not in widths:
                raise LoweringError(f"'{node.name}' has an open width that nothing bounds")
            return widths[value]

        def dims(at: int) -> Dims:
            return tuple(int(most(dim)) for dim in self.paths.nodes[at].shape.dims)

        inputs, shape = tuple(dims(source) for source in self.paths.sources[index]), dims(index)
        largest_op = op.map(most)
        return Built(largest_op, standalone(largest_op, inputs, shape), inputs, shape)

    # ------------------------------------------------------------ running

    def __call__(self, images: Tensor, chosen: Selection, weighed: Weighed | None = None) -> Tensor:
        """The output of an architecture; with ``weighed``, every choice's tensor is passed through it.

        Raises:
            Nothing: the decisions leave nothing of the network.
        """
        path, calls = self.calls(chosen, weighed is not None)
        if images.dim() == 4 and images.device.type == "cpu":
            images = images.contiguous(memory_format=torch.channels_last)  # what torch is fastest on there
        values: dict[int, Tensor] = {step.index: images for step in path.steps if isinstance(step.payload, Input)}
        for call in calls:
            if call.run is not None:
                made = call.run(*[values[source] for source in call.sources])
            else:
                assert weighed is not None
                made = weighed(call.step, values[call.sources[0]])
            for slot in call.dead:
                del values[slot]
            values[call.at] = made
        return values[calls[-1].at] if calls else images

    def calls(self, chosen: Selection, weighed: bool = False) -> tuple[Path, tuple[Call, ...]]:
        """An architecture, and the calls that compute it."""
        key = (weighed, *chosen.values())
        found = self.cached.get(key)
        if found is None:
            path = self.paths.path(chosen)
            calls = chained(list(self._calls(path, weighed)), self.paths.nodes, self.modules)
            found = self.cached[key] = path, _with_ends(calls)
            if len(self.cached) > CACHED:
                self.cached.popitem(last=False)
        else:
            self.cached.move_to_end(key)
        return found

    def _calls(self, path: Path, weighed: bool) -> Iterator[Call]:
        """What to call in order; a slot is that of the step whose value it holds."""
        slot: dict[int, int] = {}
        for step in path.steps:
            sources = tuple(slot[source] for source in step.sources)
            slot[step.index] = step.index
            match step.payload:
                case Input():
                    pass
                case Mix() | Weigh() if weighed:
                    yield Call(step.index, step, None, sources)
                case Mix() | Weigh():
                    slot[step.index] = sources[0]
                case Prim(op=op) if op.drops_paths:
                    slot[step.index] = sources[0]
                case Prim(op=op):
                    run = emitted(op, len(sources)) if step.index not in self.built else self._operation(step, op)
                    yield Call(step.index, step, run, sources)
                    if weighed and isinstance(self.paths.nodes[step.index].shape.c, Var) and op.fills:
                        yield Call(step.index, step, None, (step.index,))

    def _operation(self, step: Step, op: Operator) -> Callable[..., Tensor]:
        """The module of a primitive, or a slice of it."""
        built = self.built[step.index]
        if (built.op, built.inputs, built.shape) == (op, step.inputs, step.shape):
            return built.module
        return _Slice(built, op, step.inputs, step.shape)


class _Slice:
    """A smaller application of an operation: its module without tensors, given the parts of the large ones it uses."""

    def __init__(self, built: Built, op: Operator, inputs: tuple[Dims, ...], shape: Dims) -> None:
        self.built, self.op = built, op
        self.module, self.places = bare(op, inputs, shape)
        self.large = [built.module.get_submodule(place.name.rpartition(".")[0]) for place in self.places]

    def __call__(self, *inputs: Tensor) -> Tensor:
        built, module = self.built, self.module
        if module.training is not built.module.training:
            module.train(built.module.training)
        for place, large in zip(self.places, self.large, strict=True):
            tensor = getattr(large, place.leaf)
            part = built.op.part(place.name, tuple(tensor.shape), place.shape, self.op)
            place.owner.__dict__[place.leaf] = slice_of(tensor, part)
        try:
            made: Tensor = module(*inputs)
        finally:
            for place in self.places:
                place.owner.__dict__.pop(place.leaf, None)
        return made


@dataclass(frozen=True)
class Place:
    """Where a module wants a tensor, and of which shape."""

    name: str
    owner: nn.Module
    leaf: str
    shape: Dims


@lru_cache(maxsize=4096)
def bare(op: Operator, inputs: tuple[Dims, ...], shape: Dims) -> tuple[nn.Module, tuple[Place, ...]]:
    """The module of a primitive without its parameters and buffers, and where it wants them."""
    with torch.device("meta"):
        module = standalone(op, inputs, shape)
    places = []
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        path, _, leaf = name.rpartition(".")
        places.append(Place(name, module.get_submodule(path), leaf, tuple(tensor.shape)))
    for place in places:
        delattr(place.owner, place.leaf)
    return module, tuple(places)


@lru_cache(maxsize=256)
def emitted(op: Operator, arity: int) -> nn.Module:
    """A call of a function on so many inputs, which does not depend on their shapes."""
    return standalone(op, ((),) * arity, ())


def _with_ends(calls: list[Call]) -> tuple[Call, ...]:
    """The calls, each with the slots that no later one reads."""
    kept = {calls[-1].at} if calls else set()
    result: list[Call] = []
    for call in reversed(calls):
        dead = tuple(source for source in dict.fromkeys(call.sources) if source not in kept)
        kept.update(call.sources)
        result.append(Call(call.at, call.step, call.run, call.sources, dead))
    return tuple(reversed(result))


# ---------------------------------------------------------------- names and shared weights


def module_name(node: Node) -> str:
    """The path that a node's module has in a lowered network."""
    names = [*node.scope, node.name]
    outer = ["", *(f"{scope}." for scope in node.scope)]
    return ".".join(attribute(name.removeprefix(prefix)) for name, prefix in zip(names, outer, strict=True))


def alternatives(paths: Paths, decisions: Mapping[str, Decision]) -> Iterator[list[int]]:
    """The applications of one primitive that differ in undecided numbers only."""
    for index, node in enumerate(paths.nodes):
        if not isinstance(node.payload, Mix):
            continue
        members = sorted(set(paths.sources[index]))
        made = {(p.name if isinstance(p := paths.nodes[m].payload, Prim) else None, paths.sources[m]) for m in members}
        numbers = all(decisions[path].kind is DecisionKind.NUMBER for path in node.payload.decisions)
        if numbers and len(made) == 1 and None not in {name for name, _ in made}:
            yield members


def _home(members: list[Built]) -> Built | None:
    """The one whose tensors the others can be slices of."""
    sizes = [{name: tensor.shape for name, tensor in member.module.state_dict().items()} for member in members]
    for member, size in zip(members, sizes, strict=True):
        if all(
            other.keys() == size.keys() and all(a <= b for n in size for a, b in zip(other[n], size[n], strict=True))
            for other in sizes
        ):
            return member
    return None

"""The operations of a space, of which a pass runs those of one architecture; the others are not touched.

Parameters and their names are those of the naive lowering. An architecture is not lowered but called step by step,
which costs some microseconds a step, so that every pass may run another one. Where an operation is smaller in an
architecture than it was built (an undecided width), it uses a slice of the parameters; nothing is masked.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from compiler.backend.fused import kernel
from compiler.backend.lowering.build import check_weights_fit
from compiler.backend.lowering.names import node_path, tree
from compiler.backend.lowering.operators import slice_of, standalone
from compiler.backend.passes.flatten import flatten
from compiler.backend.passes.share import share as share_equal
from compiler.derivation.selected_path import Dims, SelectedPath, SelectedStep
from compiler.derivation.selected_steps import Paths
from compiler.derivation.width_bounds import width_bounds
from compiler.ir.decision import Decision, DecisionKind, Selection
from compiler.ir.graph import Node, SpaceGraph
from compiler.ir.payloads import Input, Mix, Prim, Weigh
from compiler.ir.primitives.base import Operator
from compiler.ir.primitives.parameters import Attribute, Scalar
from compiler.ir.undecided import Open, Var, largest
from compiler.searcher.data.source import Inputs, parts_of
from compiler.util.errors import LoweringError
from compiler.util.gc_pause import uncollected

from .path_fusion import Fusion
from .path_program import Call, DrawnShare, PathProgram, Weighing, run

Value = TypeVar("Value")

CACHED = 64
"""How many architectures, and how many programs of them, are cached."""


@dataclass(frozen=True)
class Built:
    """A primitive built with all undecided numbers at their largest."""

    op: Operator
    module: nn.Module
    inputs: tuple[Dims, ...]
    shape: Dims


class LruCache(Generic[Value]):
    """A cache of the values of the ``size`` most recently used keys."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.values: OrderedDict[object, Value] = OrderedDict()

    def get(self, key: object, make: Callable[[], Value]) -> Value:
        """The value of a key, made where it is not in the cache."""
        if key in self.values:
            self.values.move_to_end(key)
        else:
            self.values[key] = make()
            if len(self.values) > self.size:
                self.values.popitem(last=False)
        return self.values[key]


class Operations:
    """Every operation of a space; called with images and decisions, it runs those of one architecture.

    ``module`` holds them under their names.

    Args:
        graph: the space's graph.
        decisions: its decisions, by path.
        share: whether the values of an undecided number share one weight, of which each takes a slice.
        keep_zeros: whether zeros that are added to other tensors run all the same.

    Raises:
        LoweringError: an external operation is not allowed, or nothing bounds an open width.
    """

    def __init__(
        self, graph: SpaceGraph, decisions: Mapping[str, Decision], share: bool = False, keep_zeros: bool = False
    ) -> None:
        check_weights_fit(flatten(graph))
        flat = share_equal(flatten(graph))  # equal operations on the same tensors run once
        self.paths = Paths(flat, decisions, keep_zeros)
        nodes = self.paths.nodes
        widths = width_bounds(flat) if self.paths.is_open else {}
        self.built: dict[int, Built] = {}
        for index, node in enumerate(nodes):
            if isinstance(node.payload, Prim) and not node.payload.op.drops_paths:
                built = self._build(node, node.payload.op, index, widths)
                if built is not None:
                    self.built[index] = built
        names = {index: node_path(nodes[index]) for index in self.built}
        for members in alternatives(self.paths, decisions) if share else ():
            if (home := _home([self.built[member] for member in members])) is not None:
                self.built.update(dict.fromkeys(members, home))
                for member in members[1:]:
                    del names[member]
        self.module = tree({name: self.built[index].module for index, name in names.items()})
        self.operators = {name: self.built[index].op for index, name in names.items()}
        """The operators of the parts of ``module``, by name, each at its largest."""
        self.operators_of_nodes = {nodes[index].name: built.op for index, built in self.built.items()}
        self.modules = {nodes[index].name: built.module for index, built in self.built.items()}
        self.fusion = Fusion(nodes, self.modules)
        self.known_paths = LruCache[SelectedPath](CACHED)
        self.known_programs = LruCache[PathProgram](CACHED)

    def _build(self, node: Node, op: Operator, index: int, widths: Mapping[Open, int]) -> Built | None:
        """A primitive at its largest; None for one that is a call of a function."""
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

    def __call__(self, images: Inputs, chosen: Selection, weighed: Weighing | None = None) -> Tensor:
        """The logits of an architecture on images (n, c, h, w).

        Args:
            images: the batch.
            chosen: the decisions of the architecture.
            weighed: weighs the tensors of every choice; needed where a choice has several.

        Raises:
            NothingSelectedError: the decisions leave nothing of the network.
        """
        inputs = parts_of(images)
        in_sums = weighed is not None and weighed.is_positive and kernel.can_run(inputs[0])
        program = self.program(chosen, weighed is not None, in_sums)
        cpu = inputs[0].device.type == "cpu"  # where torch is fastest on channels that lie last
        given = [p.contiguous(memory_format=torch.channels_last) if cpu and p.dim() == 4 else p for p in inputs]
        values: dict[int, Tensor] = {slot: given[place] for slot, place in program.inputs.items()}
        run(program.calls, values, weighed)
        return values[program.output]

    def path(self, chosen: Selection) -> SelectedPath:
        """The architecture of some decisions.

        Raises:
            NothingSelectedError: they leave nothing of it.
        """
        return self.known_paths.get(tuple(chosen.values()), lambda: self.paths.path(chosen))

    def program(self, chosen: Selection, weighed: bool = False, in_sums: bool = False) -> PathProgram:
        """The calls that compute an architecture; with ``weighed`` also its choices, ``in_sums`` as the kernel's sums.

        Raises:
            NothingSelectedError: the decisions leave nothing of it.
        """
        key = (weighed, in_sums, *chosen.values())
        return self.known_programs.get(key, lambda: self._program(self.path(chosen), weighed, in_sums))

    def forget(self) -> None:
        """Forget the paths and programs of earlier architectures, which changes no result."""
        self.fusion.forget()
        self.known_paths.values.clear()
        self.known_programs.values.clear()

    @uncollected()
    def _program(self, path: SelectedPath, weighed: bool, in_sums: bool) -> PathProgram:
        slot: dict[int, int] = {}
        calls = dict(self._calls(path, weighed, in_sums, slot))
        inputs = [step.index for step in path.steps if isinstance(step.payload, Input)]
        return self.fusion.program(calls, inputs, slot[path.steps[-1].index])

    def _calls(
        self, path: SelectedPath, weighed: bool, in_sums: bool, slot: dict[int, int]
    ) -> Iterator[tuple[str, Call]]:
        """The calls of a path in order, by name; ``slot`` maps each step to the step whose value stands for it."""
        for step in path.steps:
            sources = tuple(slot[source] for source in step.sources)
            slot[step.index] = step.index
            match step.payload:
                case Input():
                    pass
                case Weigh(decision=pick) if self.paths.decisions[pick].candidates:
                    slot[step.index] = sources[0]  # its menu has the weight
                case Mix(decisions=decisions) if in_sums:
                    shares = tuple(DrawnShare(decisions, row, step) for row in self.paths.ways(step)[0])
                    yield step.name, Call(step.index, step, None, sources, weights=shares)
                case Mix() | Weigh() if weighed:
                    yield step.name, Call(step.index, step, None, sources)
                case Mix() | Weigh():
                    slot[step.index] = sources[0]
                case Prim(op=op) if op.drops_paths:
                    slot[step.index] = sources[0]
                case Prim(op=op):
                    run = self._operation(step, op) if step.index in self.built else function_call(op, len(sources))
                    yield step.name, Call(step.index, step, run, sources)
                    if weighed and isinstance(self.paths.nodes[step.index].shape.c, Var) and op.fills:
                        yield f"weight of {step.name}", Call(step.index, step, None, (step.index,))

    def _operation(self, step: SelectedStep, op: Operator) -> Callable[..., Tensor]:
        """The module of a primitive, or a slice of it."""
        built = self.built[step.index]
        if (built.op, built.inputs, built.shape) == (op, step.inputs, step.shape):
            return built.module
        return Slice.of(built, op, step.inputs, step.shape)


@dataclass(frozen=True)
class Slice:
    """A smaller application of an operation: its module, called with the parts of the large tensors that it uses."""

    built: Built
    op: Operator
    module: nn.Module
    """The module as it would be built for the smaller application, on the meta device."""
    tensors: tuple[tuple[str, nn.Module, str, Dims], ...]
    """For each parameter and buffer: its name, the large module that owns it, its name there, the part's shape."""

    @classmethod
    def of(cls, built: Built, op: Operator, inputs: tuple[Dims, ...], shape: Dims) -> Slice:
        """The application of a primitive to inputs of some shapes, a slice of how it was built."""
        module = shapes_only(op, inputs, shape)
        tensors = []
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            owner, _, leaf = name.rpartition(".")
            tensors.append((name, built.module.get_submodule(owner), leaf, tuple(tensor.shape)))
        return cls(built, op, module, tuple(tensors))

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Apply the operation."""
        built, module = self.built, self.module
        if module.training is not built.module.training:
            module.train(built.module.training)
        parts = {}
        for name, owner, leaf, shape in self.tensors:
            whole: Tensor = getattr(owner, leaf)
            parts[name] = slice_of(whole, built.op.part(name, tuple(whole.shape), shape, self.op))
        made: Tensor = functional_call(module, parts, inputs)
        return made


@lru_cache(maxsize=4096)
def shapes_only(op: Operator, inputs: tuple[Dims, ...], shape: Dims) -> nn.Module:
    """The module of a primitive whose tensors have shapes, but no memory."""
    with torch.device("meta"):
        return standalone(op, inputs, shape)


@lru_cache(maxsize=256)
def function_call(op: Operator, arity: int) -> nn.Module:
    """The call of an operator's function on ``arity`` inputs, as a module; it does not depend on their shapes."""
    return standalone(op, ((),) * arity, ())


# ---------------------------------------------------------------- shared weights


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
    """The member whose tensors contain those of all others as slices; None where there is no such member."""
    sizes = [{name: tensor.shape for name, tensor in member.module.state_dict().items()} for member in members]
    for member, size in zip(members, sizes, strict=True):
        if all(
            other.keys() == size.keys() and all(a <= b for n in size for a, b in zip(other[n], size[n], strict=True))
            for other in sizes
        ):
            return member
    return None

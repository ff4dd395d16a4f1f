"""Operations of one architecture that the C++ kernel computes at once: sums of lines that end in a norm.

What the passes do to a whole space takes too long for an architecture that is drawn for one step, so here only what
stands before a norm in a line is looked at (a pool, or a depthwise and a pointwise convolution with the ReLU before, or
several of the latter that are joined), and the sums of such lines.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from torch import Tensor, nn

from compiler.backend.fused import kernel
from compiler.backend.fused.algebra import weighted_sums
from compiler.backend.fused.modules import holders_of, is_plain_torch, operation_by_operation
from compiler.backend.fused.operands import parameters_of
from compiler.backend.fused.program import Program, program_of
from compiler.backend.passes.rebuild import is_crop, is_filter, is_image, is_norm, is_pool, is_projection, is_relu
from compiler.backend.passes.target import CPU_WITH_KERNEL, Target
from compiler.backend.torch_modules.running_statistics import uses_batch
from compiler.derivation.selected_steps import Step
from compiler.ir.graph import Node
from compiler.ir.payloads import Prim
from compiler.ir.primitives.base import Gather
from compiler.ir.primitives.roles import Pointwise
from compiler.ir.shape import Shape
from compiler.ir.sums import Columns, Part, Sum, Term


@dataclass(frozen=True)
class Call:
    """One operation of an architecture: slot ``at`` becomes ``run`` of the slots ``sources``; ``dead`` ones end here.

    Without ``run``, the tensor is passed through the weight of ``step``.
    """

    at: int
    step: Step
    run: Callable[..., Tensor] | None
    sources: tuple[int, ...]
    dead: tuple[int, ...] = ()


@dataclass(frozen=True)
class Chain:
    """A sum of terms; without the kernel, its operations one by one."""

    program: Program
    parts: tuple[nn.Module, ...]

    def __call__(self, *sources: Tensor) -> Tensor:
        holders = holders_of((self.program,), self.parts)
        parameters = parameters_of(holders)
        is_served = kernel.serves(sources[0]) and all(
            uses_batch(part) for part in self.parts if isinstance(part, nn.BatchNorm2d)
        )
        if not is_served or is_plain_torch(sources, parameters):
            return operation_by_operation(self.program, holders, None, sources)
        (result,) = weighted_sums((self.program,), holders, None, sources, parameters)
        return result


Lines: TypeAlias = tuple[tuple[Term, int], ...]
"""Terms of a sum, each with the slot that it reads."""


def chained(calls: Sequence[Call], nodes: Sequence[Node], modules: Mapping[int, nn.Module]) -> list[Call]:
    """The calls with chains instead of the operations that they are of.

    Args:
        calls: in order; the last one gives the output.
        nodes: those of the space's flat graph, by the index of a step.
        modules: the primitives as they were built, by the same.
    """
    finder = _Finder(nodes, Counter(source for call in calls for source in call.sources))
    result = []
    for call in calls:
        lines = finder.lines(call)
        if lines:
            slots = [slot for _, slot in lines]
            sources = tuple(dict.fromkeys(slots))
            program = program_of(Sum(tuple(term for term, _ in lines), keep=False), slots, sources)
            parts = tuple(modules[int(part.name)] for term, _ in lines for part in term.parts)
            call = replace(call, run=Chain(program, parts), sources=sources)
        result.append(call)
    return list(_needed(result))[::-1]


def _needed(calls: Sequence[Call]) -> Iterator[Call]:
    """The calls that the last one needs, backwards."""
    needed = {calls[-1].at} if calls else set()
    for call in reversed(calls):
        if call.at in needed:
            needed.update(call.sources)
            yield call


TARGET = Target(CPU_WITH_KERNEL)


class _Finder:
    """Finds chains, call by call in order; ``readers`` says how many calls read a slot."""

    def __init__(self, nodes: Sequence[Node], readers: Mapping[int, int]) -> None:
        self.nodes, self.readers = nodes, readers
        self.made: dict[int, Call] = {}
        self.found: dict[int, Lines] = {}

    def lines(self, call: Call) -> Lines:
        """What a call is the sum of; nothing where it stays as it is."""
        lines: Lines = ()
        if _is(call, self.nodes, is_norm):
            lines = self.normed(Term(norm=_part(call)), call.sources[0])
        elif _is(call, self.nodes, _is_sum):
            every = [self.found.get(slot, ()) if self.readers[slot] == 1 else () for slot in call.sources]
            if any(every):
                lines = tuple(
                    line for slot, known in zip(call.sources, every, strict=True) for line in known or ((Term(), slot),)
                )
        self.made[call.at] = call
        if lines:
            self.found[call.at] = lines
        return lines

    def before(self, slot: int, test: Callable[[Node], bool], is_shared: bool = False) -> Call | None:
        """What made a slot, if it is such an operation, and nothing else reads it or it may be shared."""
        found = self.made.get(slot)
        return found if found and _is(found, self.nodes, test) and (is_shared or self.readers[slot] == 1) else None

    def normed(self, term: Term, slot: int) -> Lines:
        """The lines that end in a norm; none where nothing but the norm is in them."""
        if pooled := self.before(slot, is_pool):
            return ((replace(term, filter=_part(pooled)), pooled.sources[0]),)
        joined = self.before(slot, _is_joined)
        if joined is None:
            line = self.projected(term, slot)
            return (line,) if line else ()
        first, lines = 0, []
        for source in joined.sources:
            line = self.projected(term, source)
            if line is None:
                return ()
            count = self.made[source].step.shape[0]
            lines.append((replace(line[0], columns=Columns(first, count, joined.step.shape[0])), line[1]))
            first += count
        return tuple(lines)

    def projected(self, term: Term, slot: int) -> tuple[Term, int] | None:
        """A line that ends in a projection."""
        projected = self.before(slot, lambda node: is_projection(node, TARGET))
        if projected is None:
            return None
        part = _part(projected)
        is_dense = part.op.role == Pointwise(stride=1)
        term, slot = replace(term, projection=part), projected.sources[0]
        filtered = self.made.get(slot)
        if filtered is not None and self.before(slot, is_crop, True):
            term, slot = replace(term, filter=_part(filtered)), filtered.sources[0]
        elif filtered is not None and is_dense and filtered.sources:
            read = self.nodes[filtered.sources[0]]
            if self.before(slot, lambda node: is_filter(node, read)):
                term, slot = replace(term, filter=_part(filtered)), filtered.sources[0]
        if relu := self.before(slot, is_relu, True):
            term, slot = replace(term, relu=True), relu.sources[0]
        return term, slot


def _is_sum(node: Node) -> bool:
    return isinstance(node.payload, Prim) and node.payload.op.gather is Gather.SUM and is_image(node)


def _is_joined(node: Node) -> bool:
    return isinstance(node.payload, Prim) and node.payload.op.gather is Gather.CONCATENATION and is_image(node)


def _is(call: Call, nodes: Sequence[Node], test: Callable[[Node], bool]) -> bool:
    """Whether a call is of such an operation, as large as it was built: the module itself, no slice of it."""
    return isinstance(call.run, nn.Module) and not call.step.undecided and test(nodes[call.step.index])


def _part(call: Call) -> Part:
    """The operation of a call, named by its index."""
    step = call.step
    assert isinstance(step.payload, Prim)
    return Part(str(step.index), (), step.payload.op, tuple(map(Shape, step.inputs)), Shape(step.shape))

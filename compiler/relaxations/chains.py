"""Chains of operations of one architecture that the C++ kernel computes at once.

What the passes do to a whole space takes too long for an architecture that is drawn for one step, so here only what
stands before a norm in a line is looked at: a pool, or a depthwise and a pointwise convolution with the ReLU before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor, nn

from ..fused import kernel
from ..fused.algebra import weighted_sums
from ..fused.bound import parameters_of
from ..fused.modules import is_plain_torch, operation_by_operation
from ..fused.program import Program, program_of
from ..fused.statistics import uses_batch
from ..graph import Node, Part, Prim, Shape, Sum, Term
from ..onepath import Step
from ..passes.rewrite import is_crop, is_filter, is_norm, is_pool, is_projection, is_relu
from ..passes.target import CPU_WITH_KERNEL, Target


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
    """A term on its own; without the kernel, its operations one by one."""

    program: Program
    holders: tuple[nn.Module, ...]

    def __call__(self, x: Tensor) -> Tensor:
        parameters = parameters_of(self.holders)
        if not kernel.serves(x) or not uses_batch(self.holders[-1]) or is_plain_torch((x,), parameters):
            return operation_by_operation(self.program, self.holders, None, (x,))
        (result,) = weighted_sums((self.program,), self.holders, None, (x,), parameters)
        return result


def chained(calls: Sequence[Call], nodes: Sequence[Node], modules: Mapping[int, nn.Module]) -> list[Call]:
    """The calls with chains instead of the operations that they are of.

    Args:
        calls: in order; the last one gives the output.
        nodes: those of the space's flat graph, by the index of a step.
        modules: the primitives as they were built, by the same.
    """
    readers = Counter(source for call in calls for source in call.sources)
    made: dict[int, Call] = {}
    result = []
    for call in calls:
        found = _chain(call, made, readers, nodes)
        made[call.at] = call
        if found is not None:
            term, source = found
            program = program_of(Sum((term,), keep=False), (0,), (0,))
            holders = tuple(modules[int(part.name)] for part in term.parts)
            call = replace(call, run=Chain(program, holders), sources=(source,))
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


def _chain(
    call: Call, made: Mapping[int, Call], readers: Mapping[int, int], nodes: Sequence[Node]
) -> tuple[Term, int] | None:
    """The term that ends in a norm, and the slot that it reads; None where nothing but the norm is in it."""
    if not _is(call, nodes, is_norm):
        return None
    term, slot = Term(norm=_part(call)), call.sources[0]

    def before(test: Callable[[Node], bool], is_shared: bool = False) -> Call | None:
        """What made the slot, if it is such an operation, and nothing else reads it or it may be shared."""
        found = made.get(slot)
        return found if found and _is(found, nodes, test) and (is_shared or readers[slot] == 1) else None

    if pooled := before(is_pool):
        return replace(term, filter=_part(pooled)), pooled.sources[0]
    projected = before(lambda node: is_projection(node, TARGET))
    if projected is None:
        return None
    term, slot = replace(term, projection=_part(projected)), projected.sources[0]
    assert isinstance(projected.step.payload, Prim)
    is_dense = projected.step.payload.values["stride"] == 1
    filtered = made.get(slot)
    if filtered is not None and before(is_crop, True):
        term, slot = replace(term, filter=_part(filtered)), filtered.sources[0]
    elif filtered is not None and is_dense and filtered.sources:
        read = nodes[filtered.sources[0]]
        if before(lambda node: is_filter(node, read)):
            term, slot = replace(term, filter=_part(filtered)), filtered.sources[0]
    if relu := before(is_relu, True):
        term, slot = replace(term, relu=True), relu.sources[0]
    return term, slot


def _is(call: Call, nodes: Sequence[Node], test: Callable[[Node], bool]) -> bool:
    """Whether a call is of such an operation, as large as it was built: the module itself, no slice of it."""
    return isinstance(call.run, nn.Module) and not call.step.undecided and test(nodes[call.step.index])


def _part(call: Call) -> Part:
    """The operation of a call, named by its index."""
    step = call.step
    assert isinstance(step.payload, Prim)
    return Part(str(step.index), (), step.payload, tuple(map(Shape, step.inputs)), Shape(step.shape))

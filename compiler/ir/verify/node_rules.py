"""The rules of inputs, primitives, choices and calls."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from compiler.ir.graph import Call
from compiler.ir.payloads import Input, Mix, Prim, Weigh
from compiler.ir.primitives.base import Gather
from compiler.ir.shape import Extent
from compiler.ir.undecided import Open, Var

from .rules import Context, Rule, shapes_text, unknown_items, wrong_assignments, wrong_candidate


def _undecided(context: Context, payload: object) -> Iterator[str]:
    op = payload.op if isinstance(payload, Prim) else None
    values = [*context.node.shape.dims, *(() if op is None else (value for _, value in op.attributes))]
    for value in values:
        if not isinstance(value, Var):
            continue
        if len(value.values) != math.prod(value.sizes) or len(value.decisions) != len(value.sizes):
            yield f"{value} has {len(value.values)} values"
        for path, size in zip(value.decisions, value.sizes, strict=False):
            yield from unknown_items(context, path, (size - 1,))


EVERY: Mapping[str, Rule] = {"undecided values are of decisions": _undecided}
"""The rules of every node."""


def no_sources(context: Context, payload: Input) -> Iterator[str]:
    """An input reads nothing."""
    if context.sources:
        yield f"it has {len(context.sources)}"


def arity(context: Context, payload: Prim) -> Iterator[str]:
    """A primitive reads as many tensors as its operator takes."""
    count, wanted = len(context.sources), payload.op.arity
    if count < 1 or (wanted is not None and count != wanted):
        yield f"'{payload.name}' takes {wanted or 'at least 1'}, not {count}"


def parameters(context: Context, payload: Prim) -> Iterator[str]:
    """Only widths of a primitive are undecided or open."""
    op = payload.op
    for name, value in op.attributes:
        if isinstance(value, Var | Open) and op.parameters() and name not in op.widths():
            yield f"'{name}' of '{op.called}' is {value}"


def result(context: Context, payload: Prim) -> Iterator[str]:
    """The shape of a primitive is that of its operator's rule."""
    op, shapes = payload.op, [source.shape for source in context.sources]
    if not shapes or (op.arity is not None and len(shapes) != op.arity):
        return
    if len(shapes[0].dims) not in op.ranks:
        yield f"'{op.called}' takes no tensor of shape {shapes[0]}"
        return
    candidates = any(isinstance(source.payload, Weigh) for source in context.sources)
    varies = candidates or isinstance(context.node.shape.dims[0], Open)
    if op.gather is Gather.CONCATENATION and varies:  # It is as wide as what is picked, or there.
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


def mix_rows(context: Context, payload: Mix) -> Iterator[str]:
    """A mix has a row of joint assignments for each source."""
    if len(payload.rows) != len(context.sources):
        yield f"{len(payload.rows)} rows, {len(context.sources)} sources"
    yield from wrong_assignments(context, payload.decisions, [joint for row in payload.rows for joint in row])
    if not all(payload.rows):
        yield "a row is empty"


def mix_shapes(context: Context, payload: Mix) -> Iterator[str]:
    """The sources of a mix have its shape, up to undecided widths."""
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


def weigh(context: Context, payload: Weigh) -> Iterator[str]:
    """A candidate of a pick reads one tensor of its shape."""
    if len(context.sources) != 1:
        yield f"it has {len(context.sources)} sources"
        return
    yield from unknown_items(context, payload.decision, (payload.index,))
    yield from wrong_candidate(context, payload)
    if context.sources[0].shape != context.node.shape:
        yield f"it is {context.node.shape}, of {context.sources[0].shape}"


def call(context: Context, payload: Call) -> Iterator[str]:
    """A call reads and gives the shapes of its block."""
    inner = payload.block.graph
    shapes = [inner.node(index).shape for index in inner.inputs]
    given = [source.shape for source in context.sources]
    if shapes != given:
        yield f"'{payload.block.name}' reads {shapes_text(shapes)}, not {shapes_text(given)}"
    if inner.output is not None and inner.node(inner.output).shape != context.node.shape:
        yield f"'{payload.block.name}' makes {inner.node(inner.output).shape}, not {context.node.shape}"

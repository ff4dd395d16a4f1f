"""Tensor expressions: sums, concatenations, gates, and the shapes that they need."""

from __future__ import annotations

from collections.abc import Sequence

from compiler.ir.payloads import Prim, Weigh
from compiler.ir.primitives.structure import Add, Concat, Mul
from compiler.ir.shape import Extent, Shape
from compiler.ir.undecided import Open, Var, lift
from compiler.util.plural import plural
from hdas_dsl.text.diagnostics import Code
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast

from .errors import ElaborationError
from .frame import Frame, Site
from .missing import may_be_missing
from .mixtures import Mixtures
from .session import Session
from .values import Picked, Tensor, Value, flatten, kind, shown

Term = tuple[Tensor, Span]
"""A tensor, and the span of the expression that it came from."""


NARROWER = "add zeros to what may be missing"
"""The hint how a concatenation gets the same width under all decisions."""


class TensorExpressions:
    """Nodes for what the language does with tensors by itself."""

    def __init__(self, session: Session, mixtures: Mixtures) -> None:
        self.session = session
        self.mixtures = mixtures

    # ------------------------------------------------------------ values as tensors

    def tensor(self, value: Value, span: Span, frame: Frame) -> Tensor:
        """The one tensor that a value is."""
        if isinstance(value, Picked):
            return self.taken(value, Site(frame, None, span))
        if not isinstance(value, Tensor):
            raise ElaborationError(Code.KIND, span, f"a tensor is needed here, not {kind(value)}")
        return value

    def terms(self, value: Value, span: Span, frame: Frame) -> list[Term]:
        """The tensors of a bundle; of a pick, the weighted candidates."""
        found: list[Term] = []
        for part in flatten(value):
            items = part.items if isinstance(part, Picked) else (self.tensor(part, span, frame),)
            found += [(item, span) for item in items]
        return found

    def taken(self, picked: Picked, site: Site) -> Tensor:
        """A pick of one, read as the tensor that it is."""
        decision = self.session.decisions[picked.decision]
        if not decision.takes_one:
            many = decision.amount.replace("any", "any number")
            raise ElaborationError(Code.KIND, site.span, f"a pick of {many} is a bundle; `sum(pick ...)` adds it up")
        shape = self.mixtures.shape_of_one((picked.decision,), (len(picked.items),), picked.items, site.span)
        return site.frame.body.add(site.name("in"), Prim(Add()), shape, picked.items, site.span)

    # ------------------------------------------------------------ what is made of tensors

    def add_up(self, terms: Sequence[Term], site: Site) -> Tensor:
        """The sum of tensors of one shape."""
        if not terms:
            raise ElaborationError(Code.FEW, site.span, "there is nothing to sum")
        body, frame = site.frame.body, site.frame
        self._check_existence([term for term, _ in terms], frame, "sum", site.span)
        shape = self._common_shape(terms, frame)
        first = terms[0][0]
        if len(terms) == 1 and not isinstance(body.graph.node(first.index).payload, Weigh):
            return first
        return body.add(site.name("sum"), Prim(Add()), shape, tuple(term for term, _ in terms), site.span)

    def _common_shape(self, terms: Sequence[Term], frame: Frame) -> Shape:
        """The one shape that all terms of a sum have; an open width gives way to a known one."""
        first, first_span = terms[0]
        shape = first.shape
        for term, span in terms[1:]:
            if term.shape == shape:
                continue
            here, there = _called(first, frame), _called(term, frame)
            if term.shape.space != shape.space:
                message = f"{frame.place}cannot add {here} of shape {shape} and {there} of shape {term.shape}"
                raise ElaborationError(Code.RESOLUTION, span, message, None, (first_span, f"{here} is {shape} here"))
            if isinstance(shape.c, Open) or isinstance(term.shape.c, Open):
                shape = term.shape if isinstance(shape.c, Open) else shape
                continue
            if isinstance(shape.c, Var) or isinstance(term.shape.c, Var):
                message = f"{frame.place}widths differ: {shape.c} and {term.shape.c}"
                other = (first_span, f"{here} has the width {shape.c}")
                raise ElaborationError(Code.WIDTHS, span, message, "bind one choice, or project", other)
            message = f"{frame.place}cannot add {here} with {shape.c} channels and {there} with {term.shape.c}"
            raise ElaborationError(Code.CHANNELS, span, message, None, (first_span, f"{here} is {shape} here"))
        return shape

    def concat(self, parts: Sequence[tuple[Value, Span]], widths: Sequence[Value], site: Site) -> Tensor:
        """Join tensors along the channels; a number in ``widths`` fixes the width of the result."""
        frame, span = site.frame, site.span
        name = site.name("concat")
        is_pick = any(isinstance(part, Picked) for part, _ in parts)
        terms = [(tensor, part_span) for part, part_span in parts for tensor, _ in self.terms(part, span, frame)]
        tensors = tuple(tensor for tensor, _ in terms)
        self._check_existence(tensors, frame, "concatenation", span)
        if not terms:
            raise ElaborationError(Code.FEW, span, "there is nothing to concatenate")
        _check_one_resolution(terms, frame)
        channels = self._joint_width(tensors)
        missing = self._missing(tensors, is_pick, site, name)
        if len(tensors) > 1 and (widths or isinstance(channels, Open)):
            self.session.refuse_width(Concat.name, tensors, span)
        if widths:
            if isinstance(channels, int) and channels != widths[0] and not is_pick:
                message = f"{frame.place}this concatenation has {plural(channels, 'channel')}, not {shown(widths[0])}"
                raise ElaborationError(Code.CHANNELS, span, message)
            if isinstance(channels, int) and missing is not None:
                message = f"this concatenation has fewer channels than {channels} where {missing} is missing"
                raise ElaborationError(
                    Code.CHANNELS, span, f"{frame.place}{message}", f"{NARROWER}, or leave its width open"
                )
            channels = extent(widths[0], span)
        elif is_pick or missing is not None:
            channels = self.session.open()  # as many as are picked, or there
        return frame.body.add(name, Prim(Concat()), Shape((channels, *tensors[0].shape.space)), tensors, span)

    def _missing(self, tensors: Sequence[Tensor], is_pick: bool, site: Site, name: str) -> str | None:
        """The first part that decisions may leave out; what has as many channels as they leave cannot be mixed."""
        if is_pick:
            message = f"cannot be mixed: `concat` of a pick has as many channels as it picks ({name})"
            self.session.refuse(site.span, message)
            return None
        missing = may_be_missing(tensors, site.frame.body, self.session.decisions)
        if missing is None:
            return None
        called = _called(missing, site.frame)
        message = f"cannot be mixed: `concat` is narrower where {called} is missing ({name})"
        self.session.refuse(site.span, message, f"{NARROWER}, or use `relax = sample`")
        return called

    def _joint_width(self, tensors: Sequence[Tensor]) -> Extent:
        """The sum of the widths; open where one of them is."""
        channels = tensors[0].shape.c
        for tensor in tensors[1:]:
            width = tensor.shape.c
            is_open = isinstance(channels, Open) or isinstance(width, Open)
            channels = self.session.open() if is_open else lift(lambda a, b: a + b, channels, width)
        return channels

    def gate(self, expr: ast.Binary, left: Value, right: Value, site: Site) -> Tensor:
        """``x * g``: element by element, or channel by channel when g is a vector."""
        if expr.op != "*":
            raise ElaborationError(
                Code.KIND, expr.span, f"'{expr.op}' is not defined between tensors; '+' adds and '*' gates"
            )
        tensors = (self.tensor(left, expr.left.span, site.frame), self.tensor(right, expr.right.span, site.frame))
        shape, gate = tensors[0].shape, tensors[1].shape
        if gate != shape and gate.dims != (shape.c,):
            raise ElaborationError(
                Code.SHAPE, expr.span, f"'*' gates {shape} by the same shape or by {shape.c}, not by {gate}"
            )
        return site.frame.body.add(site.name("gate"), Prim(Mul()), shape, tensors, expr.span)

    def _check_existence(self, tensors: Sequence[Tensor], frame: Frame, noun: str, span: Span) -> None:
        """Refuse a sum or concatenation that may be of nothing, unless the body says what happens then: `prune`."""
        if frame.body.prune:
            return
        for tensor in tensors:
            payload = frame.body.graph.node(tensor.index).payload
            if not isinstance(payload, Weigh) or self.session.decisions[payload.decision].least:
                return
        hint = "put something beside it that is always there, or `prune` in this text"
        raise ElaborationError(Code.FEW, span, f"{frame.place}this {noun} may be of nothing", hint)


def extent(value: Value, span: Span) -> Extent:
    """A value as an extent: a whole number, maybe undecided, or an open one."""
    match value:
        case bool():
            pass
        case int() | Open():
            return value
        case Var(decisions=decisions, sizes=sizes, values=values):
            numbers = tuple(item for item in values if isinstance(item, int) and not isinstance(item, bool))
            if len(numbers) == len(values):
                return Var(decisions, sizes, numbers)
    raise ElaborationError(Code.KIND, span, f"a width is a whole number, not {shown(value)}")


def _check_one_resolution(terms: Sequence[Term], frame: Frame) -> None:
    """Refuse a concatenation of tensors that differ in more than their channels."""
    first, first_span = terms[0]
    for tensor, span in terms[1:]:
        if tensor.shape.space != first.shape.space:
            here, there = _called(first, frame), _called(tensor, frame)
            message = f"{frame.place}cannot concatenate {here} of shape {first.shape} and {there} of shape "
            other = (first_span, f"{here} is {first.shape} here")
            raise ElaborationError(Code.RESOLUTION, span, f"{message}{tensor.shape}", None, other)


def _called(tensor: Tensor, frame: Frame) -> str:
    return f"'{tensor.name or frame.body.graph.node(tensor.index).name}'"

"""A step in plain PyTorch, as its operator states it: as modules, as an expression of its inputs, or both."""

from __future__ import annotations

from collections.abc import Iterable

from compiler.backend.torch_modules.table import HELPERS as COPIES
from compiler.ir.payloads import Prim
from compiler.ir.primitives.external import External
from compiler.ir.primitives.torch_form import Argument, Expression, Plain
from compiler.util.errors import LoweringError

from .outline import Step
from .terms import Arg, New, Ref, Term

HELPERS = tuple(COPIES)
"""Classes of `compiler.backend.torch_modules` whose text goes into the file where they are used."""


def modules(step: Step) -> tuple[New, ...] | None:
    """The modules that compute a primitive, one after the other; None where torch has none.

    Raises:
        LoweringError: it is a plugin, which is not part of torch.
    """
    assert isinstance(step.what, Prim)
    op = step.what.op
    if isinstance(op, External):
        message = f"the plugin '{op.called}' is not part of torch; onnx and torch files can hold what it does"
        raise LoweringError(message)
    made = op.source_modules(step.shapes, step.shape)
    if made is None:
        return None
    return tuple(New(module.kind, tuple(map(_arg, module.arguments)), not op.pure) for module in made)


def form(step: Step) -> Expression | None:
    """A primitive as an expression; None where it has parameters."""
    assert isinstance(step.what, Prim)
    return step.what.op.source_expression(step.shapes, step.shape)


def numbers(expression: Expression) -> Iterable[Arg]:
    """The numbers of an expression."""
    return map(_arg, expression.numbers)


def _arg(argument: Argument) -> Arg:
    short = argument.short or argument.name
    named = argument.role.is_width
    value, default = _term(argument.value), _term(argument.default)
    return Arg(argument.name, value, argument.positional, default, argument.role, short, named)


def _term(value: Plain) -> Term:
    return Ref(str(value)) if isinstance(value, tuple) else value
